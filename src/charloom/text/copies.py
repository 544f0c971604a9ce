"""An index of a text, by which what is copied from it is found.

The suffix array of a text lists where its suffixes start, in the order of the suffixes, so all that
begin alike stand together (Manber and Myers, SIAM Journal on Computing 22, 1993). For each position
of another text, the longest stretch from there that stands in the indexed text is found by binary
search, comparing eight bytes at a time, for many positions at once.

Texts are UTF-8 here: an index takes five bytes for each of the text, which has at most 2 GB. The
array is made by libdivsufsort (the extra `copies`), for which it is all the memory that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError, TextError, counted

LARGEST_TEXT = 2**31 - 1
"""Bytes; a place in it is a number of 32 bits."""

_NEAR = 256
"""Bytes that are compared for many positions at once; what is longer, one by one."""
_AT_ONCE = 2**17
"""Positions of a text that are looked up at once."""
_WORD = 8

Array = NDArray[Any]


class CopyIndex:
    r"""A text, and its suffixes in order.

    >>> index = CopyIndex.of(["the fox and the crow\n"])
    >>> index.longest("a fox and a").tolist()  # from each position on
    [1, 9, 8, 7, 6, 5, 4, 3, 2, 2, 1]
    >>> index.find("the crow"), index.find("the crows")
    (12, None)
    >>> index.following("the ")
    'cf'
    """

    def __init__(self, text: bytearray, suffixes: NDArray[np.int32]) -> None:
        """Of UTF-8 bytes, padded, and where their suffixes start, in order."""
        self._size = len(suffixes)
        self._bytes = text
        self._utf8 = np.frombuffer(text, np.uint8)
        self._words = self._utf8.view(">u8")
        self._suffixes = suffixes

    @classmethod
    def of(cls, pieces: Iterable[str]) -> CopyIndex:
        """Index a text in pieces.

        TextError for one of more than 2 GB in UTF-8; SettingsError without pydivsufsort.
        """
        text = bytearray()
        for piece in pieces:
            text += piece.encode()
            if len(text) > LARGEST_TEXT:
                raise TextError("the training text has more than 2 GB, which no index holds")
        size = len(text)
        text += _padding(size)
        return cls(text, _sorted_suffixes(np.frombuffer(text, np.uint8)[:size]))

    @property
    def bytes(self) -> int:
        """Of the text in UTF-8."""
        return self._size

    @cached_property
    def characters(self) -> int:
        """Of the text."""
        return int(np.count_nonzero(_begins(self._utf8[: self._size])))

    @property
    def memory(self) -> int:
        """Bytes that the index takes."""
        return self._utf8.nbytes + self._suffixes.nbytes

    def longest(self, text: str) -> Array:
        """(N,) for each position of a text, characters of the longest copied stretch from there."""
        utf8 = text.encode()
        borders = np.append(np.flatnonzero(_begins(np.frombuffer(utf8, np.uint8))), len(utf8))
        found = _Lookup(self, utf8).longest(borders[:-1])
        # A stretch of bytes ends within a character where the next one begins alike.
        last = np.searchsorted(borders, borders[:-1] + found, side="right") - 1
        return last - np.arange(len(borders) - 1)

    def find(self, text: str) -> int | None:
        """The byte where a text stands in the indexed one, or None."""
        first, stop = self._range(text.encode())
        return int(self._suffixes[first]) if first < stop else None

    def following(self, text: str) -> str:
        """Every character that stands in the indexed text right after this one, sorted.

        >>> CopyIndex.of(["aüb aüc aß"]).following("a")
        'ßü'
        """
        utf8 = text.encode()
        first, stop = self._range(utf8)
        found = []
        while first < stop:
            at = int(self._suffixes[first]) + len(utf8)
            if at >= self._size:  # the end of the text
                first += 1
                continue
            end = at + _length(self._utf8[at])
            character = bytes(self._bytes[at:end])
            found.append(character.decode())
            first = self._bound(utf8 + character, first, stop, above=True)
        return "".join(sorted(found))

    def _range(self, utf8: Any) -> tuple[int, int]:
        """Which suffixes begin with these bytes: from, and up to."""
        first = self._bound(utf8, 0, self._size, above=False)
        return first, self._bound(utf8, first, self._size, above=True)

    def _bound(self, utf8: Any, low: int, high: int, *, above: bool) -> int:
        """The first suffix whose beginning is at least, or `above`, these bytes."""
        while low < high:
            middle = (low + high) // 2
            at = int(self._suffixes[middle])
            begins = self._bytes[at : min(at + len(utf8), self._size)]
            if begins < utf8 or (above and begins == utf8):
                low = middle + 1
            else:
                high = middle
        return low

    def __repr__(self) -> str:
        return f"CopyIndex({counted(self.characters, 'character')}, {counted(self.memory, 'byte')})"


class _Lookup:
    """The suffixes of a text, looked up in an index."""

    def __init__(self, index: CopyIndex, utf8: bytes) -> None:
        self._index, self._size = index, len(utf8)
        self._padded = utf8 + _padding(len(utf8))
        self._utf8 = np.frombuffer(self._padded, np.uint8)
        self._words = self._utf8.view(">u8")

    def longest(self, places: Array) -> Array:
        """(N,) bytes of the longest copied stretch from each place (N,), which ascend."""
        near = [
            self._near(places[start : start + _AT_ONCE])
            for start in range(0, len(places), _AT_ONCE)
        ]
        found = np.concatenate([np.empty(0, np.int64), *near])
        far = np.flatnonzero(found >= _NEAR)
        if len(far):
            for run in np.split(far, np.flatnonzero(np.diff(far) > 1) + 1):
                self._fill(places, found, int(run[0]), int(run[-1]))
        return found

    def _fill(self, places: Array, found: Array, first: int, last: int) -> None:
        """Set the lengths from one place to another, all of which are long.

        Where a stretch ends never falls from one place to the next: dropping its first character
        leaves a stretch. So between two places with the same end, all have it.
        """
        ends = {n: int(places[n]) + self._far(int(places[n])) for n in {first, last}}
        waiting = [(first, last)]
        while waiting:
            a, b = waiting.pop()
            if ends[a] == ends[b]:
                found[a : b + 1] = ends[a] - places[a : b + 1]
            elif b - a == 1:
                found[a], found[b] = ends[a] - places[a], ends[b] - places[b]
            else:
                middle = (a + b) // 2
                ends[middle] = int(places[middle]) + self._far(int(places[middle]))
                waiting += [(a, middle), (middle, b)]

    def _near(self, places: Array) -> Array:
        """(N,) the longest stretch from each place (N,), but at most _NEAR bytes."""
        index = self._index
        count = len(places)
        low, high = np.full(count, -1, np.int64), np.full(count, index.bytes, np.int64)
        at_low, at_high = np.zeros(count, np.int64), np.zeros(count, np.int64)
        while (open_ := np.flatnonzero(high - low > 1)).size:
            middle = (low[open_] + high[open_]) // 2
            there = index._suffixes[middle].astype(np.int64)
            # What both bounds share with the place, all between them shares, too.
            shared = np.minimum(at_low[open_], at_high[open_])
            shared, greater = self._compare(places[open_], there, shared)
            up, down = open_[greater], open_[~greater]
            low[up], at_low[up] = middle[greater], shared[greater]
            high[down], at_high[down] = middle[~greater], shared[~greater]
        return np.minimum(np.maximum(at_low, at_high), _NEAR)

    def _compare(self, here: Array, there: Array, shared: Array) -> tuple[Array, Array]:
        """How many bytes are shared, and whether what is here is greater than what is there."""
        most = np.minimum(np.minimum(self._size - here, self._index.bytes - there), _NEAR)
        greater = np.zeros(len(here), bool)
        left = np.flatnonzero(shared < most)
        while left.size:
            a = _word_at(self._words, here[left] + shared[left])
            b = _word_at(self._index._words, there[left] + shared[left])
            same = _equal_bytes(a ^ b)
            differ = shared[left] + same
            greater[left] = (same < _WORD) & (a > b)
            shared[left] = differ
            left = left[(same == _WORD) & (differ < most[left])]
        ended = shared >= most
        shared = np.minimum(shared, most)
        # Where one of them ended, or was not looked at further, the longer one is the greater.
        longer = (there + shared >= self._index.bytes) & (here + shared < self._size)
        return shared, np.where(ended, longer, greater)

    def _far(self, place: int) -> int:
        """The longest stretch from one place."""
        index = self._index
        low, high, at_low, at_high = -1, index.bytes, 0, 0
        while high - low > 1:
            middle = (low + high) // 2
            there = int(index._suffixes[middle])
            shared = self._shared(place, there, min(at_low, at_high))
            here_ends = place + shared >= self._size
            if not here_ends and (
                there + shared >= index.bytes
                or self._padded[place + shared] > index._bytes[there + shared]
            ):
                low, at_low = middle, shared
            else:
                high, at_high = middle, shared
        return max(at_low, at_high)

    def _shared(self, here: int, there: int, shared: int) -> int:
        """How many bytes are shared, of which so many are known to be."""
        most, step = min(self._size - here, self._index.bytes - there), 64
        while shared < most:
            stop = min(shared + step, most)
            a = self._utf8[here + shared : here + stop]
            b = self._index._utf8[there + shared : there + stop]
            differ = a != b
            if differ.any():
                return shared + int(differ.argmax())
            shared, step = stop, min(2 * step, 1 << 20)
        return shared


def _padding(size: int) -> bytes:
    """Zeros to follow so many bytes, so that a whole word can be read at every place."""
    return bytes(-size % _WORD + 2 * _WORD)


def _sorted_suffixes(utf8: NDArray[np.uint8]) -> NDArray[np.int32]:
    try:
        from pydivsufsort import divsufsort  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise SettingsError(
            "pydivsufsort is needed, which is not installed; pip install 'charloom[copies]'"
        ) from None
    return divsufsort(utf8) if len(utf8) else np.empty(0, np.int32)


def _begins(utf8: Array) -> Array:
    """Where a character begins: at all bytes but those that continue one, 10xxxxxx."""
    return (utf8 & 0xC0) != 0x80


def _length(first: int) -> int:
    """Bytes of a character, by its first."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


def _word_at(words: Array, places: Array) -> Array:
    """(N,) uint64 The eight bytes at each place (N,), the first one highest."""
    which, shift = places >> 3, ((places & 7) << 3).astype(np.uint64)
    first = words[which].astype(np.uint64)
    second = words[which + 1].astype(np.uint64)
    # a shift by 64 is undefined in C, so the second word moves in two steps
    return (first << shift) | ((second >> np.uint64(1)) >> (np.uint64(63) - shift))


def _equal_bytes(difference: Array) -> Array:
    """How many of the highest bytes are zero."""
    return sum((difference < np.uint64(1 << bits)).astype(np.int64) for bits in range(0, 64, 8))  # pyright: ignore[reportReturnType]
