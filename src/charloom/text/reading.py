"""Files, folders, globs and standard input, read as one normalized text.

    bytes --decode--> characters --normalize--> pieces of bounded size

Normalized: a byte order mark at the start of a file is dropped, CRLF and CR become LF,
and on request letters are joined with their accents (NFC). Where a file ends without a
line feed and another one follows, a line feed is put between them.
"""

from __future__ import annotations

import bz2
import codecs
import glob
import gzip
import io
import lzma
import os
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import SettingsError, TextError
from ..settings import TextSettings

SUFFIXES = (".txt", ".text", ".md")
"""Files with these endings, compressed or not, are the texts of a folder."""

PIECE = 1 << 18
"""Bytes, or characters of a text in memory, that are read at a time: they fit the cache."""

_COMPRESSED: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
}


@dataclass(frozen=True)
class InMemory:
    """A text given as such, where otherwise the name of a file is expected."""

    text: str


Source = str | Path | InMemory
"""A file, a folder, a glob, "-" for standard input, or a text in memory."""

Sources = Source | Iterable[Source]


def read(sources: Sources, settings: TextSettings | None = None) -> Iterator[str]:
    r"""The normalized text of one or many sources, in pieces of bounded size.

    A folder stands for the text files in it and below it (see SUFFIXES), in the order of
    their names; .gz, .xz and .bz2 are decompressed. Raises TextError for a text that is
    missing, empty, unreadable, undecodable or binary, SettingsError for an encoding that
    does not exist.

    >>> "".join(read([InMemory("a\r\nb"), InMemory("c")]))
    'a\nb\nc'
    """
    settings = settings or TextSettings()
    _check_encoding(settings.encoding)
    expanded = _expanded(sources)
    last = ""
    for source in expanded:
        for number, piece in enumerate(_normalized(source, settings)):
            if number == 0 and last not in ("", "\n"):
                yield "\n"
            last = piece[-1]
            yield piece
    if not last:
        what = _name(expanded[0]) if len(expanded) == 1 else f"all {len(expanded)} texts"
        raise TextError(f"{what}: empty; a text needs at least two characters")


def beginning(pieces: Iterable[str], characters: int) -> str:
    """The first characters of a text; no more of it is read than that needs.

    >>> beginning(["The ", "fox"], 5)
    'The f'
    """
    text, pieces = "", iter(pieces)
    while len(text) < characters and (piece := next(pieces, None)) is not None:
        text += piece
    return text[:characters]


def _check_encoding(encoding: str) -> None:
    try:
        "a".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except (LookupError, UnicodeError):
        raise SettingsError(
            f"encoding: {encoding!r} was given, which is no encoding of text; "
            "it must be one that Python knows, such as utf-8, utf-16, cp1252 or gb18030"
        ) from None


def _name(source: Source) -> str:
    if isinstance(source, InMemory):
        return "the text given"
    if source == "-":
        return "standard input"
    name = str(source)
    name = name if len(name) < 300 else name[:60] + "..."
    return name if name.isprintable() else repr(name)


def _expanded(sources: Sources) -> list[Source]:
    """The sources with every folder and glob replaced by its files."""
    if isinstance(sources, str | Path | InMemory):
        sources = [sources]
    expanded: list[Source] = []
    for source in sources:
        if isinstance(source, InMemory) or source == "-":
            expanded.append(source)
        else:
            expanded.extend(_files(Path(source)))
    if not expanded:
        raise TextError("no text was given; give a file, a folder, a glob or - for standard input")
    return expanded


def _files(path: Path) -> list[Path]:
    if os.path.isdir(path):  # noqa: PTH112  Path's own may raise; opening says what is wrong
        found = [file for file in path.rglob("*") if _is_text(file.relative_to(path))]
        missing = (
            f"no files that end in {', '.join(SUFFIXES)} in this folder; "
            f"name others by a glob, such as '{path / '*'}'"
        )
    elif glob.has_magic(str(path)) and not os.path.exists(path):  # noqa: PTH110
        found = [Path(file) for file in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        missing = "no file matches; check the pattern, or name the files"
    else:
        return [path]
    files = sorted(file for file in found if file.is_file())
    if not files:
        raise TextError(f"{_name(path)}: {missing}")
    return files


def _is_text(path: Path) -> bool:
    """Whether a path inside a folder has a text's ending and no hidden part."""
    name = path.name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return name.endswith(SUFFIXES) and not any(part.startswith(".") for part in path.parts)


def _normalized(source: Source, settings: TextSettings) -> Iterator[str]:
    """The text of one source, in pieces that are never empty."""
    pieces = _decoded(source, settings)
    pieces = _with_line_feeds(_without_mark(pieces))
    if settings.normalization == "nfc":
        pieces = _joined(pieces)
    return filter(None, pieces)


def _decoded(source: Source, settings: TextSettings) -> Iterator[str]:
    if isinstance(source, InMemory):
        for start in range(0, len(source.text), PIECE):
            yield source.text[start : start + PIECE]
        return
    decoder = codecs.getincrementaldecoder(settings.encoding)(settings.errors)
    has_zeros = codecs.lookup(settings.encoding).name.startswith(("utf-16", "utf-32"))
    position = 0
    with _opened(source) as file:
        try:
            while block := file.read(PIECE):
                if b"\0" in block and not has_zeros:
                    raise TextError(
                        f"{_name(source)}: looks binary, since it holds NUL bytes; "
                        "give a text, or if it is UTF-16 read it with `encoding='utf-16'`",
                        "encoding",
                    )
                position += len(block)
                yield decoder.decode(block)
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            # The decoder's object is what it had kept of earlier blocks and this block.
            at = position - len(error.object) + error.start
            raise TextError(
                f"{_name(source)}: byte {at} (0x{error.object[error.start]:02x}) is not "
                f"{settings.encoding}: {error.reason}; name the file's own `encoding`, "
                "such as cp1252, or read it as U+FFFD with `errors='replace'`",
                "encoding",
                "errors",
            ) from None
        except UnicodeError as error:  # UTF-16 without a byte order mark
            raise TextError(f"{_name(source)}: not {settings.encoding}: {error}") from None


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


@contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    """A file as bytes, decompressed; whatever goes wrong with it is a TextError."""
    try:
        if path == "-":
            yield sys.stdin.buffer
            return
        path = Path(path)
        with _COMPRESSED.get(path.suffix.lower(), open)(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise TextError(f"{_name(path)}: there is no such file or folder") from None
    except PermissionError:
        raise TextError(f"{_name(path)}: no permission to read this file") from None
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError) as error:
        kind = Path(path).suffix.lower()
        hint = f"; it is cut off, damaged or no {kind} file" if kind in _COMPRESSED else ""
        raise TextError(f"{_name(path)}: not readable: {_reason(error)}{hint}") from None


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
