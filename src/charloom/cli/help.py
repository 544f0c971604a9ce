"""Help of a command: flags in groups, each on a line of its own, readable at 60 columns."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import charloom

from .streams import say
from .verbs import VERB_GROUPS, VERBS

OWN = "Flags"
"""The group of flags that come from no settings."""

START = [
    ("charloom demo", "the blog's program, in a second"),
    ("charloom train book.txt", "a model of your own text"),
    ("charloom generate book.run", "a text by it"),
]
"""The first commands, for who knows none yet."""


class Command(TyperCommand):
    """A command whose help has its flags in the groups that `flags` names."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """MODEL [TEXT...] [FLAGS]."""
        arguments = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        return [*map(argument, arguments), "[FLAGS]"]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the command does; an indented paragraph, an example, is kept as it is."""
        for paragraph in (self.help or "").split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                if paragraph.startswith("    "):
                    formatter.write("\n".join(f"  {line}" for line in paragraph.splitlines()))
                    formatter.write("\n")
                else:
                    formatter.write_text(" ".join(paragraph.split()))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then each group of flags."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], OWN: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                text = getattr(parameter, "help", None) or ""
                groups["Arguments"].append((argument(parameter), text))
            else:
                panel = getattr(parameter, "rich_help_panel", None) or OWN
                groups.setdefault(panel, []).append(record)
        for title, records in groups.items():
            if not records:
                continue
            with formatter.section(title):
                for name, text in records:
                    formatter.write(f"{'':{formatter.current_indent}}{name}\n")
                    with formatter.indentation(), formatter.indentation():
                        formatter.write_text(text)


class Program(TyperGroup):
    """The program, whose help shows the whole first sentence of every command, in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with what it does."""
        width = max(map(len, VERBS))  # so that all groups have their text in one column
        for title, verbs in VERB_GROUPS.items():
            told = [(verb, self.commands[verb]) for verb in verbs if verb in self.commands]
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{v:{width}}", (c.help or "").partition("\n\n")[0]) for v, c in told]
                )
        with formatter.section("Start with"):
            formatter.write_dl(START)


def argument(parameter: Any) -> str:
    """How an argument is written in the usage line.

    >>> from types import SimpleNamespace
    >>> argument(SimpleNamespace(metavar="TEXT", name="text", nargs=-1, required=False))
    '[TEXT...]'
    """
    name = (parameter.metavar or parameter.name.upper()) + ("..." if parameter.nargs != 1 else "")
    return name if parameter.required else f"[{name}]"


def charloom_(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    """Character-level LSTM language models: train, generate, evaluate, score, explain."""
    if version:
        say(f"charloom {charloom.__version__}")
    elif context.invoked_subcommand is None:
        say(context.get_help())
