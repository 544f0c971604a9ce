r"""A pattern becomes a finite automaton over characters; interegular does it.

The patterns are those of Python's `re`, with the flag re.ASCII, and the whole text has to match.
What looks further than one character ahead or back (\b, lookarounds, references to groups,
possessive quantifiers) is no finite automaton here, and refused.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...errors import SettingsError, counted, shown

SECONDS = 4.0
"""Of processor time, the most that an automaton may take; some short patterns have 2^100 states."""

LONGEST = 10_000
"""Characters of a pattern."""

_TOKEN = re.compile(
    r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL
)
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Automaton:
    """States 0, 1, ..., of which 0 is the first; characters that are treated alike share a class.

    >>> automaton = automaton_of("ab*")
    >>> after_a = automaton.following[0][automaton.class_of("a")]
    >>> automaton.accepting[0], automaton.accepting[after_a]
    (False, True)
    """

    following: list[dict[int, int]]
    """Of each state, the state after a character, by its class; none where there is none."""
    accepting: list[bool]
    """Of each state, whether the text may end there."""
    classes: dict[str, int]
    other: int
    """The class of every character that `classes` does not name."""

    def class_of(self, character: str) -> int:
        """The class of a character."""
        return self.classes.get(character, self.other)


@lru_cache(maxsize=32)
def automaton_of(pattern: str) -> Automaton:
    """The automaton of a regular expression; SettingsError where it has none.

    >>> automaton_of(r"(?=a)b")
    Traceback (most recent call last):
        ...
    charloom.errors.SettingsError: pattern: '(?=a)b' was given; it has a (?=, which is not possible
    """
    try:
        from interegular import InvalidSyntax, Unsupported, parse_pattern  # pyright: ignore[reportMissingImports]
        from interegular.fsm import anything_else  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise SettingsError(
            "pattern: interegular is needed, which is not installed; pip install 'charloom[rules]'"
        ) from None
    if len(pattern) > LONGEST:
        raise SettingsError(
            f"pattern: it has {counted(len(pattern), 'character')}; at most {LONGEST:,} are read"
        )
    try:
        plain = _plain(pattern)
        with _at_most(SECONDS):
            machine = parse_pattern(plain).to_fsm()
    except (Unsupported, InvalidSyntax) as error:
        raise _refused(pattern, str(error) or "it cannot be read") from None
    except _TooLongError:
        raise _refused(pattern, f"it has too many states to find in {SECONDS:g} seconds") from None
    except (RecursionError, OverflowError):
        raise _refused(pattern, "it is too deep, or repeats too often") from None
    numbers = {machine.initial: 0}
    for state in machine.states:
        numbers.setdefault(state, len(numbers))
    states = list(numbers)
    classes: dict[Any, Any] = {symbol: machine.alphabet[symbol] for symbol in machine.alphabet}
    return Automaton(
        following=[
            {key: numbers[after] for key, after in machine.map.get(state, {}).items()}
            for state in states
        ],
        accepting=[state in machine.finals for state in states],
        other=classes.pop(anything_else, -1),
        classes=classes,
    )


def _plain(pattern: str) -> str:
    """The same in what interegular reads as Python does, anchors at the ends left out."""
    try:
        re.compile(pattern, re.ASCII)
    except re.error as error:
        raise _refused(pattern, str(error)) from None
    tokens = _TOKEN.findall(pattern)
    shape = "".join("x" if len(token) > 1 else token for token in tokens)
    if found := re.search(r"\(\?(?!:|P<|[ims]+[:)])(?:<?[=!]|.)|(?:[*+?]|\{\d*,?\d*\})\+", shape):
        raise _refused(pattern, f"it has a {found[0]}, which is not possible")
    if any(len(re.findall(r"(?<!\\)(?:\\\\)*\\[WDS]", token)) > 1 for token in tokens):
        raise _refused(pattern, r"it has two of \W, \D and \S in one [], which is not possible")
    while tokens and tokens[0] in ("^", r"\A"):
        del tokens[0]
    while tokens and tokens[-1] in ("$", r"\Z"):
        del tokens[-1]
    return "".join(map(_token, tokens))


def _token(token: str) -> str:
    """A token of a pattern as interegular has it: no code points, and no ] that begins a class."""
    if len(token) > 1:
        token = re.sub(r"^(\[\^?)\]", r"\1\\]", token)
        return _ESCAPE.sub(
            lambda found: (
                re.escape(chr(int(found[0][2:], 16))) if found[0][1] in "uU" else found[0]
            ),
            token,
        )
    return token


def _refused(pattern: str, why: str) -> SettingsError:
    return SettingsError(f"pattern: {shown(repr(pattern), 60)} was given; {shown(why)}")


class _TooLongError(Exception):
    """The time is up."""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """End what runs in this thread after so long: interegular has no limit of its own."""
    end = time.thread_time() + seconds

    def watch(frame: Any, event: str, argument: Any) -> None:
        if time.thread_time() > end:
            raise _TooLongError

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)
