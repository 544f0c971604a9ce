"""The steps that every text passes: files, prompts, stop strings, arguments and HTTP fields.

pieces of str
  -> no halves of surrogate pairs, which UTF-8 cannot hold: refused
  -> no byte order mark at the start
  -> CRLF and CR become LF
  -> on request, letters are joined with their accents (NFC)
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Iterator

from ..errors import TextError

_SURROGATE = re.compile("[\ud800-\udfff]")


class Normalized(Iterator[str]):
    """The pieces of a text that has passed the steps, so that it need not do so again."""

    def __init__(self, pieces: Iterator[str], normalization: str) -> None:
        self.normalization = normalization
        self._pieces = pieces

    def __next__(self) -> str:
        return next(self._pieces)


def steps(pieces: Iterable[str], normalization: str, name: str = "the text") -> Iterator[str]:
    """The pieces of a text after all steps, none of them empty.

    TextError, with `name`, for a piece that is no str or holds half a surrogate pair.
    """
    pieces = _with_line_feeds(_without_mark(_checked(pieces, name)))
    return filter(None, _joined(pieces) if normalization == "nfc" else pieces)


def normalized(text: str, normalization: str, name: str = "the text") -> str:
    r"""A whole text after all steps; TextError, with `name`, if it is none.

    >>> normalized("\ufeffa\r\nb", "none")
    'a\nb'
    >>> normalized("e\u0301", "nfc") == "\u00e9"
    True
    """
    return "".join(steps([text], normalization, name))


def _checked(pieces: Iterable[str], name: str) -> Iterator[str]:
    position = 0
    for piece in pieces:
        if not isinstance(piece, str):
            raise TextError(
                f"{name}: a piece of it is {type(piece).__name__}; a text is given as str, as a "
                "Path, or in pieces of str"
            )
        if not piece.isascii() and (found := _SURROGATE.search(piece)):
            raise TextError(
                f"{name}: character {position + found.start()} (the first is 0) is half a "
                f"surrogate pair (U+{ord(found[0]):04X}), which UTF-8 cannot hold; remove it"
            )
        position += len(piece)
        yield piece


def _without_mark(pieces: Iterator[str]) -> Iterator[str]:
    for piece in pieces:
        if piece:
            yield piece.removeprefix("\ufeff")
            break
    yield from pieces


def _with_line_feeds(pieces: Iterator[str]) -> Iterator[str]:
    # Holds a CR at the end of a piece back until it knows whether an LF follows.
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    for piece in pieces:
        yield newlines.decode(piece)
    yield newlines.decode("", final=True)


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """NFC of a text, cut only before characters that never join the one before them."""
    held = ""
    for piece in pieces:
        held += piece
        places = range(len(held) - 1, 0, -1)
        border = next((i for i in places if _stands_alone(held[i])), 0)
        yield unicodedata.normalize("NFC", held[:border])
        held = held[border:]
    yield unicodedata.normalize("NFC", held)


def _stands_alone(character: str) -> bool:
    """Whether NFC never joins a character with what is before: it is no letter or mark."""
    return character < "\u0300" or unicodedata.category(character)[0] not in "LM"
