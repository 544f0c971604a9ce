"""The commands that compress a file, and write it again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import SettingsError
from ..settings import AdaptationSettings, CompressionSettings
from .arguments import AsJson, path, show
from .flags import chosen, flags, refuse
from .streams import is_terminal

_LEARNING = ("learning_rate", "sequence_length")  # a file is one stream
_Output = Annotated[
    Path | None, typer.Option("--output", "-o", parser=path, metavar="FILE", help="where to")
]
ModelAndFile = Annotated[
    list[Any],
    typer.Argument(parser=path, metavar="[MODEL] FILE", help="a file, perhaps after a model"),
]
ModelAndArchive = Annotated[
    list[Any],
    typer.Argument(
        parser=path, metavar="[MODEL] ARCHIVE", help="the archive, after the model that it needs"
    ),
]


@flags(AdaptationSettings, only=_LEARNING, instead="what suits the model, or a new network")
def compress(
    context: typer.Context,
    files: ModelAndFile,
    output: _Output = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="the model learns as it reads; smaller, and slower")
    ] = False,
    inside: Annotated[
        bool, typer.Option("--inside", help="put the model into the archive, in 8 bits")
    ] = False,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="use this processor's fastest kernels; reading needs them too"),
    ] = False,
    as_json: AsJson = False,
    **values: Any,
) -> None:
    """Compress a file to the bits that a model needs for it.

    Without a model, a small network learns the text while it reads it. The archive is FILE.loom
    if -o names no other, and it can be read on any machine: by `decompress`, with the same model
    unless that is inside. Every byte of the file comes back. The size proves the number of
    `evaluate`: "surprisal_bytes" is what the model's probabilities come to.

    For example:

        charloom compress book.run other.txt -o other.loom
    """
    model, file = _model_and(files, "a FILE to compress")
    given = chosen(AdaptationSettings, values)
    if model is None:
        refuse(context, ["adapt", "inside"], "is for a model, and none was given")
        settings = CompressionSettings(**given.model_dump(exclude_unset=True))
        with _progress() as progress:
            found = charloom.compress(
                file, _archive(file, output), fast=fast, settings=settings, progress=progress
            )
    else:
        if not adapt:
            refuse(context, _LEARNING, "has no effect without --adapt")
        with _progress() as progress:
            found = charloom.compress(
                file,
                _archive(file, output),
                charloom.Model.load(model),
                adapt=given if adapt else None,
                inside=inside,
                fast=fast,
                progress=progress,
            )
    show(found.to_json(), as_json)


def decompress(files: ModelAndArchive, output: _Output = None) -> None:
    """Write the file that an archive of `compress` holds.

    For example:

        charloom decompress book.run other.loom -o other.txt
    """
    model, archive = _model_and(files, "an ARCHIVE")
    if output is None:
        raise SettingsError("output: no name was given for the file; give -o FILE")
    loaded = None if model is None else charloom.Model.load(model)
    with _progress() as progress:
        charloom.decompress(archive, output, loaded, progress=progress)


def _model_and(files: list[Path], what: str) -> tuple[Path | None, Path]:
    if len(files) > 2:
        raise SettingsError(f"too many names ({len(files)}): give a MODEL, if any, and {what}")
    return (files[0] if len(files) == 2 else None), files[-1]


def _archive(file: Path, output: Path | None) -> Path:
    return output or Path(f"{file}.loom")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal, and nothing elsewhere."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("characters", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
