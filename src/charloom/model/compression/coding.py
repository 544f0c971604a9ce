"""Arithmetic coding: symbols of known probability as a number of bits, to within a few of them.

A range coder with carry, after Martin, "Range encoding" (1979): an interval of integers is cut
in proportion to the frequencies of the symbols, and the part of the symbol that comes is the
next interval. Everything is done in integers, and `frequencies` makes them from logits by
operations that IEEE 754 rounds in one way, so that every machine cuts alike.
"""

from __future__ import annotations

import math

import numpy as np

from ...engines.weights import Array
from ...errors import TextError

TOTAL = 2**24
"""The frequencies of all symbols together."""

_WIDTH = 56  # bits of the interval's ends
_TOP = 1 << _WIDTH
_NARROW = 1 << 40  # an interval that is narrower gets 8 more bits
_LOW = _TOP - 1

# exp(r) for |r| <= ln 2 / 2 by its series, to 2^-53; ln 2 in two parts, the first exact times n.
_SERIES = [1 / math.factorial(n) for n in range(13, -1, -1)]
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10


def frequencies(logits: Array) -> Array:
    """(N, V) int64: of each symbol, in proportion to exp(logit), at least 1; a row adds to TOTAL.

    The same for the same logits (N, V) on every machine: NumPy's own exp and sum are not.

    >>> frequencies(np.log(np.array([[1.0, 3.0]], np.float32))).tolist()
    [[4194304, 12582912]]
    """
    x = logits.astype(np.float64)
    x = np.maximum(x - x.max(axis=1, keepdims=True), -40.0)
    n = np.rint(x * 1.4426950408889634)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    value = np.full_like(r, _SERIES[0])
    for term in _SERIES[1:]:
        value *= r
        value += term
    value *= ((n.astype(np.int64) + (1023 + 32)) << 52).view(np.float64)  # 2^(n + 32)
    shares = value.astype(np.int64)  # at most 2^32
    rest = TOTAL - shares.shape[1]
    found = 1 + shares * rest // shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(found))
    found[rows, shares.argmax(axis=1)] += TOTAL - found.sum(axis=1)
    return found


class Encoder:
    """Symbols to bytes.

    >>> encoder = Encoder()
    >>> encoder.add(0, 1 << 23)
    >>> encoder.add_evenly(6, 10)
    >>> decoder = Decoder(encoder.finish())
    >>> decoder.find(np.array([1 << 23, 1 << 23])), decoder.find_evenly(10)
    (0, 6)
    """

    def __init__(self) -> None:
        self._low, self._range = 0, _TOP
        self._bytes = bytearray()

    def add(self, start: int, frequency: int) -> None:
        """The symbol that has `frequency` of TOTAL, those before it together `start`."""
        part = self._range >> 24
        self._low += part * start
        self._range = part * frequency
        self._shift()

    def add_evenly(self, number: int, count: int) -> None:
        """One of `count` numbers that are equally likely; at most 2^24 of them."""
        part = self._range // count
        self._low += part * number
        self._range = part
        self._shift()

    def _shift(self) -> None:
        if self._low >= _TOP:
            self._low -= _TOP
            at = len(self._bytes) - 1
            while self._bytes[at] == 255:
                self._bytes[at] = 0
                at -= 1
            self._bytes[at] += 1
        while self._range < _NARROW:
            self._bytes.append(self._low >> (_WIDTH - 8))
            self._low = (self._low << 8) & _LOW
            self._range <<= 8

    def finish(self) -> bytes:
        """All of it, in as few bytes as tell the last interval from its neighbors."""
        kept = _WIDTH
        while kept > 8:  # the fewest bits of an end that lies in the interval
            step = 1 << (_WIDTH - kept + 8)
            if -(-self._low // step) * step >= self._low + self._range:
                break
            kept -= 8
        step = 1 << (_WIDTH - kept)
        self._low, self._range = -(-self._low // step) * step, _TOP
        self._shift()
        end = (self._low >> (_WIDTH - kept)).to_bytes(kept // 8, "big")
        return bytes(self._bytes) + end.rstrip(b"\0")


class Decoder:
    """Bytes of an Encoder back to symbols, given the same frequencies."""

    def __init__(self, encoded: bytes) -> None:
        self._bytes, self._at = encoded, _WIDTH // 8
        self._code = int.from_bytes(encoded[: self._at].ljust(self._at, b"\0"), "big")
        self._range = _TOP

    def find(self, frequencies: Array) -> int:
        """The next symbol; `frequencies` (V,) are its possible ones'. TextError if none fits."""
        part = self._range >> 24
        ends = frequencies.cumsum()
        symbol = int(ends.searchsorted(self._code // part, side="right"))
        if symbol == len(ends):
            raise TextError("the code of the archive is damaged")
        frequency = int(frequencies[symbol])
        self._take(part * (int(ends[symbol]) - frequency), part * frequency)
        return symbol

    def find_evenly(self, count: int) -> int:
        """The next of `count` numbers that are equally likely."""
        part = self._range // count
        number = self._code // part
        if number >= count:
            raise TextError("the code of the archive is damaged")
        self._take(part * number, part)
        return number

    def _take(self, start: int, width: int) -> None:
        self._code -= start
        self._range = width
        while self._range < _NARROW:
            byte = self._bytes[self._at] if self._at < len(self._bytes) else 0
            self._at += 1
            self._code = (self._code << 8) | byte
            self._range <<= 8
