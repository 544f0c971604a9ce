"""Two models on one text: the bits of each, their difference with its interval, and its places.

Both read the same characters, so the difference is taken character by character, and what makes
a stretch hard for both of them drops out of it. Neighboring characters are not independent; the
text is therefore cut into blocks of equal length, and the spread of the blocks' means gives the
interval: mean +- t s / sqrt(n), with Student's t for n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..engines.weights import Array
from ..errors import TextError
from ..settings import check_within
from ..text.unknown import no_warning_of_unknown, warn_of_unknown
from .model import Model, Text, check_model
from .scoring import Part, Score, by_word

BLOCKS = 20
"""Blocks of the text; each mean of them is one observation."""

SHORTEST_BLOCK = 100
"""Characters; a text with fewer for each block has no interval."""

_T_95 = 2.093  # Student's t, two-sided 95 %, 19 degrees of freedom


@dataclass(frozen=True, kw_only=True)
class Place:
    """A word of the text, and what it counts in each model."""

    start: int
    """Position of its first character."""
    text: str
    bits_a: float
    bits_b: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two models make of one text."""

    a: Score
    b: Score
    difference: float
    """Bits per character of b less those of a: negative where b is better."""
    interval: tuple[float, float] | None
    """Where the difference lies in 95 of 100 such texts; None for a text too short to tell."""
    block_characters: int
    """Of each of the BLOCKS blocks; what is left over at the end counts in the rest alone."""
    a_better: tuple[Place, ...]
    """Words that count least in a by comparison, the greatest difference first."""
    b_better: tuple[Place, ...]
    a_computed_with: dict[str, str]
    """Precision and kernels."""
    b_computed_with: dict[str, str]


def compare(a: Model, b: Model, text: Text, *, places: int = 10) -> Comparison:
    r"""Measure two models on one text, each read as one stream, as `Model.score` does.

    `places` is how many words are told where either is better. TextError for a text that the
    models do not read as the same characters, since one of them normalizes it in another way.

    >>> import charloom
    >>> vocabulary = charloom.Vocabulary.of("the fox and the crow\n")
    >>> a, b = (
    ...     charloom.Model.untrained(charloom.ModelSettings(hidden_size=n), vocabulary)
    ...     for n in (8, 16)
    ... )
    >>> found = charloom.compare(a, b, "the fox and the crow\n" * 100, places=1)
    >>> found.difference == found.b.bits_per_character - found.a.bits_per_character
    True
    >>> low, high = found.interval
    >>> low < found.difference < high
    True
    >>> found.a_better[0].bits_a < found.a_better[0].bits_b
    True
    """
    check_model("a", a)
    check_model("b", b)
    check_within("places", places, 0)
    whole = "".join(a.pieces(text))
    if "".join(b.pieces([whole])) != whole or "".join(a.pieces([whole])) != whole:
        raise TextError(
            "the two models do not read this text as the same characters: one of them "
            "normalizes it; give a text that is normalized already"
        )
    if a.lines != b.lines and not whole.endswith("\n"):
        whole += "\n"  # a model of lines would read it, and the other one would not
    with no_warning_of_unknown():
        parts = [list(model.score([whole])) for model in (a, b)]
    unknown = [model.vocabulary.unknown_characters(whole) for model in (a, b)]
    for named in unknown[:1] if unknown[0] == unknown[1] else unknown:
        warn_of_unknown(named)
    nats = [np.array([part.nats for part in found]) for found in parts]
    scores = [sum((part.score for part in found), Score()) for found in parts]
    per_character = (nats[1] - nats[0]) / math.log(2)
    words = _words(parts[0], parts[1])
    by_gain = sorted(words, key=lambda word: -abs(word.bits_b - word.bits_a))
    return Comparison(
        a=scores[0],
        b=scores[1],
        difference=scores[1].bits_per_character - scores[0].bits_per_character,
        interval=_interval(per_character),
        block_characters=len(per_character) // BLOCKS,
        a_better=tuple(w for w in by_gain if w.bits_a < w.bits_b)[:places],
        b_better=tuple(w for w in by_gain if w.bits_b < w.bits_a)[:places],
        a_computed_with=a.computed_with,
        b_computed_with=b.computed_with,
    )


def _interval(difference: Array) -> tuple[float, float] | None:
    """Of the mean of a difference (N,), by the spread between blocks."""
    size = len(difference) // BLOCKS
    if size < SHORTEST_BLOCK:
        return None
    means = difference[: size * BLOCKS].reshape(BLOCKS, size).mean(axis=1)
    half = _T_95 * float(means.std(ddof=1)) / math.sqrt(BLOCKS)
    center = float(difference.mean())
    return center - half, center + half


def _words(a: Iterable[Part], b: Iterable[Part]) -> list[Place]:
    """The words of a text, with the bits of each in both."""
    return [
        Place(start=one.start, text=one.text, bits_a=one.bits, bits_b=other.bits)
        for one, other in zip(by_word(a), by_word(b), strict=True)
    ]
