"""What an index of a training text costs: seconds of processor time and peak memory, by its size.

    python benchmarks/copies.py --megabytes 50 200 1000

The text is made of words drawn by Zipf's law, so that short stretches come back as they do in
language. Each size is indexed in a process of its own; then 100,000 characters are looked up, a
half of which is copied from the text in spans of 500.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator

import numpy as np

from charloom import CopyIndex

MEGABYTE = 1_000_000
WORDS, SHOWN, SPAN = 50_000, 100_000, 500
LETTERS = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", "S1")


def pieces(megabytes: float, seed: int = 0) -> Iterator[str]:
    """A text of about this size, in pieces."""
    random = np.random.default_rng(seed)
    order = np.random.default_rng(99)
    weights = 1 / np.arange(1, 27)
    words = [
        b"".join(order.choice(LETTERS, n, p=weights / weights.sum()))
        for n in order.integers(1, 11, WORDS)
    ]
    words = np.array([word + (b". " if n % 9 == 0 else b" ") for n, word in enumerate(words)])
    share = 1 / np.arange(1, WORDS + 1)
    bounds = np.cumsum(share / share.sum())
    made = 0
    while made < megabytes * MEGABYTE:
        drawn = np.minimum(np.searchsorted(bounds, random.random(200_000)), WORDS - 1)
        piece = b"".join(words[drawn].tolist()).decode()
        made += len(piece)
        yield piece


def measure(megabytes: float) -> tuple[float, ...]:
    """Megabytes, seconds to sort them, peak memory in MB, characters looked up a second."""
    kept: list[str] = []

    def watched() -> Iterator[str]:
        for n, piece in enumerate(pieces(megabytes)):
            if n % max(int(megabytes / 100), 1) == 0 and len(kept) < SHOWN // SPAN // 2:
                kept.append(piece[1000 : 1000 + SPAN])
            yield piece
        made.append(time.process_time())

    made: list[float] = []
    index = CopyIndex.of(watched())
    sorted_at = time.process_time()
    fresh = "".join(pieces(0.1, seed=1))
    fresh = [fresh[at : at + SPAN] for at in range(0, SHOWN // 2, SPAN)]
    text = "".join(a + b for a, b in zip(kept, fresh, strict=False))
    begun = time.process_time()
    found = index.longest(text)
    rate = len(text) / (time.process_time() - begun)
    assert all(found[2 * SPAN * n] >= SPAN for n in range(len(kept))), "a copied span was missed"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return index.bytes / MEGABYTE, sorted_at - made[0], peak / MEGABYTE, rate


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=float, nargs="+", default=[50, 200, 1000])
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print("| text, MB | sorted in s | s per MB | peak memory, MB | of text | chars/s looked up |")
    print("| --- | --- | --- | --- | --- | --- |")
    for megabytes in given.megabytes:
        with spawn.Pool(1) as pool:
            size, seconds, peak, rate = pool.apply(measure, (megabytes,))
        print(
            f"| {size:,.0f} | {seconds:.1f} | {seconds / size:.3f} | {peak:,.0f} | "
            f"{peak / size:.2f} times | {rate:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
