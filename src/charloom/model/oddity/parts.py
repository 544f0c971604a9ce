"""The odd lines of a text: those with a low p-value, and the characters that made them odd.

A part is a line or, of a stream, a window of so many characters. Its p-value is calibration.py's.
The characters that made a part odd are the fewest that would leave a part which is not odd, had
each no more surprisal than is usual in a part as long; each of them has more than any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...engines.weights import Array
from ...errors import SettingsError, counted
from ...settings import USUAL_THRESHOLD, OddSettings
from ...text.vocabulary import Vocabulary
from ..predictor import Predictor
from ..scoring import SEGMENTS, WARMUP, TextInBlocks
from ..surprisal import (
    Surprisals,
    arriving_surprisals,
    in_characters,
    segment_surprisals,
    surprisals,
)
from .calibration import Calibration, calibrated, strangeness_of

ORDINARY = 0.05
"""A part with a larger p-value has no characters that make it odd, whatever the threshold."""


@dataclass(frozen=True, kw_only=True)
class OddPart:
    """A line, or a window of a stream, that is odd.

    >>> part = OddPart(
    ...     number=3, start=40, text="a q!", nats=20, p=0.01, spans=((2, 4),), unknown_characters=0
    ... )
    >>> part.marked, round(part.bits, 3)
    (['q!'], 28.854)
    """

    number: int
    """Of the line or window; the first is 1."""
    start: int
    """Position of its first character in the text."""
    text: str
    """Without its line feed."""
    nats: float
    """Its surprisal, that of the line feed included."""
    p: float
    """At least the chance that a part which is not odd is as strange for its length."""
    spans: tuple[tuple[int, int], ...]
    """Where the characters that made it odd start and stop in `text`; the line feed is its end."""
    unknown_characters: int

    @property
    def bits(self) -> float:
        """Its surprisal in bits."""
        return self.nats / math.log(2)

    @property
    def marked(self) -> list[str]:
        """The characters that made it odd."""
        return [f"{self.text}\n"[start:stop] for start, stop in self.spans]

    def to_json(self) -> dict[str, Any]:
        """Its fields and bits, as plain JSON."""
        return {**asdict(self), "spans": [list(span) for span in self.spans], "bits": self.bits}


class OddParts(Iterator[OddPart]):
    """The odd parts of a text, in their order, found while they are asked for."""

    def __init__(
        self,
        predictor: Predictor,
        pieces: Iterable[str],
        calibration: Calibration,
        settings: OddSettings,
        *,
        live: bool = False,
    ) -> None:
        self.read = 0
        """Lines or windows that were looked at so far."""
        self.threshold = settings.threshold or max(USUAL_THRESHOLD, calibration.lowest)
        """The largest p-value of an odd part."""
        self._calibration = calibration
        self._vocabulary = predictor.vocabulary
        if self.threshold < calibration.lowest:
            ranked = "ranked window" if calibration.window else "ranked line"
            raise SettingsError(
                f"threshold: {self.threshold:g} was given, and of "
                f"{counted(calibration.parts, ranked)} "
                f"no p-value is below {calibration.lowest:.2g}; give at least that, or "
                "calibrate with more text"
            )
        self._text = TextInBlocks(predictor, pieces, keep=True, warn=False)
        found = _read(predictor, self._text.blocks(), live)
        self._blocks = _at_ends(predictor.vocabulary, found, calibration.window)
        self._start = 0
        self._found = self._search()

    def __next__(self) -> OddPart:
        return next(self._found)

    def _search(self) -> Iterator[OddPart]:
        number = 0
        for block, ends in self._blocks:
            text = self._text.take(len(block.ids))
            starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
            strangeness = strangeness_of(block.nats, starts)
            p = self._calibration.p_values(ends - starts, strangeness)
            p[_empty(self._vocabulary, block, ends)] = np.inf
            self.read += int(np.isfinite(p).sum())
            for n in np.flatnonzero(p <= self.threshold):
                place = slice(int(starts[n]), int(ends[n]))
                part = Surprisals(*(values[place] for values in block))
                yield self._part(number + int(n) + 1, place, text[place], part, float(p[n]))
            number += len(ends)
            self._start += len(block.ids)

    def _part(self, number: int, place: slice, text: str, part: Surprisals, p: float) -> OddPart:
        if not self._calibration.window:
            text = text.removesuffix("\n")
        return OddPart(
            number=number,
            start=self._start + place.start,
            text=text,
            nats=float(part.nats.sum()),
            p=p,
            spans=_spans(self._marks(part.nats)),
            unknown_characters=int((part.ids == self._vocabulary.unknown_id).sum()),
        )

    def _marks(self, nats: Array) -> Array:
        """(N,) bool: the characters that made a part odd, of the nats of all (N,)."""
        usual = float(self._calibration.expected(np.array([len(nats)]))[0])
        order = np.argsort(-nats, kind="stable")
        order = order[nats[order] > usual]
        without = np.tile(nats, (len(order) + 1, 1))  # row n: without the surprise of n characters
        for n, place in enumerate(order, start=1):
            without[n:, place] = usual
        starts = np.arange(0, without.size, len(nats))
        lengths = np.full(len(starts), len(nats))
        p = self._calibration.p_values(lengths, strangeness_of(without.ravel(), starts))
        enough = p > min(self.threshold, ORDINARY)
        marks = np.zeros(len(nats), bool)
        marks[order[: int(enough.argmax()) if enough.any() else len(order)]] = True
        return marks


def calibrate(predictor: Predictor, pieces: Iterable[str], window: int = 0) -> Calibration:
    """A calibration by the lines, or windows, of a text; TextError if they are too few."""
    vocabulary, blocks = predictor.vocabulary, TextInBlocks(predictor, pieces).blocks()
    lengths: list[Array] = [np.empty(0)]
    strangeness: list[Array] = [np.empty(0)]
    for block, ends in _at_ends(vocabulary, _read(predictor, blocks), window):
        starts = np.concatenate([[0], ends[:-1]])
        full = ~_empty(vocabulary, block, ends)
        lengths.append((ends - starts)[full])
        strangeness.append(strangeness_of(block.nats, starts)[full])
    return calibrated(np.concatenate(lengths), np.concatenate(strangeness), window)


def _read(
    predictor: Predictor, blocks: Iterable[Array], live: bool = False
) -> Iterator[Surprisals]:
    """Every position of a text in order; where it arrives, each block as it comes."""
    if live:
        return arriving_surprisals(predictor, blocks)
    if predictor.lines:
        return surprisals(predictor, blocks)
    return segment_surprisals(predictor, blocks, segments=SEGMENTS, warmup=WARMUP)


def _at_ends(
    vocabulary: Vocabulary, found: Iterable[Surprisals], window: int
) -> Iterator[tuple[Surprisals, Array]]:
    """The same characters in blocks that end where a part ends, and the ends of all parts."""
    found = in_characters(vocabulary, found)
    held: list[Surprisals] = []
    count = 0
    for some in found:
        ends = count + np.flatnonzero(some.ids == vocabulary.newline_id) + 1
        if window:
            ends = np.arange(window, count + len(some.ids) + 1, window)
        held.append(some)
        count += len(some.ids)
        if not len(ends):
            continue
        whole = _joined(held)
        stop = ends[-1]
        yield Surprisals(*(values[:stop] for values in whole)), ends
        held, count = [Surprisals(*(values[stop:] for values in whole))], count - int(stop)
    if count:
        yield _joined(held), np.array([count])


def _empty(vocabulary: Vocabulary, block: Surprisals, ends: Array) -> Array:
    """(N,) bool: the parts of a block that are an empty line."""
    feeds = block.ids[ends - 1] == vocabulary.newline_id
    return feeds & (np.diff(ends, prepend=0) == 1)


def _joined(held: list[Surprisals]) -> Surprisals:
    if len(held) == 1:
        return held[0]
    return Surprisals(*(np.concatenate(column) for column in zip(*held, strict=True)))


def _spans(marks: Array) -> tuple[tuple[int, int], ...]:
    """Where runs of True start and stop.

    >>> _spans(np.array([True, False, True, True]))
    ((0, 1), (2, 4))
    """
    edges = np.flatnonzero(np.diff(marks.astype(np.int8), prepend=0, append=0))
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))
