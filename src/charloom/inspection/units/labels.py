"""What a person can name about each place of a text, as numbers: 1 and 0, or a count.

A label has one number for each character, and says what is so once that character has been
read; "next is" labels look one character ahead. So inside quotes is 1 from the opening
quote to the last character before the closing one:

    text            S a i d   " N o . "   h e
    inside quotes   0 0 0 0 0 1 1 1 1 0 0 0 0
    in the word     1 2 3 4 0 0 1 2 0 0 0 1 2
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from ...engines.weights import Array
from ...errors import SettingsError
from ...text.visible import visible

NEXT = 8
"""So many of the commonest characters have a "next is" label."""

Selection = tuple[int, int]
"""The first position of a stretch of text, and the one after its last."""


def labels(
    text: str, *, patterns: Iterable[str] = (), selections: Iterable[Selection] = ()
) -> dict[str, Array]:
    """Every label of a text, by name, each (characters,) float32.

    A regular expression of `patterns` is 1 on the characters of its matches; `selections`,
    taken together, are 1 on theirs. SettingsError for an expression that is none, or a
    selection that is not in the text.

    >>> labels('no (on) "no"')["inside brackets"].astype(int).tolist()
    [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    """
    found = {name: make(text) for name, make in _NAMED.items()}
    common = [c for c, _ in Counter(text).most_common(NEXT)]
    for character in dict.fromkeys([*common, *(c for c in " \n" if c in text)]):
        found[f"next is '{visible(character)}'"] = _ahead(text, lambda c, one=character: c == one)
    found |= {f"matches {visible(pattern)}": _matches(text, pattern) for pattern in patterns}
    if chosen := list(selections):
        found["the selection"] = _selected(text, chosen)
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def _inside_quotes(text: str) -> list[int]:
    """Straight quotes open and close by turns; a new paragraph begins outside."""
    inside, found = 0, []
    for n, c in enumerate(text):
        if c == '"':
            inside = 1 - inside
        elif c in "“«„":
            inside = 1
        elif c in "”»" or text[max(n - 1, 0) : n + 1] == "\n\n":
            inside = 0
        found.append(inside)
    return found


def _depth(text: str) -> list[int]:
    depth, found = 0, []
    for c in text:
        depth = max(0, depth + (c in "([{") - (c in ")]}"))
        found.append(depth)
    return found


def _since(text: str, starts_over: Callable[[str], bool]) -> list[int]:
    """Characters since the last one that starts the count over, which has 0 itself."""
    count, found = 0, []
    for c in text:
        count = 0 if starts_over(c) else count + 1
        found.append(count)
    return found


def _ahead(text: str, holds: Callable[[str], bool]) -> list[bool]:
    return [*(holds(c) for c in text[1:]), False]


def _matches(text: str, pattern: str) -> Array:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise SettingsError(f"pattern: {pattern!r} is no regular expression ({error})") from None
    found = np.zeros(len(text))
    for match in expression.finditer(text):
        found[match.start() : match.end()] = 1
    return found


def _selected(text: str, selections: list[Selection]) -> Array:
    found = np.zeros(len(text))
    for start, stop in selections:
        if not 0 <= start < stop <= len(text):
            raise SettingsError(
                f"select: {start}:{stop} was given; a selection is START:STOP within 0 and "
                f"{len(text)}, the length of the text that is searched"
            )
        found[start:stop] = 1
    return found


_NAMED: dict[str, Callable[[str], object]] = {
    "inside quotes": _inside_quotes,
    "inside brackets": lambda text: [depth > 0 for depth in _depth(text)],
    "bracket depth": _depth,
    "position in the line": lambda text: _since(text, lambda c: c == "\n"),
    "position in the word": lambda text: _since(text, lambda c: not c.isalnum()),
    "since the last space": lambda text: _since(text, str.isspace),
    "a capital": lambda text: [c.isupper() for c in text],
    "a digit": lambda text: [c.isdigit() for c in text],
    "starts a line": lambda text: [n == 0 or text[n - 1] == "\n" for n in range(len(text))],
    "next is a vowel": lambda text: _ahead(text, lambda c: c.lower() in "aeiou"),
    "next is a capital": lambda text: _ahead(text, str.isupper),
}
