"""Flags of the command line made from settings: their help, bounds and defaults are one.

hidden_size: int = Field(256, ge=1, description="units in a layer")
--hidden-size <int>   units in a layer (at least 1)  [default: 256]
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

import typer

from ..settings import (
    ComputingSettings,
    ModelSettings,
    SamplingSettings,
    Settings,
    TextSettings,
    TrainingSettings,
)

Chosen = TypeVar("Chosen", bound=Settings)


def flags(
    *groups: type[Settings], only: Iterable[str] = (), instead: str = ""
) -> Callable[[Any], Any]:
    """Give a command, in place of its **values, a flag for each field of some settings.

    With `only`, for these fields alone. With `instead`, which says what stands in for it,
    they have no default but None. The decorator can be repeated.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [
            _flag(name, field, instead)
            for group in groups
            for name, field in group.model_fields.items()
            if not only or name in only
        ]
        command.__signature__ = signature.replace(parameters=own + made)  # type: ignore
        return command

    return decorate


def _flag(name: str, field: Any, instead: str) -> inspect.Parameter:
    kind: Any = field.annotation | None if instead else field.annotation
    text = f"{help_of(field)}; by default {instead}" if instead else help_of(field)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if instead else field.default,
        annotation=Annotated[kind, typer.Option(help=text)],
    )


def chosen(settings: type[Chosen], values: dict[str, Any]) -> Chosen:
    """The settings of one class, from the values of all flags."""
    return settings(**{name: values[name] for name in settings.model_fields})


def given(context: typer.Context, name: str) -> bool:
    """Whether a flag is on the command line, and not only its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def help_of(field: Any) -> str:
    """What a field is for, and its bounds.

    >>> help_of(ModelSettings.model_fields["num_layers"])
    'layers, one above the other (at least 1, at most 64)'
    """
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    bounds = [
        f"{words[key]} {getattr(limit, key)}"
        for limit in field.metadata
        for key in words
        if abs(getattr(limit, key, 2**32)) < 2**32  # 2**63, of seeds, helps nobody
    ]
    return field.description + (f" ({', '.join(bounds)})" if bounds else "")


def as_flags(message: str) -> str:
    """A message about settings, with their names as flags.

    >>> as_flags("hidden_size: 0 was given; it must be at least 1")
    '--hidden-size: 0 was given; it must be at least 1'
    """
    groups = (TextSettings, ModelSettings, TrainingSettings, SamplingSettings, ComputingSettings)
    names = [
        name
        for group in groups
        for name in group.model_fields
        if "_" in name or message.startswith(f"{name}:")  # "steps" is a word, too
    ]
    pattern = rf"\b({'|'.join(names)})\b"
    return re.sub(pattern, lambda match: "--" + match[1].replace("_", "-"), message)
