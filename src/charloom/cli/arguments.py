"""What several commands share: arguments, and the models and texts that they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import SettingsError
from ..settings import ComputingSettings, TextSettings
from . import formatting as tables
from .flags import chosen, flags

READING = ("encoding", "errors")
Texts = Annotated[
    list[str], typer.Argument(metavar="TEXT", help="files, folders, globs, or - for stdin")
]
ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="a model file, or the folder of a run")
]
Literally = Annotated[
    str | None, typer.Option("--text", metavar="STRING", help="this text itself, not a file")
]
OptionalTexts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="files, folders, globs, or - for stdin"),
]
Layer = Annotated[
    int | None,
    typer.Option(metavar="N", help="the layer, from 1; by default the top one"),
]


def reading_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that reads a text with a model the flags of both; see `flags`."""
    command = flags(ComputingSettings)(command)
    return flags(TextSettings, only=READING, instead="as the model's own text was read")(command)


def load(path: Path, values: dict[str, Any]) -> charloom.Model:
    """The model of a file or a run, to be computed as flags say."""
    return charloom.Model.load(path, **chosen(ComputingSettings, values).model_dump())


def pieces_of(model: charloom.Model, text: list[str], values: dict[str, Any]) -> Iterator[str]:
    """The text, read as the model's own was, or as flags say."""
    changes = {name: values[name] for name in READING if values[name] is not None}
    return charloom.read(text, model.text_settings.replace(**changes))


def given_text(
    model: charloom.Model, text: list[str] | None, literally: str | None, values: dict[str, Any]
) -> Iterator[str]:
    """The text of files, or the one that --text gives."""
    if (literally is None) == (not text):
        raise SettingsError("give either TEXT, the name of a file, or --text STRING")
    if literally is not None:
        return charloom.read(charloom.InMemory(literally), model.text_settings)
    return pieces_of(model, text or [], values)


def show(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts, in columns or as JSON."""
    print(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else tables.columns(facts))


def beginning(pieces: Iterator[str], characters: int) -> str:
    """A text of at most so many characters; no more of it is read than that needs."""
    text = ""
    while len(text) < characters and (piece := next(pieces, None)) is not None:
        text += piece
    return text[:characters]
