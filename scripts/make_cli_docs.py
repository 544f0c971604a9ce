"""Write docs/cli.md from the commands themselves: `python scripts/make_cli_docs.py`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from charloom.cli.main import VERBS, app
from charloom.inspection.settings import ContextSettings, RecallSettings, UnitsSettings
from charloom.settings import ModelSettings, SamplingSettings, TextSettings, TrainingSettings

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"

GROUPS = {
    "Sampling": SamplingSettings,
    "The text": TextSettings,
    "The network": ModelSettings,
    "The experiment": RecallSettings,
    "Looking back": ContextSettings,
    "Claims": UnitsSettings,
    "Training and computing": TrainingSettings,
}

OPENING = """\
# The command line

<!-- Written by scripts/make_cli_docs.py from the commands' help: change that, not this. -->

Results go to standard output, progress and warnings to standard error. An error is one
line. The exit status is 0 for success, 1 for failure, 2 for wrong use, and 130 after Ctrl-C.
`charloom COMMAND --help` shows what stands here.
"""


def page() -> str:
    """The whole page."""
    commands = [command.callback for command in app(VERBS).registered_commands]
    return "\n".join([OPENING, *(section(command) for command in commands if command)])


def section(command: Callable[..., Any]) -> str:
    """A command: how it is called, what it does, and a table for each group of its flags."""
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    described = [p for p in parameters if p.annotation is not typer.Context]
    arguments = [p for p in described if isinstance(info(p), type(typer.Argument()))]
    flags = [p for p in described if p not in arguments]
    usage = ["charloom", command.__name__, *(argument(p) for p in arguments)]
    parts = [
        f"## {command.__name__}",
        f"```sh\n{' '.join(usage)}{' [FLAGS]' if flags else ''}\n```",
        inspect.cleandoc(command.__doc__ or ""),
        "\n".join(f"* `{argument(p)}`: {info(p).help}" for p in arguments),
    ]
    own = [p for p in flags if not any(p.name in g.model_fields for g in GROUPS.values())]
    tables = {"": own, **{title: [] for title in GROUPS}}
    for flag in flags:
        if flag not in own:
            tables[group_of(flag)].append(flag)
    for title, members in tables.items():
        if members:
            rows = ["| flag | what it does | default |", "|---|---|---|", *map(row, members)]
            parts.append("\n".join([*([f"{title}:", ""] if title else []), *rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


def info(parameter: inspect.Parameter) -> Any:
    """What typer was told of a parameter."""
    return get_args(parameter.annotation)[1]


def argument(parameter: inspect.Parameter) -> str:
    """Its name in the usage line."""
    several = get_origin(get_args(parameter.annotation)[0]) is list or parameter.default is None
    return f"{info(parameter).metavar}{'...' if several else ''}"


def group_of(flag: inspect.Parameter) -> str:
    """The settings whose field it is: a name in two of them is told apart by its help."""
    for title, settings in GROUPS.items():
        field = settings.model_fields.get(flag.name)
        if field is not None and info(flag).help.startswith(str(field.description)):
            return title
    raise AssertionError(flag)


def row(flag: inspect.Parameter) -> str:
    """A flag as a row of a table."""
    kind, described = get_args(flag.annotation)
    declared = [d for d in (described.default, *described.param_decls) if isinstance(d, str)]
    name = ", ".join(declared) or "--" + flag.name.replace("_", "-")
    if kind is bool and not declared:
        name += f" / --no-{flag.name.replace('_', '-')}"
    elif kind is not bool:
        name += f" {metavar(kind, described)}"
    default = ("", "on")[flag.default] if kind is bool else flag.default
    return f"| `{name}` | {described.help} | {'' if default is None else default} |"


def metavar(kind: Any, described: Any) -> str:
    """What stands for the value of a flag."""
    if described.metavar:
        return described.metavar
    if get_origin(kind) is Literal:
        return r"\|".join(get_args(kind))
    numbers = [part for part in (kind, *get_args(kind)) if part in (int, float)]
    return {int: "N", float: "X"}[numbers[0]] if numbers else "STRING"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
