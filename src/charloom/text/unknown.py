"""Characters that a model has never seen, named in one warning."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

logger = logging.getLogger(__name__)


def warn_of_unknown(unknown: Mapping[str, int]) -> None:
    """Name characters that are read as the unknown, and their counts, in one warning."""
    if not unknown:
        return
    named = ", ".join(
        f"{character!r} (U+{ord(character):04X}) {count}x"
        for character, count in Counter(unknown).most_common(8)
    )
    more = f" and {len(unknown) - 8} others" if len(unknown) > 8 else ""
    logger.warning("the model has never seen %s%s; read as its unknown character", named, more)
