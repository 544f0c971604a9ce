"""The command line: what all verbs have in common.

Results go to standard output, all else to standard error. An error is one line; the exit
status is 2 for wrong use, 1 for failure, 130 after Ctrl-C, and, without a word, 141 where the
reader of a pipe has gone. Flags are made from the settings classes, where each has its help,
bounds and default.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from typing import Any

import charloom

from ..errors import CharloomError, GroupError, SettingsError
from . import lazy, streams


def main(arguments: list[str] | None = None) -> int:
    """Run a command line (that of the process by default); the exit status.

    >>> main(["evaluate", "no-such-model", "book.txt"])
    1
    """
    lazy.prepare()
    streams.prepare()
    arguments = sys.argv[1:] if arguments is None else arguments
    with warnings.catch_warnings(), streams.messages_of(logging.getLogger("charloom")):
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: streams.tell(f"charloom: warning: {message}")
        try:
            status = _run(arguments)
            if status == 0:
                streams.flush()
        except CharloomError as error:
            known = _flags_and_arguments(arguments)
            return _complain(error, 2 if isinstance(error, SettingsError) else 1, known)
        except KeyboardInterrupt:
            status = 130
        except streams.NoReaderError:
            streams.abandon(sys.stdout)
            return 128 + signal.SIGPIPE  # what a shell says of a program that it has ended
        except OSError as error:
            return _complain(f"{error.filename or 'output'}: {error.strerror or error}", 1)
        except MemoryError:
            return _complain("there is not enough memory; choose smaller settings", 1)
    return status


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:  # for which nothing more need be loaded
        streams.say(f"charloom {charloom.__version__}")
        return 0
    import typer
    from typer.main import get_command

    command = get_command(lazy.app(lazy.asked_for(arguments)))
    try:
        status = command.main(arguments, prog_name="charloom", standalone_mode=False)
    except typer.TyperException as error:
        return _complain(_misused(error), error.exit_code)
    except typer.Abort:
        return 130
    except SystemExit as error:  # by which typer ends where nobody reads help
        if isinstance(error.__context__, BrokenPipeError):
            raise streams.NoReaderError from None
        raise
    return status if isinstance(status, int) else 0


def _misused(error: Any) -> str:
    """What typer complains of, in one line that names the next step."""
    from pydantic import ValidationError
    from typer import BadParameter

    from ..settings import given_and_expected

    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if parameter is not None and type(error) is BadParameter:
        name = parameter.opts[-1] if parameter.opts[0][0] == "-" else parameter.metavar
        cause = error.__cause__
        told = given_and_expected(cause) if isinstance(cause, ValidationError) else error.message
        return f"{name}: {told}"
    command = context.command_path if context is not None else "charloom"
    return f"{error.format_message().removesuffix('.')}; see {command} --help"


def _flags_and_arguments(arguments: list[str]) -> set[str] | None:
    """What can be given to the command that was asked for."""
    from typer.main import get_command

    verbs = lazy.asked_for(arguments)
    if len([*verbs]) != 1:
        return None
    (command,) = get_command(lazy.app(verbs)).commands.values()  # pyright: ignore
    return {
        name
        for parameter in command.params
        for name in (
            [parameter.metavar]
            if parameter.param_type_name == "argument"
            else [*parameter.opts, *parameter.secondary_opts]
        )
    }


def _complain(error: CharloomError | str, status: int, known: set[str] | None = None) -> int:
    if isinstance(error, CharloomError):
        from .flags import as_flags

        if isinstance(error, GroupError) and os.environ.get("RANK", "0") != "0":
            return status  # process 0 tells it
        error = as_flags(error, known)
    streams.tell(f"charloom: {error}")
    try:
        streams.flush()
    except (CharloomError, streams.NoReaderError):
        streams.abandon(sys.stdout)
    return status


def demo() -> None:
    """Run the blog's program, The Fox and the Crow, step by step.

    For example:

        charloom demo
    """
    from ..demo import tell

    for line in tell():
        streams.say(line)
