"""A text cut into batches in three ways: streams, lines and windows.

T time steps of B items side by side make a batch. All three ways are a pure function of
the seed, the epoch and the index of the batch, so a run is resumed by two integers.

Streams read B stretches of the text side by side. Each batch takes the next T characters
of every stretch, so the state that one batch leaves is the right one to start the next
with. With B = 3, T = 2 and the alphabet as the text:

    stream 0   a b | c d | e f | g h
    stream 1   i j | k l | m n | o p
    stream 2   q r | s t | u v | w x        y is a target only, z is left over

The target of a character is the one after it, also across the bars.

Lines are items of their own. The line feed is the start and the end of each, every item
starts from a zero state, and what is longer than T goes on in the next batch. With T = 4
and the lines "x", "ab" and "abcdef", / the line feed and . a target that is not counted:

    inputs  / x / /   targets  x / . .  |  inputs  / / /   targets  . . .
            / a b /            a b / .  |          / / /            . . .
            / a b c            a b c d  |          d e f            e f /

Windows are the blog's: T characters, and the one after them as the only target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import TextError, counted
from ..settings import TrainingSettings
from .vocabulary import Vocabulary

NOT_COUNTED = -1
"""The target of a position that has none, in every array of targets."""

Ids = NDArray[Any]

_BLOCK = 1 << 24
"""Characters that are searched at a time, to keep memory small."""

_ORDER, _UNKNOWN = 0, 1
"""What random numbers are drawn for; each purpose has its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What one step of training reads; T and B may be smaller than asked for."""

    inputs: NDArray[np.int32]
    """(T, B) ids."""
    targets: NDArray[np.int32]
    """(T, B) ids of the characters that follow, or NOT_COUNTED."""
    fresh: bool
    """True: the state before it is zero. False: it is what the batch before has left."""


class Batches(Protocol):
    """What Streams, Lines and Windows have in common.

    `batch_size` and `sequence_length` are those in use: a short text allows less than was
    asked for.
    """

    batch_size: int
    sequence_length: int

    def batches_in(self, epoch: int) -> int:
        """How many batches this epoch has."""
        ...

    def batch(self, epoch: int, index: int) -> Batch:
        """One batch; IndexError if the epoch has no such one."""
        ...


def make_batches(settings: TrainingSettings, ids: Ids, vocabulary: Vocabulary) -> Batches:
    """The batches that the settings ask for; TextError if the text is too short for any."""
    size, length, seed = settings.batch_size, settings.sequence_length, settings.seed
    if settings.batches == "windows":
        return Windows(ids, batch_size=size, sequence_length=length, seed=seed)
    if settings.batches == "streams":
        return Streams(ids, batch_size=size, sequence_length=length, seed=seed)
    line = vocabulary.newline_id
    if line is None:
        raise TextError(
            "the text has no line feed to end a line; use `batches='streams'`", "batches"
        )
    return Lines(ids, batch_size=size, sequence_length=length, seed=seed, newline_id=line)


class Streams:
    """Stretches of the text side by side, the state carried along (see the picture above).

    Every epoch but the first leaves out a few characters at the start, at most T - 1 and
    at most a tenth of the text, so that the bars are not always at the same places. A text
    with less than T characters for each stream makes fewer streams. TextError for a text of
    less than two characters.

    >>> alphabet = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
    >>> streams = Streams(alphabet, batch_size=3, sequence_length=2, seed=0)
    >>> for row in streams.batch(epoch=0, index=1).inputs.T:
    ...     print(bytes(row.tolist()).decode())
    cd
    kl
    st
    """

    def __init__(self, ids: Ids, *, batch_size: int, sequence_length: int, seed: int) -> None:
        targets = len(ids) - 1
        if targets < 1:
            raise TextError(
                f"the text is too short to train on ({counted(len(ids), 'character')}): "
                "at least 2 are needed"
            )
        self.ids, self.seed = ids, seed
        self.sequence_length = min(sequence_length, targets)
        self.batch_size = min(batch_size, targets // self.sequence_length)
        self.own = slice(0, self.batch_size)
        """The streams that are read; the others are zeros in a batch."""

    def batches_in(self, epoch: int) -> int:
        """How many batches this epoch has; the last may be shorter than T."""
        _, length = self._layout(epoch)
        return -(-length // self.sequence_length)

    def batch(self, epoch: int, index: int) -> Batch:
        """(T, B) the next T characters of every stream; fresh if they are the first."""
        _check(index, self.batches_in(epoch))
        offset, length = self._layout(epoch)
        start = index * self.sequence_length
        stop = min(start + self.sequence_length, length)

        columns = np.zeros((stop - start + 1, self.batch_size), np.int32)
        for stream in range(self.batch_size)[self.own]:
            first = offset + stream * length
            columns[:, stream] = self.ids[first + start : first + stop + 1]
        targets = np.ascontiguousarray(columns[1:])
        return Batch(inputs=columns[:-1], targets=targets, fresh=index == 0)

    def _layout(self, epoch: int) -> tuple[int, int]:
        """Where the first stream starts, and how long every stream is."""
        targets = len(self.ids) - 1
        spare = min(self.sequence_length - 1, targets // 10, targets - self.batch_size)
        offset = int(_random(self.seed, _ORDER, epoch).integers(spare + 1)) if epoch else 0
        return offset, (targets - offset) // self.batch_size


class Lines:
    r"""Each line an item with a start and an end of its own; empty lines are left out.

    Every epoch has another order. Lines of similar length share a batch, to save padding.
    Memory: about twelve bytes per line. TextError for a text without a line that has
    characters.

    >>> text = np.frombuffer(b"one\n\nthree\nfour", np.uint8)
    >>> lines = Lines(text, batch_size=1, sequence_length=9, seed=0, newline_id=10)
    >>> sorted(bytes(lines.batch(0, i).targets.ravel().tolist()) for i in range(3))
    [b'four\n', b'one\n', b'three\n']
    """

    POOL = 64
    """Batches whose lines are sorted by length together."""

    def __init__(
        self, ids: Ids, *, batch_size: int, sequence_length: int, seed: int, newline_id: int
    ) -> None:
        self.ids, self.seed, self.newline_id = ids, seed, newline_id
        self.starts, self.lengths = _find_lines(ids, newline_id)
        if not self.starts.size:
            raise TextError("the text has no line with a character in it; give another")
        self.batch_size = min(batch_size, len(self.starts))
        self.sequence_length = min(sequence_length, int(self.lengths.max()) + 1)
        self._plan = self._plan_of(0)

    def batches_in(self, epoch: int) -> int:
        """How many batches this epoch has."""
        return int(self._planned(epoch).ends[-1])

    def batch(self, epoch: int, index: int) -> Batch:
        """(T, B) the next T characters of B lines; fresh if they are the lines' first."""
        _check(index, self.batches_in(epoch))
        plan = self._planned(epoch)
        group = int(np.searchsorted(plan.ends, index, side="right"))
        done = index - (int(plan.ends[group - 1]) if group else 0)
        first = int(plan.groups[group]) * self.batch_size
        lines = plan.order[first : first + self.batch_size]
        lengths = self.lengths[lines].astype(np.int64)

        start = done * self.sequence_length
        stop = min(start + self.sequence_length, int(lengths.max()) + 1)
        # Columns start to stop, both included, of each line with a line feed at both ends.
        rows = np.full((len(lines), stop - start + 1), self.newline_id, np.int32)
        places = zip(self.starts[lines].tolist(), lengths.tolist(), strict=True)
        for row, (line, length) in zip(rows, places, strict=True):
            a, b = max(start, 1), min(stop, length) + 1
            if a < b:
                row[a - start : b - start] = self.ids[line + a - 1 : line + b - 1]
        counted = np.arange(start, stop) <= lengths[:, None]
        targets = np.where(counted, rows[:, 1:], NOT_COUNTED)
        return Batch(inputs=_columns(rows[:, :-1]), targets=_columns(targets), fresh=done == 0)

    def _planned(self, epoch: int) -> _LinePlan:
        if self._plan.epoch != epoch:
            self._plan = self._plan_of(epoch)
        return self._plan

    def _plan_of(self, epoch: int) -> _LinePlan:
        random = _random(self.seed, _ORDER, epoch)
        order = random.permutation(_count_up(len(self.starts)))
        for start in range(0, len(order), self.POOL * self.batch_size):
            pool = order[start : start + self.POOL * self.batch_size]
            pool[:] = pool[np.argsort(self.lengths[pool], kind="stable")]
        firsts = np.arange(0, len(order), self.batch_size)
        longest = np.maximum.reduceat(self.lengths[order], firsts).astype(np.int64)
        batches = longest // self.sequence_length + 1  # the line feed included, rounded up
        groups = random.permutation(_count_up(len(batches)))
        return _LinePlan(epoch, order, groups, np.cumsum(batches[groups]))


@dataclass(frozen=True)
class _LinePlan:
    """The order of an epoch's lines."""

    epoch: int
    order: Ids
    """Indices of lines; B of them after each other make a group."""
    groups: Ids
    """Indices of groups, in the order in which they are read."""
    ends: NDArray[np.int64]
    """How many batches there are up to the end of each group."""


def _find_lines(ids: Ids, newline_id: int) -> tuple[Ids, Ids]:
    """Start and length of every line that is not empty."""
    small = np.min_scalar_type(len(ids))
    ends = [
        (start + np.flatnonzero(ids[start : start + _BLOCK] == newline_id)).astype(small)
        for start in range(0, len(ids), _BLOCK)
    ]
    stops = np.concatenate([*ends, np.array([len(ids)], small)])
    starts = np.concatenate([np.zeros(1, small), stops[:-1] + small.type(1)])
    lengths = stops - starts
    return starts[lengths > 0], lengths[lengths > 0]


class Windows:
    """The blog's: T characters, and the one after them as the only target.

    All overlapping windows of the text, in another order every epoch, each from a zero
    state. Memory: four bytes per character. TextError for a text shorter than a window.

    >>> text = np.frombuffer(b"One bright morning", np.uint8)
    >>> batches = Windows(text, batch_size=2, sequence_length=15, seed=0, shuffle=False)
    >>> batch = batches.batch(epoch=0, index=0)
    >>> for row, target in zip(batch.inputs.T, batch.targets[-1]):
    ...     print(bytes(row.tolist()).decode(), "->", chr(target))
    One bright morn -> i
    ne bright morni -> n
    """

    def __init__(
        self,
        ids: Ids,
        *,
        batch_size: int,
        sequence_length: int,
        seed: int,
        shuffle: bool = True,
    ) -> None:
        if len(ids) <= sequence_length:
            raise TextError(
                f"the text ({counted(len(ids), 'character')}) is too short for a window of "
                f"{sequence_length} and one more; give a longer text, lower `sequence_length`, "
                "or use "
                "`batches='streams'`",
                "sequence_length",
                "batches",
            )
        self._cut(windows(ids, sequence_length), batch_size, seed, shuffle)

    @classmethod
    def of(cls, rows: Ids, *, batch_size: int, seed: int, shuffle: bool = True) -> Windows:
        """Batches of windows that are made already: (N, T + 1) ids, the last the target."""
        made = cls.__new__(cls)
        made._cut(rows, batch_size, seed, shuffle)
        return made

    def _cut(self, rows: Ids, batch_size: int, seed: int, shuffle: bool) -> None:
        self.windows = rows
        self.batch_size = min(batch_size, len(rows))
        self.sequence_length = rows.shape[1] - 1
        self.seed, self.shuffle = seed, shuffle
        self._planned: tuple[int, Ids] = (0, self._order(0))

    def batches_in(self, epoch: int) -> int:
        """How many batches this epoch has; the last may have fewer windows."""
        return -(-len(self.windows) // self.batch_size)

    def batch(self, epoch: int, index: int) -> Batch:
        """(T, B) windows; only the last row of targets is counted."""
        _check(index, self.batches_in(epoch))
        if self._planned[0] != epoch:
            self._planned = (epoch, self._order(epoch))
        start = index * self.batch_size
        rows = _columns(self.windows[self._planned[1][start : start + self.batch_size]])
        targets = np.full_like(rows[1:], NOT_COUNTED)
        targets[-1] = rows[-1]
        return Batch(inputs=rows[:-1], targets=targets, fresh=True)

    def _order(self, epoch: int) -> Ids:
        order = _count_up(len(self.windows))
        random = _random(self.seed, _ORDER, epoch)
        return random.permutation(order) if self.shuffle else order


def windows(ids: Ids, length: int) -> Ids:
    """(N, length + 1) all overlapping windows of a text: the blog's sequences. A view.

    >>> windows(np.array([5, 17, 10, 0, 7]), 3)
    array([[ 5, 17, 10,  0],
           [17, 10,  0,  7]])
    """
    return np.lib.stride_tricks.sliding_window_view(ids, length + 1)


def with_unknowns(
    batch: Batch, unknown_id: int | None, share: float, seed: int, epoch: int, index: int
) -> Batch:
    """A batch with a share of its characters read as the unknown, so that it is learned.

    A replaced character is the unknown both as a target and as the input after it. The
    first inputs, which the batch before had as targets, stay as they are.
    """
    if unknown_id is None or share == 0:
        return batch
    replaced = _random(seed, _UNKNOWN, epoch, index).random(batch.targets.shape) < share
    inputs, targets = batch.inputs.copy(), batch.targets.copy()
    inputs[1:][replaced[:-1]] = unknown_id
    targets[replaced & (targets != NOT_COUNTED)] = unknown_id
    return Batch(inputs=inputs, targets=targets, fresh=batch.fresh)


def _columns(rows: Ids) -> NDArray[np.int32]:
    """(T, B) int32 of (B, T) of any integers."""
    return np.ascontiguousarray(rows.T, np.int32)


def _count_up(count: int) -> Ids:
    """0, 1, 2, ... in as few bytes as hold them."""
    return np.arange(count, dtype=np.min_scalar_type(count))


def _random(seed: int, *purpose: int) -> np.random.Generator:
    """Random numbers that depend on the seed and the purpose, and on nothing before."""
    seeds = np.random.SeedSequence(seed, spawn_key=purpose)
    return np.random.Generator(np.random.Philox(seeds))


def _check(index: int, count: int) -> None:
    if not 0 <= index < count:
        raise IndexError(f"there is no batch {index}; this epoch has 0 to {count - 1}")
