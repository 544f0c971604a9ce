"""What several commands share: arguments, and the models and texts that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import charloom

from ..errors import SettingsError
from ..settings import READABLE, ComputingSettings, SamplingSettings, TextSettings
from . import formatting
from .flags import chosen, flags
from .streams import say, tell

READING = ("encoding", "errors")


def path(given: str) -> Path:
    """A path on the command line; an empty one, of a variable without a value, is refused."""
    if not given:
        raise typer.BadParameter(
            "an empty name was given; give a file or folder, or . for this one"
        )
    return Path(given)


def text_name(given: str) -> Path | str:
    """The name of a text: a path, or - for standard input."""
    return given if given == "-" else path(given)


ModelPath = Annotated[
    Path,
    typer.Argument(parser=path, metavar="MODEL", help="a model file, or the folder of a run"),
]
FirstModel = Annotated[
    Path, typer.Argument(parser=path, metavar="A", help="a model file, or the folder of a run")
]
SecondModel = Annotated[Path, typer.Argument(parser=path, metavar="B", help="another one")]
RunPath = Annotated[Path, typer.Argument(parser=path, metavar="RUN", help="the folder of a run")]
Texts = Annotated[
    list[Any],
    typer.Argument(parser=text_name, metavar="TEXT", help="files, folders, globs, or - for stdin"),
]
OptionalTexts = Annotated[
    list[Any] | None,
    typer.Argument(parser=text_name, metavar="TEXT", help="files, folders, globs, or - for stdin"),
]
Literally = Annotated[
    str | None, typer.Option("--text", metavar="STRING", help="this text itself, not a file")
]
Layer = Annotated[
    int | None,
    typer.Option(metavar="N", help="the layer, from 1; by default the top one"),
]
StartFrom = Annotated[
    Any,
    typer.Option(
        "--from",
        parser=path,
        metavar="MODEL",
        help="start from the weights of a model: a file, the folder of a run, or english; "
        "none is from nothing; by default english where that suits a short text",
    ),
]
OpenOn = Annotated[
    Literal["newspaper", "generate"],
    typer.Option(
        help="what stands at the top of the page: the newspaper of a text, or the form that "
        "generates texts, for readers who come for these"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def temperature_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that generates what is to be read the flag --temperature; see `flags`."""
    return flags(SamplingSettings, only=("temperature",), default=READABLE)(command)


def reading_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that reads a text with a model the flags of both; see `flags`."""
    command = flags(ComputingSettings)(command)
    return flags(TextSettings, only=READING, instead="as the model's own text was read")(command)


def starting(given: Path | None) -> Path | str | None:
    """What --from says, in the library's words."""
    return {None: "auto", Path("none"): None}.get(given, given)


def load(path: Path, values: dict[str, Any]) -> charloom.Model:
    """The model of a file or a run, to be computed as flags say."""
    return charloom.Model.load(path, **chosen(ComputingSettings, values).model_dump())


def reading_of(values: dict[str, Any]) -> dict[str, Any]:
    """What flags say of how texts are read."""
    return {name: values[name] for name in READING if values.get(name) is not None}


def pieces_of(model: charloom.Model, text: list[Any], values: dict[str, Any]) -> Iterable[str]:
    """The text, read as the model's own was, or as flags say."""
    return charloom.read(text, model.text_settings.replace(**reading_of(values)))


def given_text(
    model: charloom.Model, text: list[Any] | None, literally: str | None, values: dict[str, Any]
) -> Iterable[str]:
    """The text of files, or the one that --text gives."""
    if (literally is None) == (not text):
        raise SettingsError("give either TEXT, the name of a file, or --text STRING")
    if literally is not None:
        return model.pieces(charloom.InMemory(literally))
    return pieces_of(model, text or [], values)


def tell_computed(model: charloom.Model) -> None:
    """Say what the numbers of a result were computed with, where the result has no place for it."""
    tell(f"computed with {', '.join(model.computed_with.values())}")


def show(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts, in columns or as JSON."""
    say(formatting.as_json(facts) if as_json else formatting.columns(facts))
