"""Surprisal of every character of a text, in nats, streamed in blocks of ids.

A text is one stream, read from a zero state that is carried to its end, and every position
counts once:

    the first       ln V: nothing stands before it, so it is a blind guess
    a known one     -ln p(character | all before it)
    an unknown one  -ln p(unknown | all before it) + vocabulary.unknown_nats

For a model of lines each line is an item: a zero state reads a line feed, then the line and
its own line feed count. A last line without a line feed is given one.

Every surprisal is rounded to a multiple of 2^-20 nats, a millionth. Sums of such numbers
are exact in float64 up to 2^33 nats, so they add up to the same total, to the last bit, in
any order and any grouping.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ..engines.base import State
from ..engines.weights import Array
from ..errors import SettingsError
from ..text.batches import NOT_COUNTED
from ..text.vocabulary import Vocabulary
from .predictor import Predictor

GRAIN = 2.0**-20
"""Nats; every surprisal is a multiple of it."""

_STREAMS = 64  # lines read side by side
_LOGITS = 2**24  # at most, in one call of the engine: 64 MB
_WINDOW = 2**20  # ids that are cut into segments at a time
_POOL = 2**16  # ids of lines that are sorted by length, to be read side by side


class Surprisals(NamedTuple):
    """The surprisal at some positions of a text."""

    ids: Array
    nats: Array
    """float64, multiples of GRAIN."""
    ranks: Array
    """1 for the likeliest character; 0 where nothing was predicted."""


def surprisals(predictor: Predictor, blocks: Iterable[Array]) -> Iterator[Surprisals]:
    """Every position of a text in order, by the definition."""
    if not predictor.lines:
        # Always in the same steps, so that the blocks do not matter, not even to the last bit.
        return _stream(predictor, regrouped(blocks, _steps(predictor.vocabulary, 1)))
    newline = _line_start(predictor)
    return _lines(predictor, _pools(blocks, newline), newline)


def segment_surprisals(
    predictor: Predictor, blocks: Iterable[Array], *, segments: int, warmup: int
) -> Iterator[Surprisals]:
    """Every position in order, and much sooner: an approximation of `surprisals`.

    The text is cut into segments, read side by side from a zero state, each after a warm-up
    on the `warmup` characters before it. A segment is at least four warm-ups long, so a
    short text has few segments. One window of the text is in memory at a time.
    """
    engine, vocabulary = predictor.engine, predictor.vocabulary
    before = np.empty(0, np.int32)  # the end of the last window warms up this one
    for window in regrouped(blocks, _WINDOW):
        ids = np.concatenate([before, window.astype(np.int32)])
        first = max(len(before), 1)  # the first position of the window that is predicted
        if not len(before):
            yield _counted(vocabulary, ids[:1], *_blind(vocabulary))
        streams = max(min((len(ids) - first) // max(4 * warmup, 1), segments), 1)
        length = math.ceil((len(ids) - first) / streams)
        starts = first - 1 + length * np.arange(streams)
        steps = _steps(vocabulary, streams)
        state = engine.zero_state(streams)
        for t in _times(warmup, steps):
            inputs = ids[np.maximum(starts - warmup + t, 0)]
            state = engine.surprisal(inputs, np.full_like(inputs, NOT_COUNTED), state).state
        if not len(before):
            state = state.cleared(0)  # nothing stands before the text
        all_nats, all_ranks = np.zeros(len(ids)), np.zeros(len(ids), np.int32)
        for t in _times(length, steps):
            at = starts + t  # (T, B)
            counted = at + 1 < len(ids)
            at[~counted] = 0
            targets = np.where(counted, ids[at + 1], NOT_COUNTED).astype(np.int32)
            nats, ranks, state = _surprisal(predictor, ids[at], targets, state)
            all_nats[at[counted] + 1] = nats[counted]
            all_ranks[at[counted] + 1] = ranks[counted]
        yield _counted(vocabulary, ids[first:], all_nats[first:], all_ranks[first:])
        before = ids[-warmup - 1 :]


def arriving_surprisals(predictor: Predictor, blocks: Iterable[Array]) -> Iterator[Surprisals]:
    """Every position in order, as soon as it is there; of a model of lines, as its line has ended.

    Where the text is there already, `surprisals` is faster.
    """
    if not predictor.lines:
        steps = _steps(predictor.vocabulary, 1)
        cut = (b[at : at + steps] for b in blocks for at in range(0, len(b), steps))
        return _stream(predictor, cut)
    newline = _line_start(predictor)
    return _lines(predictor, _ended(blocks, newline), newline)


def _line_start(predictor: Predictor) -> int:
    if predictor.line_start is None:
        raise SettingsError("a vocabulary without a line feed cannot score lines")
    return predictor.line_start


def _stream(predictor: Predictor, blocks: Iterable[Array]) -> Iterator[Surprisals]:
    vocabulary, state = predictor.vocabulary, predictor.engine.zero_state(1)
    last = np.empty(0, np.int32)
    for block in blocks:
        if not len(last):
            yield _counted(vocabulary, block[:1], *_blind(vocabulary))
            last, block = block[:1].astype(np.int32), block[1:]
        if len(block):
            ids = np.concatenate([last, block.astype(np.int32)])
            nats, ranks, state = _surprisal(predictor, ids[:-1, None], ids[1:, None], state)
            yield _counted(vocabulary, block, nats[:, 0], ranks[:, 0])
            last = ids[-1:]


def _lines(predictor: Predictor, pools: Iterable[Array], newline: int) -> Iterator[Surprisals]:
    """Of each pool, lines of similar length are read side by side; they leave in their order."""
    vocabulary, zero = predictor.vocabulary, predictor.engine.zero_state(_STREAMS)
    for ids in pools:
        text = np.concatenate([[newline], ids]).astype(np.int32)
        all_nats, all_ranks = np.zeros(len(ids)), np.zeros(len(ids), np.int32)
        stops = np.flatnonzero(ids == newline) + 1
        starts = np.concatenate([[0], stops[:-1]])
        by_length = np.argsort(stops - starts, kind="stable")
        for chosen in np.split(by_length, range(_STREAMS, len(by_length), _STREAMS)):
            lengths = (stops - starts)[chosen]
            state = zero.select(slice(len(chosen)))
            for t in _times(lengths.max(), _steps(vocabulary, len(chosen))):
                at = starts[chosen] + t  # (T, B)
                counted = t < lengths
                at[~counted] = 0
                targets = np.where(counted, text[at + 1], NOT_COUNTED).astype(np.int32)
                nats, ranks, state = _surprisal(predictor, text[at], targets, state)
                all_nats[at[counted]] = nats[counted]
                all_ranks[at[counted]] = ranks[counted]
        yield _counted(vocabulary, ids, all_nats, all_ranks)


def _surprisal(
    predictor: Predictor, inputs: Array, targets: Array, state: State
) -> tuple[Array, Array, State]:
    found = predictor.engine.surprisal(inputs, targets, state)
    return found.nats, found.ranks, found.state


def _blind(vocabulary: Vocabulary) -> tuple[Array, Array]:
    """Nats and rank of a character that nothing stands before."""
    return np.array([math.log(vocabulary.size)]), np.array([0])


def _counted(vocabulary: Vocabulary, ids: Array, nats: Array, ranks: Array) -> Surprisals:
    """What is counted at some positions: unknown characters in full, all rounded to GRAIN."""
    nats = nats.astype(np.float64)
    if vocabulary.unknown_id is not None:
        nats[ids == vocabulary.unknown_id] += vocabulary.unknown_nats
    return Surprisals(ids, np.rint(nats / GRAIN) * GRAIN, ranks)


def _steps(vocabulary: Vocabulary, streams: int) -> int:
    """Time steps in one call of the engine."""
    return max(1, min(1024, _LOGITS // (vocabulary.size * streams)))


def _times(length: int, steps: int) -> Iterator[Array]:
    """(T, 1) the times from 0 to length, some steps at a time."""
    for start in range(0, length, steps):
        yield np.arange(start, min(start + steps, length))[:, None]


def regrouped(blocks: Iterable[Array], size: int) -> Iterator[Array]:
    """The same ids in blocks of one size; the last may be shorter."""
    waiting: list[Array] = []
    held = 0
    for block in blocks:
        waiting.append(block)
        held += len(block)
        if held >= size:
            ids = np.concatenate(waiting)
            whole = held - held % size
            yield from np.split(ids[:whole], whole // size)
            waiting, held = [ids[whole:]], held - whole
    if held:
        yield np.concatenate(waiting)


def _pools(blocks: Iterable[Array], newline: int) -> Iterator[Array]:
    """The same ids in the shortest blocks of whole lines that are at least a pool long."""
    waiting: list[Array] = []
    held = 0
    for block in blocks:
        stops = np.flatnonzero(block == newline) + 1
        start = 0
        while (at := np.searchsorted(stops, start + max(_POOL - held, 1))) < len(stops):
            yield np.concatenate([*waiting, block[start : stops[at]]])
            waiting, held, start = [], 0, stops[at]
        waiting.append(block[start:])
        held += len(block) - start
    if held:
        yield _with_end(np.concatenate(waiting), newline)


def _ended(blocks: Iterable[Array], newline: int) -> Iterator[Array]:
    """The same ids in blocks of the lines that have ended by then."""
    waiting: list[Array] = []
    for block in blocks:
        stops = np.flatnonzero(block == newline)
        stop = stops[-1] + 1 if len(stops) else 0
        if stop:
            yield np.concatenate([*waiting, block[:stop]])
            waiting = []
        if stop < len(block):
            waiting.append(block[stop:])
    if waiting:
        yield _with_end(np.concatenate(waiting), newline)


def _with_end(ids: Array, newline: int) -> Array:
    """Some lines, the last one ended."""
    return ids if ids[-1] == newline else np.append(ids, ids.dtype.type(newline))


def begins(utf8: Array) -> Array:
    """(N,) bool Where a character begins: at all bytes but those that continue one, 10xxxxxx."""
    return (utf8 & 0xC0) != 0x80


def in_characters(vocabulary: Vocabulary, found: Iterable[Surprisals]) -> Iterator[Surprisals]:
    """The surprisal of every character, which of bytes is that of several joined."""
    if vocabulary.kind == "characters":
        yield from found
        return
    held = Surprisals(np.empty(0, np.uint8), np.empty(0), np.empty(0, np.int32))
    for some in found:
        held = Surprisals(*(np.concatenate(pair) for pair in zip(held, some, strict=True)))
        starts = np.flatnonzero(begins(held.ids))
        if len(starts) and held.ids[-1] < 0x80:  # ASCII, which is whole
            yield _joined(held, starts, len(held.ids))
            held = Surprisals(*(values[:0] for values in held))
        elif len(starts):  # the last character may go on in what comes next
            yield _joined(held, starts[:-1], starts[-1])
            held = Surprisals(*(values[starts[-1] :] for values in held))
    if len(held.ids):
        yield _joined(held, np.array([0]), len(held.ids))


def _joined(utf8: Surprisals, begins: Array, end: int) -> Surprisals:
    if not len(begins):
        return Surprisals(utf8.ids[:0], utf8.nats[:0], utf8.ranks[:0])
    lengths = np.diff(begins, append=end)
    nats = np.add.reduceat(utf8.nats[:end], begins)
    ranks = np.where(lengths == 1, utf8.ranks[begins], 0)
    return Surprisals(utf8.ids[begins], nats, ranks)
