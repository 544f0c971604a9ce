"""Write docs/cli.md from the commands themselves: `python scripts/make_cli_docs.py`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from charloom.cli.flags import GROUPS
from charloom.cli.help import OWN
from charloom.cli.lazy import app
from charloom.cli.verbs import VERB_GROUPS

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"

OPENING = """\
# The command line

<!-- Written by scripts/make_cli_docs.py from the commands' help: change that, not this. -->

Results go to standard output, progress and warnings to standard error. An error is one
line. The exit status is 0 for success, 1 for failure, 2 for wrong use, 130 after Ctrl-C, and
141 where the reader of a pipe has gone, as `head` does.
`charloom COMMAND --help` shows what stands here, and `charloom --install-completion` makes the
Tab key complete commands and flags.
"""


def page() -> str:
    """The whole page."""
    commands = {c.name: c.callback for c in app().registered_commands}
    parts = [OPENING]
    for title, verbs in VERB_GROUPS.items():
        parts += [f"## {title}\n", *(section(verb, commands[verb]) for verb in verbs)]
    return "\n".join(parts)


def section(name: str, command: Callable[..., Any]) -> str:
    """A command: how it is called, what it does, and a table for each group of its flags."""
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    described = [p for p in parameters if p.annotation is not typer.Context]
    arguments = [p for p in described if isinstance(info(p), type(typer.Argument()))]
    flags = [p for p in described if p not in arguments]
    usage = ["charloom", name, *(argument(p) for p in arguments)]
    text, _, example = inspect.cleandoc(command.__doc__ or "").partition("\n\nFor example:\n\n")
    parts = [
        f"### {name}",
        f"```sh\n{' '.join(usage)}{' [FLAGS]' if flags else ''}\n```",
        text,
        f"```sh\n{inspect.cleandoc(example)}\n```",
        "\n".join(f"* `{metavar(p)}`: {info(p).help}" for p in arguments),
    ]
    tables: dict[str, list[inspect.Parameter]] = {OWN: [], **{t: [] for t in GROUPS.values()}}
    for flag in flags:
        tables.setdefault(info(flag).rich_help_panel or OWN, []).append(flag)
    for title, members in tables.items():
        if members:
            rows = ["| flag | what it does | default |", "|---|---|---|", *map(row, members)]
            parts.append("\n".join([f"{title}:", "", *rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


def info(parameter: inspect.Parameter) -> Any:
    """What typer was told of a parameter."""
    return get_args(parameter.annotation)[1]


def metavar(parameter: inspect.Parameter) -> str:
    """The name of an argument: TEXT, or TEXT... for several."""
    kinds = [get_args(parameter.annotation)[0], *get_args(get_args(parameter.annotation)[0])]
    several = any(get_origin(kind) is list for kind in kinds)
    return f"{info(parameter).metavar}{'...' if several else ''}"


def argument(parameter: inspect.Parameter) -> str:
    """An argument in the usage line, in brackets if it can be left out."""
    name = metavar(parameter)
    return name if parameter.default is parameter.empty else f"[{name}]"


def row(flag: inspect.Parameter) -> str:
    """A flag as a row of a table."""
    kind, described = get_args(flag.annotation)
    declared = [d for d in (described.default, *described.param_decls) if isinstance(d, str)]
    name = ", ".join(declared) or "--" + flag.name.replace("_", "-")
    if kind is bool and not declared:
        name += f" / --no-{flag.name.replace('_', '-')}"
    elif kind is not bool:
        name += f" {value(kind, described)}"
    default = "" if flag.default in (None, flag.empty) else flag.default
    if kind is bool:
        default = "on" if flag.default else ""
    return f"| `{name}` | {described.help} | {default} |"


def value(kind: Any, described: Any) -> str:
    """What stands for the value of a flag."""
    if described.metavar:
        return described.metavar
    if get_origin(kind) is Literal:
        return r"\|".join(get_args(kind))
    numbers = [part for part in (kind, *get_args(kind)) if part in (int, float)]
    return {int: "N", float: "X"}[numbers[0]] if numbers else "STRING"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
