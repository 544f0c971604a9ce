"""The flags that say what a text may be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import SettingsError
from .arguments import path, reading_of, text_name

_TITLE = "Rules"
_SECONDS = 60  # that a command has for one text

PatternFlag = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="REGEX",
        help="only what matches this regular expression as a whole",
        rich_help_panel=_TITLE,
    ),
]
JsonSchemaFlag = Annotated[
    Path | None,
    typer.Option(
        "--json-schema",
        parser=path,
        metavar="FILE",
        help="only JSON that fits the schema in this file",
        rich_help_panel=_TITLE,
    ),
]
GrammarFlag = Annotated[
    Path | None,
    typer.Option(
        "--grammar",
        parser=path,
        metavar="FILE",
        help="only texts of the grammar in this file, in Lark's notation",
        rich_help_panel=_TITLE,
    ),
]
NoCopiesFlag = Annotated[
    int | None,
    typer.Option(
        "--no-copies",
        metavar="N",
        help="no N characters in a row that stand in --training-text (at least 2)",
        rich_help_panel=_TITLE,
    ),
]
TrainingTextFlag = Annotated[
    Any,
    typer.Option(
        "--training-text",
        parser=text_name,
        metavar="FILE",
        help="what --no-copies compares with: a file, folder or glob",
        rich_help_panel=_TITLE,
    ),
]
ValidateFlag = Annotated[
    str | None,
    typer.Option(
        "--validate",
        metavar="COMMAND",
        help="only texts that this command, which reads one on standard input, ends well for; "
        "others are drawn again",
        rich_help_panel=_TITLE,
    ),
]
TriesFlag = Annotated[
    int,
    typer.Option(
        "--tries",
        help="texts to draw, at most, for each that --validate accepts (at least 1)",
        rich_help_panel=_TITLE,
    ),
]


def validator(command: str, prompt: str) -> Callable[[str], bool]:
    """A check of texts: whether a command of the shell ends with exit status 0."""
    import subprocess  # which other commands need not wait for

    def check(text: str) -> bool:
        try:
            done = subprocess.run(
                command,
                shell=True,
                input=(prompt + text).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise SettingsError(
                f"validate: {command!r} did not end in {_SECONDS} seconds for one text"
            ) from None
        if done.returncode in (126, 127):  # of the shell: no such command
            raise SettingsError(f"validate: {command!r} cannot be run; see whether it is there")
        return done.returncode == 0

    return check


def given_rule(
    pattern: str | None,
    json_schema: Path | None,
    grammar: Path | None,
    no_copies: int | None,
    training_text: Path | str | None,
    values: dict[str, Any],
) -> dict[str, Any]:
    """What the flags of a rule say, with the text of the files; for `charloom.rule_given`."""
    reading = charloom.TextSettings(**reading_of(values))
    return {
        "pattern": pattern,
        "json_schema": None
        if json_schema is None
        else "".join(charloom.read(json_schema, reading)),
        "grammar": None if grammar is None else "".join(charloom.read(grammar, reading)),
        "no_copies": no_copies,
        "training_text": None if training_text is None else str(training_text),
    }
