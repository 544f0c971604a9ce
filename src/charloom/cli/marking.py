"""Some characters of a text marked: in color on a terminal, elsewhere with a line of carets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Annotated, Literal

import typer

import charloom

from .streams import is_terminal

Span = tuple[int, int]
"""Where characters start and stop in a text."""

When = Annotated[
    Literal["auto", "always", "never"],
    typer.Option(help="mark characters in color; auto is on a terminal, unless NO_COLOR is set"),
]

_ON, _OFF = "\x1b[1;31m", "\x1b[0m"


def in_color(when: str) -> bool:
    """Whether marks are in color (https://no-color.org)."""
    if when != "auto":
        return when == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and is_terminal(sys.stdout)


def marked(text: str, spans: Iterable[Span], color: bool, indent: int = 0, keep: str = "") -> str:
    r"""A text that is safe to print, with what is in the spans marked.

    Without color, the carets stand in a second line, after so many spaces. Characters in `keep`
    are not spelled out.

    >>> print(marked("a\tq!", [(2, 4)], color=False))
    a\tq!
       ^^
    >>> marked("a q!", [(2, 4)], color=True)
    'a \x1b[1;31mq!\x1b[0m'
    >>> marked("a q", [], color=False)
    'a q'
    """
    pieces, carets, at = [], [], 0
    for start, stop in [*spans, (len(text), len(text))]:
        before = charloom.visible(text[at:start], keep)
        inside = charloom.visible(text[start:stop], keep)
        pieces += [before, f"{_ON}{inside}{_OFF}" if color and inside else inside]
        carets += [" " * len(before), "^" * len(inside)]
        at = stop
    shown = "".join(pieces)
    under = "".join(carets).rstrip()
    return shown if color or not under else f"{shown}\n{' ' * indent}{under}"
