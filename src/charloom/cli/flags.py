"""Flags of the command line made from settings: their help, bounds and defaults are one.

hidden_size: int = Field(256, ge=1, description="units in a layer")
--hidden-size <int>   units in a layer (at least 1)  [default: 256]
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any, TypeVar

import typer

from ..errors import CharloomError, SettingsError
from ..settings import Settings

Chosen = TypeVar("Chosen", bound=Settings)

GROUPS = {
    "TextSettings": "The text",
    "ModelSettings": "The network",
    "TrainingSettings": "Training",
    "AmountSettings": "Sampling",
    "SamplingSettings": "Sampling",
    "AdaptationSettings": "Adapting",
    "OddSettings": "Odd lines",
    "ComputingSettings": "Computing",
    "ManySettings": "Many files",
    "TuningSettings": "The search",
    "RecallSettings": "The experiment",
    "ContextSettings": "Looking back",
    "UnitsSettings": "Claims",
}
"""The title under which help lists the flags of each class of settings."""

NAMES = {
    "selections": "select",
    "patterns": "pattern",
    "spaces": "space",
    "start_from": "from",
    "calibration": "calibrate",
    "sizes": "size",
    "allow_hosts": "allow_host",
    "allow_origins": "allow_origin",
}
"""Arguments of the library whose flags have other names: some are given one at a time, and `from`
is no name in Python."""


def flags(
    *groups: type[Settings], only: Iterable[str] = (), instead: str = "", default: Any = None
) -> Callable[[Any], Any]:
    """Give a command, in place of its **values, a flag for each field of some settings.

    With `only`, for these fields alone. With `instead`, which says what stands in for it,
    they have no default but None; with a `default`, that one. The decorator can be repeated.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [
            _flag(name, field, instead, GROUPS[group.__name__], default)
            for group in groups
            for name, field in group.model_fields.items()
            if not only or name in only
        ]
        command.__signature__ = signature.replace(parameters=own + made)  # type: ignore
        return command

    return decorate


def _flag(
    name: str, field: Any, instead: str, title: str, default: Any = None
) -> inspect.Parameter:
    if (field.json_schema_extra or {}).get("automatic"):
        instead = instead or "what fits the text and the time"
    kind: Any = field.annotation | None if instead else field.annotation
    text = f"{help_of(field)}; by default {instead}" if instead else help_of(field)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if instead else field.default if default is None else default,
        annotation=Annotated[kind, typer.Option(help=text, rich_help_panel=title)],
    )


def chosen(settings: type[Chosen], values: dict[str, Any]) -> Chosen:
    """The settings of one class, from the values of all flags; what is None is not given."""
    names = [name for name in settings.model_fields if values.get(name) is not None]
    return settings(**{name: values[name] for name in names})


def given(context: typer.Context, name: str) -> bool:
    """Whether a flag is on the command line, and not only its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse(context: typer.Context, names: Iterable[str], because: str) -> None:
    """Refuse flags that would have no effect here."""
    for name in names:
        if given(context, name):
            raise SettingsError(f"{name}: {because}; leave it out")


def help_of(field: Any) -> str:
    """What a field is for, and its bounds.

    >>> from charloom import ModelSettings
    >>> help_of(ModelSettings.model_fields["num_layers"])
    'layers, one above the other (at least 1, at most 64)'
    """
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    bounds = [
        f"{words[key]} {getattr(limit, key)}"
        for limit in field.metadata
        for key in words
        if abs(getattr(limit, key, 2**30)) < 2**30  # 2**63, of seeds, helps nobody
    ]
    return field.description + (f" ({', '.join(bounds)})" if bounds else "")


def as_flags(error: CharloomError, known: Collection[str] | None = None) -> str:
    r"""The message of an error, with the settings that it names as flags.

    With `known`, the flags and arguments of a command, only as these; others stand as they are.

    >>> as_flags(SettingsError("hidden_size: 0 was given; it must be at least 1"))
    '--hidden-size: 0 was given; it must be at least 1'
    >>> as_flags(SettingsError("use `batch_size=1` or `unknown=True`", "batch_size", "unknown"))
    'use --batch-size 1 or --unknown'
    >>> as_flags(CharloomError("`steps`: no such file"))
    '`steps`: no such file'
    >>> as_flags(SettingsError("text: nothing stands after the gap"), known={"--gap", "TEXT"})
    'TEXT: nothing stands after the gap'
    """

    def named(name: str, value: str, otherwise: str) -> str:
        shown, argument = flag(name, value), name.upper().replace("_", "-")
        if known is None or shown.partition(" ")[0] in known:
            return shown
        return argument if argument in known else otherwise

    message = str(error)
    if isinstance(error, SettingsError):
        name, colon, rest = message.partition(": ")
        if colon and name in error.settings:
            message = f"{named(name, '', name)}{colon}{rest}"
    if not error.settings:
        return message
    names = "|".join(map(re.escape, error.settings))
    return re.sub(
        rf"`({names})(?:=([^`]*))?`",
        lambda match: named(match[1], match[2] or "", match[0]),
        message,
    )


def flag(name: str, value: str = "") -> str:
    """How a setting, or a setting with a value in Python's words, is written as a flag.

    >>> flag("batch_size"), flag("errors", "'replace'"), flag("unknown", "False")
    ('--batch-size', '--errors replace', '--no-unknown')
    """
    name = NAMES.get(name, name).replace("_", "-")
    if value in ("", "True"):
        return f"--{name}"
    return f"--no-{name}" if value == "False" else f"--{name} {value.strip(chr(39))}"
