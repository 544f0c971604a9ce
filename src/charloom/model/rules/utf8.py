"""An automaton over characters becomes one over the bytes of UTF-8, for models of bytes.

Between the bytes of a character stand states that know what is still to come: which code points,
and where each leads. Those that know the same are one.
"""

from __future__ import annotations

from .automaton import Automaton

_Ranges = tuple[tuple[int, int, int], ...]
"""Code points, or what is left of them: from, to (included), and the state they lead to."""

_LENGTHS = (  # code points from, to; the first byte of code point 0, if it were one; bytes after it
    (0x00, 0x7F, 0x00, 0),
    (0x80, 0x7FF, 0xC0, 1),
    (0x800, 0xD7FF, 0xE0, 2),
    (0xE000, 0xFFFF, 0xE0, 2),
    (0x10000, 0x10FFFF, 0xF0, 3),
)


def bytes_of(automaton: Automaton) -> list[dict[int, int]]:
    """Of each state, the state after a byte; the automaton's own states come first.

    >>> from .automaton import automaton_of
    >>> following = bytes_of(automaton_of("é"))
    >>> lead, = following[0].items()
    >>> hex(lead[0]), [hex(byte) for byte in following[lead[1]]]
    ('0xc3', ['0xa9'])
    """
    following: list[dict[int, int]] = [{} for _ in automaton.following]
    between: dict[tuple[_Ranges, int], int] = {}

    def after(ranges: _Ranges, more: int) -> int:
        """The state where so many bytes are still to come."""
        if not more:
            return ranges[0][2]
        if (ranges, more) not in between:
            between[ranges, more] = len(following)
            following.append({})
            add(following[-1], ranges, 0x80, more - 1)
        return between[ranges, more]

    def add(row: dict[int, int], ranges: _Ranges, first: int, more: int) -> None:
        """Add the ways of a byte, after which `more` are to come."""
        size = 64**more
        parts: dict[int, list[tuple[int, int, int]]] = {}
        for low, high, target in ranges:
            for byte in range(low // size, high // size + 1):
                part = (max(low - byte * size, 0), min(high - byte * size, size - 1), target)
                parts.setdefault(byte, []).append(part)
        for byte, part in parts.items():
            row[first + byte] = after(tuple(part), more)

    spans = _spans(automaton)
    for state, by_class in enumerate(automaton.following):
        whole = _joined([(a, b, by_class[key]) for a, b, key in spans if key in by_class])
        for least, most, first, more in _LENGTHS:
            ranges = [(max(a, least), min(b, most), to) for a, b, to in whole]
            add(following[state], tuple(r for r in ranges if r[0] <= r[1]), first, more)
    return following


def _spans(automaton: Automaton) -> list[tuple[int, int, int]]:
    """All code points, from and to, and their class."""
    found, start = [], 0
    for character, key in sorted(automaton.classes.items()):
        if len(character) != 1:  # an upper case of two characters, such as that of ß
            continue
        found += [
            (start, ord(character) - 1, automaton.other),
            (ord(character), ord(character), key),
        ]
        start = ord(character) + 1
    found.append((start, 0x10FFFF, automaton.other))
    return [span for span in found if span[0] <= span[1]]


def _joined(spans: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The same, neighbours that lead to the same state as one."""
    found: list[tuple[int, int, int]] = []
    for low, high, target in spans:
        if found and found[-1][1] + 1 == low and found[-1][2] == target:
            low = found.pop()[0]
        found.append((low, high, target))
    return found
