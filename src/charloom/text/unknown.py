"""Characters that a model has never seen, named in one warning."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping


class UnknownCharacterWarning(UserWarning):
    """Characters were read that the model has never seen."""


def warn_of_unknown(unknown: Mapping[str, int]) -> None:
    """Name characters that are read as the unknown, and their counts, in one warning."""
    if not unknown:
        return
    named = ", ".join(
        f"{character!r} (U+{ord(character):04X}) {count}x"
        for character, count in Counter(unknown).most_common(8)
    )
    more = f" and {len(unknown) - 8} others" if len(unknown) > 8 else ""
    warnings.warn(
        f"the model has never seen {named}{more}; read as its unknown character",
        UnknownCharacterWarning,
        stacklevel=3,
    )
