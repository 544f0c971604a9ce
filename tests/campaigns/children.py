"""Work in a child process, and what came of it in one line."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from messages import Unexpected

from charloom.errors import CharloomError
from charloom.files import replacing


def begin(work: Callable[[], object]) -> tuple[int, int]:
    """A child that does some work; its id, and the end of a pipe with its answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    os.close(reader)
    logging.getLogger().addHandler(Unexpected(logging.WARNING))
    try:
        work()
        answer = "done"
    except CharloomError as error:
        plain = str(error).isprintable()
        answer = f"refused: {error}" if plain else f"BROKEN: not one printable line: {error!r}"
    except BaseException as error:
        answer = f"BROKEN: {type(error).__name__}: {error}"
    try:
        os.write(writer, answer.encode()[:4000])
    finally:
        os._exit(0)


def answer_of(child: int, reader: int) -> str:
    """ "done", "refused: ...", "killed", or "BROKEN: ..."."""
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "killed" if number == signal.SIGKILL else f"BROKEN: signal {number}"
    return answer or "BROKEN: it ended without an answer"


def result_of(work: Callable[[], object]) -> str:
    """What came of some work in a child."""
    return answer_of(*begin(work))


@contextmanager
def slowly_replacing(path: Path, **options: bool) -> Iterator[BinaryIO]:
    """`replacing`, so slow that who starts at the same instant does not see the file yet."""
    with replacing(path, **options) as file:
        yield file
        time.sleep(0.2)
