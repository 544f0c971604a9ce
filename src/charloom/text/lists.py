"""Lists: texts of one item a line, such as names, molecules or log lines.

A list is recognized by a rule, from its first quarter of a million characters:

    at least 50 lines, at most 1 in 100 of them empty, at most 1 in 100 begins with white
    space, and at least 95 in 100 of the others
        have at most three words (names, molecules, words), or
        begin with a digit or a bracket (log lines with a date), or
        begin alike: the same kinds of words, numbers and signs, with a number among the
        first of them (log lines of one format)

and at least half of the lines are different.

Items stand for themselves, so the order of the file says nothing. Which ones are held out is
decided by a hash of each item: the same for every order and every seed, and equal items are
always on one side.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from itertools import pairwise

import numpy as np

from .vocabulary import Vocabulary

SAMPLE = 2**18
"""Characters that are looked at."""

FEWEST = 50
"""Lines of a list."""


def is_list(text: str) -> bool:
    r"""Whether the beginning of a text looks like a list, by the rule above.

    >>> is_list("\n".join(map(bin, range(60)))), is_list("It was a dark night.\n" * 60)
    (True, False)
    """
    lines = text[:SAMPLE].split("\n")[:-1] if len(text) > SAMPLE else text.split("\n")
    while lines and not lines[-1]:
        lines.pop()
    full = [line for line in lines if line]
    if len(full) < FEWEST or len(lines) - len(full) > len(lines) / 100:
        return False
    if sum(line[0].isspace() for line in full) > len(full) / 100:
        return False
    if 2 * len(set(full)) < len(full):
        return False
    most = 0.95 * len(full)
    if sum(len(line.split()) <= 3 for line in full) >= most:
        return True
    if sum(line[0].isdigit() or line[0] in "[{<(" for line in full) >= most:
        return True
    shapes = Counter(_shape(line) for line in full)
    return any(count >= most and "9" in shape for shape, count in shapes.items())


def _shape(line: str) -> str:
    """The first five of a line's words, numbers, spaces and signs: "Jan  7 03:12" is "a 9 9"."""
    for run, kind in ((r"\d+", "9"), (r"[^\W\d_]+", "a"), (r"\s+", " ")):
        line = re.sub(run, kind, line[:40])
    return line[:5]


def is_sorted(text: str) -> bool:
    r"""Whether the lines of a text's beginning stand in ascending order, nearly all.

    >>> is_sorted("\n".join(sorted(map(bin, range(60)))))
    True
    """
    lines = [line for line in text[:SAMPLE].split("\n") if line]
    if len(lines) < FEWEST or 2 * len(set(lines)) < len(lines):
        return False
    rising = sum(a <= b for a, b in pairwise(lines))
    return rising >= 0.99 * (len(lines) - 1)


def held_out_lines(ids: np.ndarray, vocabulary: Vocabulary, fraction: float) -> np.ndarray:
    """(N,) bool: True on the ids of held-out items, about this share of the distinct ones."""
    newline = vocabulary.newline_id
    ends = np.flatnonzero(ids == newline) + 1
    if not len(ends) or ends[-1] != len(ids):
        ends = np.append(ends, len(ids))
    starts = np.concatenate([[0], ends[:-1]])
    below = int(fraction * 2**64)
    held_out = np.zeros(len(ends), bool)
    text = ids.tobytes() if vocabulary.kind == "bytes" else vocabulary.decode(ids)
    for n, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        item = text[start:end]
        utf8 = (item if isinstance(item, bytes) else item.encode()).removesuffix(b"\n")
        digest = hashlib.blake2b(utf8, digest_size=8).digest()
        held_out[n] = int.from_bytes(digest, "little") < below
    if held_out.all():  # a very short list: something has to be trained on
        held_out[:] = False
    return np.repeat(held_out, ends - starts)


def mean_line_length(ids: np.ndarray, newline: int) -> float:
    """Characters of a line that is not empty, its line feed included."""
    feeds = ids == newline
    empty = int(np.count_nonzero(feeds[1:] & feeds[:-1])) + int(len(ids) > 0 and feeds[0])
    lines = int(np.count_nonzero(feeds)) + int(len(ids) > 0 and not feeds[-1]) - empty
    return (len(ids) - empty) / max(lines, 1)
