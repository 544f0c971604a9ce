"""Messages of the library, which it logs: expected ones in a list, any other is an error."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager


class Unexpected(logging.Handler):
    """Fails where the library logs a warning."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] == "charloom":
            raise AssertionError(f"an unexpected warning: {record.getMessage()}")


class _Kept(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def messages(level: int = logging.WARNING) -> Iterator[list[str]]:
    """What the library logs meanwhile, and nobody else sees."""
    logger, kept = logging.getLogger("charloom"), _Kept(level)
    before = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(level)
    logger.addHandler(kept)
    try:
        yield kept.messages
    finally:
        logger.removeHandler(kept)
        logger.propagate, level = before
        logger.setLevel(level)


@contextmanager
def warned(pattern: str) -> Iterator[None]:
    """One warning, with that pattern in it, has to be logged meanwhile."""
    with messages() as found:
        yield
    assert len(found) == 1, found
    assert re.search(pattern, found[0]), found[0]
