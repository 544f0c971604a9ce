"""The command line: what all verbs have in common; commands/ has the verbs.

Results go to standard output, all else to standard error. An error is one line; the exit
status is 2 for wrong use, 1 for failure, and 130 after Ctrl-C. Flags are made from the
settings classes, where each has its help, bounds and default.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

import charloom

from ..errors import CharloomError, SettingsError
from .flags import as_flags

VERBS = {
    "train": "training",
    **dict.fromkeys(("generate", "evaluate", "score", "info"), "model"),
    **dict.fromkeys(("serve", "inspect", "explain", "memory", "units"), "inspection"),
    "plot": "training",
    "demo": "main",
}
"""Where each verb lives; it is loaded when asked for, so that a command starts fast."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line (that of the process by default); the exit status.

    >>> main(["evaluate", "no-such-model", "book.txt"])
    1
    """
    # Before NumPy is loaded: its only product here is made once, for the first weights, and
    # many BLAS threads on a busy machine take far longer for it than one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Pydantic looks for plugins in every package that is installed; there are none for us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _write_utf8(sys.stdout)
    arguments = sys.argv[1:] if arguments is None else arguments
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _warn
        try:
            command = get_command(app([verb for verb in arguments[:1] if verb in VERBS] or VERBS))
            status = command.main(arguments, prog_name="charloom", standalone_mode=False)
            sys.stdout.flush()
        except SettingsError as error:
            return _complain(as_flags(str(error)), 2)
        except CharloomError as error:
            return _complain(str(error), 1)
        except typer.TyperException as error:
            return _complain(error.format_message(), error.exit_code)
        except KeyboardInterrupt:
            status = 130
        except BrokenPipeError:
            return _quietly()
        except OSError as error:
            return _complain(f"{error.filename or 'output'}: {error.strerror or error}", 1)
        except MemoryError:
            return _complain("there is not enough memory; choose smaller settings", 1)
    return status if isinstance(status, int) else 0


def _write_utf8(stream: Any) -> None:
    """Files and pipes are UTF-8 whatever the locale; a terminal shows what it can."""
    if hasattr(stream, "reconfigure"):
        encoding = stream.encoding if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="replace")


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"charloom: {line}", file=sys.stderr)
    return status


def _warn(message: Warning | str, *place: object) -> None:
    print(f"charloom: warning: {message}", file=sys.stderr)


def _quietly() -> int:
    """End without a word: who was reading has seen enough, as with `| head`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # what is still in the buffer goes there
    return 1


def app(verbs: Iterable[str]) -> typer.Typer:
    """The program with these verbs alone: those that are not asked for need not be loaded.

    >>> [command.callback.__name__ for command in app(["demo"]).registered_commands]
    ['demo']
    """
    program = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,  # rich's help cuts the names of flags off in a narrow terminal
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback(invoke_without_command=True)(charloom_)
    for verb in verbs:
        home = import_module(f".{VERBS[verb]}", __package__)
        program.command()(getattr(home, verb))
    return program


def charloom_(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    """Character-level LSTM language models: train, generate, evaluate, score."""
    if version:
        print(f"charloom {charloom.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def demo() -> None:
    """Tell the blog's program, The Fox and the Crow."""
    from ..demo import tell

    for line in tell():
        print(line, flush=True)
