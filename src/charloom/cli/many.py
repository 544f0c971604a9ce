"""Many files: the flag -o of score, evaluate and generate, and the command prepare."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import SettingsError, TextError, counted
from ..settings import ComputingSettings, ManySettings, TextSettings
from .arguments import Texts, path, reading_of
from .flags import as_flags, chosen, flags, refuse
from .streams import is_terminal, say, tell

PartsFolder = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        parser=path,
        metavar="FOLDER",
        help="take each file as a text of its own, and write a part for each into this folder",
    ),
]

_EVERY = 5.0  # seconds between two lines about how far it is


def many_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags of many files; see `flags`."""
    return flags(ManySettings)(command)


def refuse_many(context: typer.Context) -> None:
    """Refuse the flags of many files where there is one text."""
    refuse(context, ManySettings.model_fields, "is for many files, with -o FOLDER")


def on_many_files(
    verb: Any,
    model: Path,
    text: list[Any] | None,
    output: Path,
    values: dict[str, Any],
    **options: Any,
) -> int:
    """Work on each file, and tell how far it is; exit status 1 if one of them has an error."""
    if not text:
        raise SettingsError("TEXT is missing; name files, folders or globs")
    computing = chosen(ComputingSettings, values).model_dump(exclude_unset=True)
    if not values.get("threads"):
        computing.pop("threads", None)
    outcomes = charloom.process_files(
        verb,
        model,
        text,
        output,
        many=chosen(ManySettings, values),
        computing=computing,
        reading=reading_of(values),
        **options,
    )
    made = kept = rows = 0
    errors: list[TextError] = []
    told = time.monotonic()
    for outcome in outcomes:
        made += outcome.part is not None and not outcome.kept
        kept += outcome.kept
        rows += outcome.rows
        if outcome.error is not None:
            errors.append(TextError(outcome.error, *outcome.settings))
        if is_terminal(sys.stderr) and time.monotonic() - told > _EVERY:
            told = time.monotonic()
            tell(f"{counted(made, 'file')} done, {len(errors):,} with an error")
    there = f", {kept:,} there before" if kept else ""
    say(f"{output}  {counted(made, 'part')} made, {counted(rows, 'row')}{there}")
    if errors:
        tell(
            f"charloom: an error in {counted(len(errors), 'file')}, told in "
            f"{output / 'errors.jsonl'}:"
        )
        for error in errors[:3]:
            tell(f"charloom: {as_flags(error)}")
    return 1 if errors else 0


@flags(ManySettings, only=("workers",))
@flags(
    TextSettings,
    only=("encoding", "errors", "normalization", "vocabulary", "minimum_count", "unknown"),
)
def prepare(
    text: Texts,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", parser=path, metavar="FOLDER", help="where the corpus is kept"
        ),
    ],
    **values: Any,
) -> None:
    """Give ids to a text of any size once, by several processes, for train to read.

    Memory does not grow with the text. The same command goes on with one that was stopped. The
    folder is then a TEXT of train, of which each process reads only its part.

    For example:

        charloom prepare books/ -o books.corpus --workers 8
    """
    index = charloom.prepare(
        text,
        output,
        text=chosen(TextSettings, values),
        workers=ManySettings(workers=values["workers"]).processes,
    )
    characters, shards = index["characters"], len(index["shards"])
    say(f"{output}  {counted(characters, 'character')} in {counted(shards, 'shard')}")
