"""Calibration: how strange new lines are for their length, and from it p-values for others.

The strangeness of a line, to whose characters the model gave the probabilities p, is

    s = 2 ln(mean of p^(-1/2))

which is the power mean of 1 / p with the exponent 1/2, in nats of a character; if all were equally
probable it would be their surprisal. The exponent 0 would make it the mean surprisal. That drowns
one wrong letter of a long line in what is always surprising there, such as a key of random digits.
The exponent 1 has the same mean whatever the model expects, since the sum of p (1 / p) is the size
of the vocabulary; but then a single character decides, and gibberish, where each is a little
surprising, is lost. What each exponent finds stands in docs/measurements.md.

It depends on the length n: as a mean does, its spread falls with the root. So a line has the score

    (s - intercept - slope / sqrt(n)) sqrt(n)

with intercept and slope by least squares, weighted by n, over one half of the lines, taken at
random. The other half is ranked, and

    p-value = (1 + how many of them have at least this score) / (1 + how many there are)

This is a conformal p-value (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
2005; for tests of outliers: Bates, Candès, Lei, Romano and Sesia, Annals of Statistics 51, 2023),
of a locally weighted score (Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, Journal of the
American Statistical Association 113, 2018). Whatever model and score are worth, a new line of the
same source has a p-value of at most a with a probability of at most a, since it may as well stand
anywhere among those that are ranked. Ranked among those of its own length alone, a line would have
few beside it, and the least p-value is one in those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from typing_extensions import Self

from ...engines.random import uniform
from ...engines.weights import Array
from ...errors import TextError, counted
from ...settings import Settings
from ...text.vocabulary import Vocabulary
from ..surprisal import Surprisals, in_characters

FEWEST = 20
"""Parts that are ranked, at least; as many more are needed for the rest."""

_KEPT = 200
"""The highest scores that are all kept; below, each rank is 1 % further, and p at most 1 % high."""

_DIGITS = 4
"""Of a score after the point, so that equal lines have equal ones."""

_EXPONENT = 0.5

_MOST = 600.0
"""Nats of a character that make a difference; the exponential of more leaves float64."""

_Rank = Annotated[int, Field(ge=1, lt=2**63)]


class Calibration(Settings):
    """How strange lines, or windows of a stream, are that are not odd.

    >>> usual = calibrated(np.array([10, 20] * 39), np.linspace(1, 2, 78))
    >>> usual.parts, usual.lowest
    (39, 0.025)
    >>> usual.p_values(np.array([10, 10]), np.array([9.0, 0.0])).tolist()
    [0.025, 1.0]
    """

    model_config = ConfigDict(allow_inf_nan=False)

    parts: _Rank = Field(description="lines or windows that are ranked")
    window: int = Field(
        default=0, ge=0, lt=2**31, description="characters of a window; 0 for lines"
    )
    intercept: float = Field(description="strangeness of a part that is very long")
    slope: float = Field(description="what a part has more by the inverse root of its length")
    ranks: tuple[_Rank, ...] = Field(
        max_length=10_000, repr=False, description="of the scores, 1 the highest"
    )
    scores: tuple[float, ...] = Field(max_length=10_000, repr=False, description="falling")

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

    def expected(self, lengths: Array) -> Array:
        """(N,) The strangeness that is usual for parts of so many characters (N,)."""
        return self.intercept + self.slope / np.sqrt(lengths)

    def p_values(self, lengths: Array, strangeness: Array) -> Array:
        """(N,) p-values of parts of so many characters (N,), and so strange (N,)."""
        falling = -np.array(self.scores)
        found = _scores(lengths, strangeness, self.intercept, self.slope)
        # The first score that is lower: all ranks before its own may be as high.
        below = np.searchsorted(falling, -found, side="right")
        after = np.array([*self.ranks, self.parts + 1])
        return after[below] / (1 + self.parts)


def calibrated(lengths: Array, strangeness: Array, window: int = 0) -> Calibration:
    """The calibration by parts of so many characters (N,), and so strange (N,).

    TextError for too few.
    """
    count = len(lengths)
    if count < 2 * FEWEST:
        what = f"window of {counted(window, 'character')}" if window else "line that is not empty"
        raise TextError(
            f"too few to calibrate with: {count:,} x a {what}; at least {2 * FEWEST} are needed"
        )
    order = np.argsort(uniform(np.zeros(count, np.uint64), np.arange(count)), kind="stable")
    fitted, ranked = order[: count // 2], order[count // 2 :]
    roots = np.sqrt(lengths[fitted])
    columns = np.stack([roots, np.ones(len(roots))], axis=1)
    (intercept, slope), *_ = np.linalg.lstsq(columns, strangeness[fitted] * roots, rcond=None)
    falling = -np.sort(-_scores(lengths[ranked], strangeness[ranked], intercept, slope))
    ranks = np.unique(np.append(_ranks(len(falling)), len(falling)))
    return Calibration(
        parts=len(falling),
        window=window,
        intercept=float(intercept),
        slope=float(slope),
        ranks=tuple(ranks.tolist()),
        scores=tuple(falling[ranks - 1].tolist()),
    )


def _scores(lengths: Array, strangeness: Array, intercept: float, slope: float) -> Array:
    roots = np.sqrt(lengths)
    return np.round((strangeness - intercept) * roots - slope, _DIGITS) + 0.0  # no negative zero


def strangeness_of(nats: Array, starts: Array) -> Array:
    """(N,) How strange parts are that start at these places (N,), of the nats of all characters.

    >>> strangeness_of(np.log([4.0, 16.0, 8.0]), np.array([0, 2])).round(4).tolist()  # of 9 and 8
    [2.1972, 2.0794]
    """
    lengths = np.diff(starts, append=len(nats))
    powers = np.exp(_EXPONENT * np.minimum(nats, _MOST))
    return np.log(np.add.reduceat(powers, starts) / lengths) / _EXPONENT


def _ranks(count: int) -> Array:
    """Which scores are kept, of so many."""
    spread = np.exp(np.arange(0.0, np.log(max(count / _KEPT, 1.0)), np.log(1.01)))
    return np.append(np.arange(1, min(_KEPT, count) + 1), (_KEPT * spread).astype(np.int64))


class LineStrangeness:
    """How strange lines are, and how long, gathered while blocks of whole lines pass by."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lengths: list[Array] = [np.empty(0)]
        self._found: list[Array] = [np.empty(0)]

    def through(self, found: Iterable[Surprisals]) -> Iterator[Surprisals]:
        """The blocks, each counted in."""
        for block in found:
            for whole in in_characters(self._vocabulary, [block]):
                ends = np.flatnonzero(whole.ids == self._vocabulary.newline_id) + 1
                starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
                full = ends - starts > 1  # an empty line is none that a model of lines learns
                self._lengths.append((ends - starts)[full])
                self._found.append(strangeness_of(whole.nats, starts)[full])
            yield block

    def calibration(self) -> Calibration | None:
        """By these lines; None where they are too few."""
        lengths, found = np.concatenate(self._lengths), np.concatenate(self._found)
        return calibrated(lengths, found) if len(lengths) >= 2 * FEWEST else None
