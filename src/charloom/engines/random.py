"""Random numbers that are a function of a key and a position, in NumPy.

Nothing is drawn in sequence, so the order of the work, the number of threads and a stop
in the middle change nothing; the native core has the same functions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio, the step of SplitMix64


def mix32(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Scramble 32 bits, one to one; the constants are those of Wellons's hash-prospector.

    >>> [hex(x) for x in mix32(np.arange(3, dtype=np.uint32))]
    ['0x0', '0x6d3fa73', '0xda7f4e7']
    """
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0xD35A2D97)
    x ^= x >> np.uint32(15)
    return x


def dropout_mask(key: int, layer: int, shape: tuple[int, ...], dropout: float) -> NDArray[np.bool_]:
    """(T, B, H) True where an output is kept: each with probability 1 - dropout."""
    layer_key = mix32(np.array([(key + layer * 0x9E3779B9) & 0xFFFFFFFF], np.uint32))
    position = np.arange(int(np.prod(shape)), dtype=np.uint32)
    bits = mix32(position ^ layer_key)
    return (bits >= np.uint32(dropout_threshold(dropout))).reshape(shape)


def dropout_threshold(dropout: float) -> int:
    """Of 2^32 equally likely values, how many drop."""
    return min(int(dropout * 2.0**32), 2**32 - 1)


def uniform(seeds: NDArray[np.uint64], index: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """(B,) The index-th number in [0, 1) of each seed: SplitMix64 (Steele et al., 2014).

    `index` is for all seeds, or one for each.
    """
    z = seeds.astype(np.uint64) + (np.atleast_1d(index).astype(np.uint64) + 1) * np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.ldexp((z >> np.uint64(11)).astype(np.float64), -53)


def stream_seeds(seed: int, streams: int, first: int = 0) -> NDArray[np.uint64]:
    """(B,) A seed for each stream, such that stream 0 alone equals stream 0 of many.

    >>> bool((stream_seeds(7, 5)[3:] == stream_seeds(7, 2, first=3)).all())
    True
    """
    numbers = range(first, first + streams)
    sequences = (np.random.SeedSequence([seed, stream]) for stream in numbers)
    return np.array([s.generate_state(1, np.uint64)[0] for s in sequences], np.uint64)


def second_seeds(seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(B,) Seeds of other numbers, for what is drawn a second time at the same place."""
    return seeds ^ np.uint64(0xD1B54A32D192ED03)
