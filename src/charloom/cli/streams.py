"""Results go to standard output, all else to standard error, whatever these are.

Either may be closed, full, replaced by an object of the caller's, or a terminal that has gone.
A result that cannot be written is an error; a message that cannot be written is dropped, so
that a failing display never ends a run, and never ends up among the results.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import charloom

from ..errors import OutputError

FAILURES = (OSError, ValueError, AttributeError)
"""What writing to a stream raises when it is full, closed, or no stream at all."""


def prepare() -> None:
    """Make the standard streams fit for use; call it first."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: else the next file that is opened would take its place
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        # Files and pipes are UTF-8 whatever the locale; a terminal shows what it can.
        if isinstance(stream, io.TextIOWrapper):
            encoding = stream.encoding if is_terminal(stream) else "utf-8"
            with suppress(*FAILURES):
                stream.reconfigure(encoding=encoding, errors="backslashreplace")


def is_terminal(stream: Any) -> bool:
    """Whether somebody looks at a stream; False for one that is closed or no stream."""
    try:
        return bool(stream.isatty())
    except FAILURES:
        return False


class NoReaderError(Exception):
    """Who read standard output has seen enough, as with `| head`."""


def say(text: str, end: str = "\n") -> None:
    """Print a result. On a terminal, what it would act on is spelled out.

    OutputError if it cannot be written; NoReaderError if nobody reads it any more.
    """
    if sys.stdout is None:
        raise OutputError("output: standard output is closed; open it, or send it to a file")
    if is_terminal(sys.stdout):
        text = charloom.visible(text, keep="\n\t")
    flush(text + end)


def flush(text: str = "") -> None:
    """Write to standard output, if there is one, at once; raises what `say` raises."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise NoReaderError from None
    except FAILURES as error:
        raise OutputError(f"output: {getattr(error, 'strerror', None) or error}") from None


def tell(message: str) -> None:
    """Print a message, in a line; nothing happens where it cannot be shown."""
    if sys.stderr is not None:  # where print would turn to standard output
        with suppress(*FAILURES):
            message = re.sub(r" *[\r\n]+ *", " ", message)
            sys.stderr.write(charloom.visible(message) + "\n")
            sys.stderr.flush()


class _Messages(logging.Handler):
    """Shows what the library warns of, each message once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.shown:
            self.shown.add(message)
            tell(f"charloom: warning: {message}")


@contextmanager
def messages_of(logger: logging.Logger) -> Iterator[None]:
    """Show the warnings of a logger here, and nowhere else, for as long as a command runs."""
    handler, before = _Messages(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def abandon(stream: Any) -> None:
    """Send what is left in a stream's buffer nowhere, so that exiting does not fail by it."""
    with suppress(*FAILURES):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
