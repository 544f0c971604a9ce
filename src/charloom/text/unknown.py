"""Characters that a model has never seen, named in one warning."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from ..errors import counted

logger = logging.getLogger(__name__)

_counted_elsewhere = ContextVar("_counted_elsewhere", default=False)


@contextmanager
def no_warning_of_unknown() -> Iterator[None]:
    """For callers that count unknown characters themselves."""
    token = _counted_elsewhere.set(True)
    try:
        yield
    finally:
        _counted_elsewhere.reset(token)


def warn_of_unknown(unknown: Mapping[str, int]) -> None:
    """Name characters that are read as the unknown, and their counts, in one warning."""
    if not unknown or _counted_elsewhere.get():
        return
    named = ", ".join(
        f"{character!r} (U+{ord(character):04X}) {count}x"
        for character, count in Counter(unknown).most_common(8)
    )
    more = f" and {counted(len(unknown) - 8, 'other')}" if len(unknown) > 8 else ""
    logger.warning("the model has never seen %s%s; read as its unknown character", named, more)
