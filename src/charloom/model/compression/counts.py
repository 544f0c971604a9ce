"""What followed the same characters before, mixed with what a network says.

For each context of 0 to K characters it is counted which characters followed; context K + 1 is the
word so far. Each context gives probabilities, those of the one before it filling in what was not
seen (Witten and Bell, 1991):

    p_k(s) = (count of s + distinct · p_{k-1}(s)) / (count of all + distinct)

A character is not counted for what it followed in a longer context before: p_{k-1} is for what is
new in context k (Moffat, "Implementing the PPM data compression scheme", 1990).

The mixture is a weighted product: the network's p to the power of one weight, p_0 and each change
from p_{k-1} to p_k to the power of another, made to add to 1. The weights go down the gradient of
the surprisal. There are many sets of them; the number of contexts that were seen before, and the
last character, choose one (Mahoney, "Adaptive weighing of context models", 2005, for bits). A
network that learns from nothing knows words only after many steps; the counts know them after one,
which is most of what is gained.

Everything is learned after a chunk, as the network does, and is the same on every machine: what is
not an integer is computed by single operations of IEEE 754, or as sums that are exact.
"""

from __future__ import annotations

from functools import cache
from itertools import repeat
from typing import NamedTuple

import numpy as np

from ...engines.weights import Array
from .coding import TOTAL, frequencies

LONGEST = 6
"""Characters of a context, at most: with a byte for each it is a number below 2^51."""

_RATES = 0.002, 0.0005  # of the weights, at the start and at the end of the text
_FACTOR = 4093  # of a word's number for its next letter; the product is below 2^53, as in the page
_WORDS = 2**40  # numbers of words
_LEAST = -16.0  # of a logarithm
_UNIT = 4096.0  # logarithms are whole multiples of 1 / _UNIT
_HIGHEST = 255  # a count that is higher is halved, and all of its context with it
_MOST_COUNTS = 2**26  # so many bytes twice; after that there are no new contexts
_EXPONENT = 103  # of 2^-24, as float32 has it


class _Seen(NamedTuple):
    """What some characters of a chunk were predicted with, until it is learned from."""

    keys: Array
    """(K + 2, T) of contexts"""
    rows: Array
    """(K + 2, T) of their counts; 0 where there were none"""
    sets: Array
    """(T,) of weights"""
    logarithms: Array
    """(K + 3, T, S)"""
    frequencies: Array
    """(T, S)"""


def _joined(seen: list[_Seen]) -> _Seen:
    axes = 1, 1, 0, 1, 0
    parts = zip(zip(*seen, strict=True), axes, strict=True)
    return _Seen(*(np.concatenate(part, axis=axis) for part, axis in parts))


class Mixture:
    """Counts of one text, as far as it is read, and the weights of the mixture.

    `letters` (S,) are numbers of the symbols that words consist of, capitals having those of small
    letters; 0 for other symbols.

    >>> mixture = Mixture(np.array([97, 98, 0]), longest=2)
    >>> mixture.start(0)
    >>> for _ in range(80):
    ...     before = mixture.frequencies(np.zeros((2, 3)), np.array([1]))
    ...     mixture.learn(np.array([1, 0]), share=0.0)
    >>> bool((before[[0, 1], [1, 0]] > 0.9 * TOTAL).all())
    True
    """

    def __init__(self, letters: Array, longest: int) -> None:
        symbols = len(letters)
        self._longest = longest
        self._letters: list[int] = letters.tolist()
        self._counts = np.zeros((1024, symbols), np.uint16)  # row 0: a context never seen
        self._found = np.zeros(1024)  # of each row, the sum
        self._distinct = np.zeros(1024)  # of each row, how many are not 0
        self._rows: dict[int, int] = {}
        self._most = max(_MOST_COUNTS // symbols, 2)
        inputs = longest + 3  # the network and the contexts
        self._weights = np.full((inputs * symbols, inputs), 0.4)  # a set is a row
        self._weights[:, 0] = 0.6
        self._before = np.zeros(longest, np.int64)  # the characters before the chunk
        self._words = [0]  # the word so far, before each character of the chunk
        self._seen: list[_Seen] = []

    def start(self, first: int) -> None:
        """Read the first character, which has no probability."""
        self._before[-1] = first
        self._words = [self._word(0, first)]

    def frequencies(self, logits: Array, read: Array) -> Array:
        """(T, S) of the mixture, from the network's logits (T, S); see coding.frequencies.

        `read` are the characters of the chunk before the last row.
        """
        keys = self._keys(read, len(logits))
        rows = self._rows_of(keys.ravel()).reshape(keys.shape)
        found = self._found.take(rows)
        logarithms = np.empty((len(keys) + 1, *logits.shape))
        highest = logits.max(axis=1, keepdims=True).astype(np.float64)
        np.rint(np.maximum(logits - highest, _LEAST) * _UNIT, out=logarithms[0])
        logarithms[0] /= _UNIT
        _logarithm(self._probabilities(rows, found), out=logarithms[1:])
        last = np.append(self._before[-1:], read)[-len(logits) :]
        sets = np.count_nonzero(found, axis=0) * logits.shape[1] + last
        weights = self._weights.take(sets, axis=0)
        weights[:, 1:-1] -= weights[:, 2:]  # of each logarithm, from those of the changes
        mixed = weights[:, :1] * logarithms[0]
        part = np.empty_like(mixed)
        for k in range(1, len(logarithms)):
            mixed += np.multiply(weights[:, k : k + 1], logarithms[k], out=part)
        result = frequencies(mixed)
        self._seen.append(_Seen(keys, rows, sets, logarithms, result))
        return result

    def _probabilities(self, rows: Array, found: Array) -> Array:
        """(K + 2, T, S) that each context gives to each symbol."""
        p = self._counts.take(rows, axis=0).astype(np.float64)
        new = np.maximum(self._distinct.take(rows), 1)[..., None]
        whole = found[..., None] + new
        shorter = np.full(p.shape[1:], 1 / p.shape[2])
        part = np.empty_like(shorter)
        for k in range(len(p)):
            p[k] += np.multiply(shorter, new[k], out=part)
            p[k] /= whole[k]
            shorter = p[k]
        return p

    def learn(self, ids: Array, share: float) -> None:
        """Learn from a chunk (T,) whose frequencies were asked for; `share` of the text is read."""
        seen = self._seen[0] if len(self._seen) == 1 else _joined(self._seen)
        self._seen = []
        errors = seen.frequencies.astype(np.float64)
        errors[np.arange(len(ids)), ids] -= TOTAL
        # Sums of whole multiples of 1 / _UNIT, below 2^53 of them: exact in any order.
        slopes = np.einsum("kts,ts->tk", seen.logarithms, errors)
        slopes[:, 2:] -= slopes[:, 1:-1]
        gradients = np.zeros_like(self._weights)
        np.add.at(gradients, seen.sets, slopes)
        rate = _RATES[0] + share * (_RATES[1] - _RATES[0])
        self._weights -= rate * (gradients / TOTAL)
        known = self._counts[seen.rows[1:-1], ids] > 0
        longer = np.logical_or.accumulate(known[::-1])[::-1]  # also known to one that is longer
        rows = self._rows_or_new(seen.keys.ravel(), seen.rows.ravel()).reshape(seen.rows.shape)
        rows[:-2][longer] = 0
        self._count(rows.ravel(), np.tile(ids, len(rows)))
        self._before = np.concatenate([self._before, ids])[len(ids) :]
        self._words = [self._words_after(ids)[-1]]

    def _words_after(self, ids: Array) -> list[int]:
        """The word so far before each character of the chunk, and after the last of `ids`."""
        for symbol in ids[len(self._words) - 1 :].tolist():
            self._words.append(self._word(self._words[-1], symbol))
        return self._words

    def _word(self, word: int, symbol: int) -> int:
        """The number of the word so far after one more symbol; below 0 outside of words."""
        letter = self._letters[symbol]
        return (max(word, 0) * _FACTOR + letter) % _WORDS if letter else -1 - symbol

    def _count(self, rows: Array, ids: Array) -> None:
        """What followed contexts, (N,) each; a row of 0 is not counted."""
        symbols = self._counts.shape[1]
        places, times = np.unique((rows * symbols + ids)[rows > 0], return_counts=True)
        rows = places // symbols
        before = self._counts.ravel().take(places)
        self._counts.ravel()[places] = after = before + times.astype(np.uint16)
        np.add.at(self._found, rows, times)
        np.add.at(self._distinct, rows, before == 0)
        if after.max(initial=0) > _HIGHEST:
            high = np.unique(rows[after > _HIGHEST])
            self._counts[high] -= self._counts[high] >> 1
            self._found[high] = self._counts[high].sum(axis=1)

    def _keys(self, read: Array, size: int) -> Array:
        """(K + 2, size) int64 numbers of the contexts that end with each of the last of `read`."""
        ids = np.concatenate([self._before, read])[len(read) + 1 - size :]
        context, keys = np.zeros(size, np.int64), []
        for k in range(self._longest + 1):
            if k:
                start = self._longest - k
                context = context * 256 + ids[start : start + size]
            keys.append(context * 8 + k)
        keys.append(np.array(self._words_after(read)[-size:]) * 8 + 7)
        return np.stack(keys)

    def _rows_of(self, keys: Array) -> Array:
        """(N,) int64 the row of each context (N,); 0 where it has none."""
        found = map(self._rows.get, keys.tolist(), repeat(0))
        return np.fromiter(found, np.int64, len(keys))

    def _rows_or_new(self, keys: Array, rows: Array) -> Array:
        """(N,) the rows of contexts (N,): new ones where they are 0, as far as there is room."""
        new = np.flatnonzero(rows == 0)
        self._add(keys[new].tolist())
        rows[new] = self._rows_of(keys[new])
        return rows

    def _add(self, keys: list[int]) -> None:
        """Rows for contexts, as far as there is room."""
        for key in keys:
            if len(self._rows) + 1 < self._most:
                self._rows.setdefault(key, len(self._rows) + 1)
        while len(self._rows) >= len(self._counts):
            for name in ("_counts", "_found", "_distinct"):
                table = getattr(self, name)
                setattr(self, name, np.concatenate([table, np.zeros_like(table)]))


def _logarithm(p: Array, out: Array | None = None) -> Array:
    """The logarithm of p by its first 12 bits: a whole multiple of 1 / _UNIT, at least _LEAST.

    >>> _logarithm(np.array([1.0, 0.5, 1e-30])).tolist()
    [0.0, -0.693115234375, -16.0]
    """
    places = (p.astype(np.float32).view(np.int32) >> 11) - (_EXPONENT << 12)
    return _table().take(places, out=out, mode="clip")


@cache
def _table() -> Array:
    mantissas = 1 + np.arange(4096) / 4096
    z = (mantissas - 1) / (mantissas + 1)
    square, series = z * z, np.zeros(4096)
    for n in range(39, 0, -2):
        series = series * square + 1 / n
    ln_mantissas = 2 * z * series
    exponents = np.arange(_EXPONENT, 128) - 127.0
    values = exponents[:, None] * 0.6931471805599453 + ln_mantissas
    return np.maximum(np.rint(values * _UNIT) / _UNIT, _LEAST).ravel()
