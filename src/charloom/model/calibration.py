"""Calibration: what new lines count for their length, and from it a p-value for any other line.

A line of n characters that counts S nats has the score

    (S - intercept - slope n) / sqrt(n)

since the surprisal of a text grows with its length as a sum does: its mean in a straight line, its
spread with the root. The line is least squares of S on n, weighted by 1 / n, over one half of the
lines, taken at random; the other half is ranked, and

    p = (1 + how many of them have at least this score) / (1 + how many there are)

This is a conformal p-value (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
2005; for tests of outliers: Bates, Candès, Lei, Romano and Sesia, Annals of Statistics 51, 2023).
Whatever the model is worth, a new line of the same source has p <= a with a probability of at most
a, since ranked and new lines are exchangeable. Dividing by a spread that depends on the length is
the locally weighted score of Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (Journal of the
American Statistical Association 113, 2018): with it short and long lines have as many alarms.
Matching by length instead would rank a line among those of its length alone: too few, where the
least p is 1 / (1 + how many), and none where a line is longer than all before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from typing_extensions import Self

from ..engines.random import uniform
from ..engines.weights import Array
from ..errors import TextError
from ..settings import Settings
from ..text.vocabulary import Vocabulary
from .surprisal import Surprisals

FEWEST = 20
"""Parts that are ranked, at least; as many more are needed for the straight line."""

_KEPT = 200
"""The highest scores that are all kept; below, each rank is 1 % further, and p at most 1 % high."""

_DIGITS = 4
"""Of a score after the point, so that equal lines have equal ones."""

_Rank = Annotated[int, Field(ge=1, lt=2**63)]


class Calibration(Settings):
    """What lines, or windows of a stream, count for their length, in nats.

    >>> lengths, nats = np.array([5, 10] * 40), np.linspace(10, 30, 80)
    >>> calibration = calibrated(lengths, nats)
    >>> calibration.parts, calibration.lowest
    (40, 0.024390243902439025)
    >>> [float(p) for p in calibration.p_values(np.array([10, 10]), np.array([900.0, 0.0]))]
    [0.024390243902439025, 1.0]
    """

    model_config = ConfigDict(allow_inf_nan=False)

    parts: _Rank = Field(description="lines or windows that are ranked")
    window: int = Field(
        default=0, ge=0, lt=2**31, description="characters of a window; 0 for lines"
    )
    intercept: float = Field(description="nats of a part, however short")
    slope: float = Field(description="nats that each character adds")
    ranks: tuple[_Rank, ...] = Field(max_length=10_000, description="of the scores, 1 the highest")
    scores: tuple[float, ...] = Field(max_length=10_000, description="falling")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising = all(a < b for a, b in pairwise(self.ranks))
        falling = all(a >= b for a, b in pairwise(self.scores))
        if not (
            len(self.ranks) == len(self.scores) > 0
            and rising
            and falling
            and self.ranks[0] == 1
            and self.ranks[-1] == self.parts
        ):
            raise ValueError("a calibration needs a score for each rank, from 1 to its parts")
        return self

    @property
    def lowest(self) -> float:
        """The least p-value that there can be."""
        return 1 / (1 + self.parts)

    def p_values(self, lengths: Array, nats: Array) -> Array:
        """(N,) p-values of parts that have so many characters (N,) and nats (N,)."""
        found = self._scores(lengths, nats)
        falling = -np.array(self.scores)
        # The first score that is lower: all ranks before its own may be as high.
        below = np.searchsorted(falling, -found, side="right")
        after = np.array([*self.ranks, self.parts + 1])
        return after[below] / (1 + self.parts)

    def _scores(self, lengths: Array, nats: Array) -> Array:
        return _scores(lengths, nats, self.intercept, self.slope)


def calibrated(lengths: Array, nats: Array, window: int = 0) -> Calibration:
    """The calibration by parts of so many characters (N,) and nats (N,); TextError for too few."""
    count = len(lengths)
    if count < 2 * FEWEST:
        what = f"windows of {window} characters" if window else "lines that are not empty"
        raise TextError(
            f"{count} {what} are too few to calibrate with; at least {2 * FEWEST} are needed"
        )
    order = np.argsort(uniform(np.zeros(count, np.uint64), np.arange(count)), kind="stable")
    fitted, ranked = order[: count // 2], order[count // 2 :]
    roots = np.sqrt(lengths[fitted])
    columns = np.stack([1 / roots, roots], axis=1)
    (intercept, slope), *_ = np.linalg.lstsq(columns, nats[fitted] / roots)
    scores = -np.sort(-_scores(lengths[ranked], nats[ranked], intercept, slope))
    ranks = np.unique(np.append(_ranks(len(scores)), len(scores)))
    return Calibration(
        parts=len(scores),
        window=window,
        intercept=float(intercept),
        slope=float(slope),
        ranks=tuple(ranks.tolist()),
        scores=tuple(scores[ranks - 1].tolist()),
    )


def _scores(lengths: Array, nats: Array, intercept: float, slope: float) -> Array:
    found = (nats - intercept - slope * lengths) / np.sqrt(lengths)
    return np.round(found, _DIGITS) + 0.0  # no negative zero


def _ranks(count: int) -> Array:
    """Which scores are kept, of so many."""
    spread = np.exp(np.arange(0.0, np.log(max(count / _KEPT, 1.0)), np.log(1.01)))
    return np.append(np.arange(1, min(_KEPT, count) + 1), (_KEPT * spread).astype(np.int64))


class LineTotals:
    """Characters and nats of each line, gathered while blocks of whole lines pass by."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lengths: list[Array] = []
        self._nats: list[Array] = []

    def through(self, found: Iterable[Surprisals]) -> Iterator[Surprisals]:
        """The blocks, each counted in."""
        for block in found:
            begins = np.ones(len(block.ids), np.int64)
            if self._vocabulary.kind == "bytes":
                begins[:] = (block.ids & 0xC0) != 0x80
            ends = np.flatnonzero(block.ids == self._vocabulary.newline_id) + 1
            starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
            lengths = np.add.reduceat(begins, starts)
            full = lengths > 1  # an empty line is none that a model of lines learns
            self._lengths.append(lengths[full])
            self._nats.append(np.add.reduceat(block.nats, starts)[full])
            yield block

    def calibration(self) -> Calibration | None:
        """By these lines; None where they are too few."""
        lengths, nats = (np.concatenate([[], *some]) for some in (self._lengths, self._nats))
        return calibrated(lengths, nats) if len(lengths) >= 2 * FEWEST else None
