"""Start-up: a command loads its own verb, and of the library only what it uses.

`charloom` itself loads a public name when it is first used, so commands import nothing else.
The rest is here: a program with the verbs that are asked for, and what NumPy and pydantic must find
in the environment before they are loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING

from .verbs import VERBS

if TYPE_CHECKING:
    import typer


def prepare() -> None:
    """Set the environment; call it before NumPy or pydantic is loaded."""
    # NumPy's only product here is made once, for the first weights, and many BLAS threads on
    # a busy machine take far longer for it than one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Pydantic looks for plugins in every package that is installed; there are none for us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def app(verbs: Iterable[str] = tuple(VERBS)) -> typer.Typer:
    """The program with these verbs alone: those that are not asked for need not be loaded.

    >>> [command.name for command in app(["demo"]).registered_commands]
    ['demo']
    """
    import typer

    from .help import Command, Program, charloom_

    program = typer.Typer(
        cls=Program,
        rich_markup_mode=None,  # rich's help cuts the names of flags off in a narrow terminal
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback(invoke_without_command=True)(charloom_)
    for verb in verbs:
        home = import_module(f".{VERBS[verb]}", __package__)
        name = verb.replace("-", "_") + "_" * iskeyword(verb)
        program.command(verb, cls=Command)(getattr(home, name))
    return program


def asked_for(arguments: list[str]) -> Iterable[str]:
    """The verbs that a command line needs: its own, or all of them.

    >>> asked_for(["generate", "book.run"])
    ['generate']
    """
    return [verb for verb in arguments[:1] if verb in VERBS] or VERBS
