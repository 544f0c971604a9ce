"""Files, folders, globs and standard input, read as one normalized text.

    bytes --decode--> characters --normalize--> pieces of bounded size

normalizing.py has the steps that every text passes. Where a file ends without a line feed
and another one follows, a line feed is put between them. Each file is read once, however many
paths lead to it.
"""

from __future__ import annotations

import bz2
import codecs
import glob
import gzip
import logging
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import SettingsError, TextError, counted, short_repr
from ..settings import TextSettings
from .normalizing import Normalized, steps
from .recognizing import kind_of, unicode_of
from .sharded import is_prepared

logger = logging.getLogger(__name__)

SUFFIXES = (".txt", ".text", ".md")
"""Files with these endings, compressed or not, are the texts of a folder."""

PIECE = 1 << 18
"""Bytes, or characters of a text in memory, that are read at a time: they fit the cache."""

COMPRESSED: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
}


@dataclass(frozen=True)
class InMemory:
    """A text given as such, where otherwise the name of a file is expected."""

    __repr__ = short_repr

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TextError(f"{type(self.text).__name__} was given as a text; it must be a str")


Source = str | Path | InMemory
"""A file, a folder, a glob, "-" for standard input, or a text in memory."""

Sources = Source | Iterable[Source]


def read(sources: Sources, settings: TextSettings | None = None) -> Normalized:
    r"""The normalized text of one or many sources, in pieces of bounded size.

    A str or a Path is the name of a file, a folder or a glob, "-" is standard input, and
    InMemory is a text itself.

    A folder stands for the text files in it and below it (see SUFFIXES), in the order of
    their names; .gz, .xz and .bz2 are decompressed. Raises TextError for a text that is
    missing, empty, unreadable, undecodable or binary, SettingsError for an encoding that
    does not exist.

    >>> "".join(read([InMemory("a\r\nb"), InMemory("c")]))
    'a\nb\nc'
    """
    settings = TextSettings.of(settings, "settings")
    return Normalized(_read(sources, settings), settings.normalization)


def _read(sources: Sources, settings: TextSettings) -> Iterator[str]:
    _check_encoding(settings.encoding)
    expanded = single_sources(sources)
    last = ""
    for source in expanded:
        pieces = steps(_decoded(source, settings), settings.normalization, name_of(source))
        for number, piece in enumerate(pieces):
            if number == 0 and last not in ("", "\n"):
                yield "\n"
            last = piece[-1]
            yield piece
    if not last:
        what = name_of(expanded[0])
        if len(expanded) > 1:
            what = f"all {counted(len(expanded), 'text')}"
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


def given_as_text(text: str) -> InMemory:
    """A str where a text is meant; TextError if it is the name of a file that exists.

    >>> given_as_text("The fox").text
    'The fox'
    """
    if 0 < len(text) < 4096 and "\0" not in text and os.path.isfile(text):  # noqa: PTH113
        raise TextError(
            f"{text!r} is the name of a file, and a str is read as the text itself; give "
            f"Path({text!r}) to read the file, or InMemory({text!r}) for these "
            f"{counted(len(text), 'character')}"
        )
    return InMemory(text)


def name_of(source: Source) -> str:
    """What a message calls a source."""
    if isinstance(source, InMemory):
        return "the text given"
    if source == "-":
        return "standard input"
    name = str(source)
    name = name if len(name) < 300 else name[:60] + "..."
    return name if name.isprintable() else repr(name)


def single_sources(sources: Sources, endings: tuple[str, ...] = SUFFIXES) -> list[Source]:
    """The sources with every folder and glob replaced by its files, each file once.

    Of a folder these are the files with such endings, compressed or not. Raises what `read` does.
    """
    if hasattr(sources, "read"):
        name = getattr(sources, "name", "...")
        raise TextError(f"an open file was given; give its name instead: Path({name!r})")
    if isinstance(sources, str | Path | InMemory):
        sources = [sources]
    if not isinstance(sources, Iterable) or isinstance(sources, bytes):
        raise TextError(f"{_wrong(sources)}")
    expanded: dict[object, Source] = {}
    for source in sources:
        if isinstance(source, InMemory) or source == "-":
            expanded[len(expanded)] = source
            continue
        if not isinstance(source, str | Path):
            raise TextError(_wrong(source))
        files = _files(source, endings)
        for file in files:
            real = _real(file)
            if real in expanded and files == [Path(source)]:
                logger.warning("%s: is given twice, and read once", name_of(file))
            expanded.setdefault(real, file)
    if not expanded:
        raise TextError("no text was given; give a file, a folder, a glob or - for standard input")
    return list(expanded.values())


def lasting_sources(sources: Sources) -> list[Source]:
    """Those of `single_sources`, each of which can be read more than once.

    TextError for standard input or a pipe, such as a shell's <(command).

    >>> [source.text for source in lasting_sources(InMemory("the fox"))]
    ['the fox']
    """
    found = single_sources(sources)
    for source in found:
        if isinstance(source, InMemory):
            continue
        if source == "-" or Path(source).is_fifo():
            raise TextError(
                f"{name_of(source)}: can be read only once, and this text is read several times; "
                "put it into a file first"
            )
    return found


def _real(file: Path) -> str:
    """What a path leads to; itself if it cannot lead anywhere, which opening it will tell."""
    try:
        return os.path.realpath(file)
    except (OSError, ValueError):
        return str(file)


def _wrong(source: object) -> str:
    return (
        f"{type(source).__name__} was given as a text; it must be the name of a file, a folder or "
        "a glob as a str or Path, or InMemory(text)"
    )


def _no_text_in(folder: Path, endings: tuple[str, ...]) -> str:
    """What a folder without a text is, and what to do."""
    if (folder / "run.json").exists():
        return "this is the folder of a run, and no text; --resume goes on with it"
    if is_prepared(folder):
        return (
            "is a prepared corpus, which only training reads, with no text beside it; give the "
            "text that it was made of"
        )
    return (
        f"no files that end in {', '.join(endings)} in this folder; "
        f"name others by a glob, such as '{folder / '*'}'"
    )


def _files(source: str | Path, endings: tuple[str, ...]) -> list[Path]:
    if not str(source):
        raise TextError("an empty name was given as a text; give a file, a folder or a glob")
    path = Path(source)
    if os.path.isdir(path):  # noqa: PTH112  Path's own may raise; opening says what is wrong
        found = [file for file in path.rglob("*") if _is_text(file.relative_to(path), endings)]
        missing = "" if found else _no_text_in(path, endings)
    elif glob.has_magic(str(path)) and not os.path.exists(path):  # noqa: PTH110
        found = [Path(file) for file in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        missing = "no file matches; check the pattern, or name the files"
    elif isinstance(source, str) and not os.path.lexists(path):
        raise TextError(
            f"{name_of(source)}: there is no such file or folder; if it is the text itself, give "
            "InMemory(text)"
        )
    else:
        return [path]
    # where links make several paths to a file, the shortest is the one
    found.sort(key=lambda file: (len(file.parts), file))
    files = sorted({_real(file): file for file in reversed(found) if file.is_file()}.values())
    if not files:
        raise TextError(f"{name_of(path)}: {missing}")
    return files


def _is_text(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a path inside a folder has a text's ending and no hidden part."""
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return name.endswith(endings) and not any(part.startswith(".") for part in path.parts)


@dataclass(frozen=True)
class Stretch:
    """A file, or some of its bytes, which begin and end at a line."""

    path: Path
    start: int = 0
    stop: int | None = None
    """None for all of the file, which may be compressed."""


def read_stretch(stretch: Stretch, settings: TextSettings) -> Iterator[str]:
    """The normalized text of some bytes of a file, as a part of what `read` gives of all of it."""
    pieces = _decoded(stretch.path, settings, stretch)
    if stretch.start:  # for only at the start of a file is there a byte order mark to be left out
        pieces = chain(["\ufeff"], pieces)
    return steps(pieces, settings.normalization, name_of(stretch.path))


class _Limited:
    """A file from its position on, for so many bytes."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        block = self._file.read(min(size, self._left))
        self._left -= len(block)
        return block


def _decoded(
    source: Source, settings: TextSettings, stretch: Stretch | None = None
) -> Iterator[str]:
    if isinstance(source, InMemory):
        for start in range(0, len(source.text), PIECE):
            yield source.text[start : start + PIECE]
        return
    if source == "-" and sys.stdin is not None and not hasattr(sys.stdin, "buffer"):
        while piece := sys.stdin.read(PIECE):  # replaced by a stream of text
            yield piece
        return
    decoder = codecs.getincrementaldecoder(settings.encoding)(settings.errors)
    wide = codecs.lookup(settings.encoding).name.startswith(("utf-16", "utf-32"))
    first = stretch.start if stretch else 0
    position, start = first, b""
    with opened(source) as file:
        if stretch and stretch.stop is not None:
            file.seek(first)
            file = _Limited(file, stretch.stop - first)
        # standard input may be a log that is followed: what is there is read at once
        get = getattr(file, "read1", file.read) if source == "-" else file.read
        try:
            while block := get(PIECE):
                if position == 0:
                    start = block[:PIECE]
                    if told := kind_of(start):
                        raise TextError(f"{name_of(source)}: {told}")
                if b"\0" in block and not wide:
                    if settings.errors == "strict" or unicode_of(start):
                        raise _with_nul(source, start, position + block.index(b"\0"))
                    position += len(block)
                    yield decoder.decode(block).replace("\0", "\ufffd")
                    continue
                position += len(block)
                yield decoder.decode(block)
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            # The decoder's object is what it had kept of earlier blocks and this block.
            at = position - len(error.object) + error.start
            raise _undecodable(source, settings, start, at, error) from None
        except UnicodeError as error:  # no byte order mark
            wide = unicode_of(start) or f"{settings.encoding}-le"
            raise TextError(
                f"{name_of(source)}: not {settings.encoding}: {error}; say which it is, with "
                f"`encoding='{wide}'`",
                "encoding",
            ) from None


def _with_nul(source: Source, start: bytes, position: int) -> TextError:
    if wide := unicode_of(start):
        return TextError(
            f"{name_of(source)}: seems to be {wide}; read it with `encoding='{wide}'`", "encoding"
        )
    return TextError(
        f"{name_of(source)}: byte {position} (the first is 0) is NUL, as in binary files; give a "
        "text, or read every NUL as U+FFFD with `errors='replace'`",
        "errors",
    )


def _undecodable(
    source: Source, settings: TextSettings, start: bytes, at: int, error: UnicodeDecodeError
) -> TextError:
    where = f"{name_of(source)}: byte {at} (0x{error.object[error.start]:02x}) is not "
    if wide := unicode_of(start):
        return TextError(
            f"{where}{settings.encoding}; the file seems to be {wide}: read it with "
            f"`encoding='{wide}'`",
            "encoding",
        )
    return TextError(
        f"{where}{settings.encoding}: {error.reason}; name the file's own `encoding`, such as "
        "cp1252, or read it as U+FFFD with `errors='replace'`",
        "encoding",
        "errors",
    )


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A file as bytes, decompressed; whatever goes wrong with it is a TextError."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise TextError("standard input is closed; give the name of a file instead of -")
            yield sys.stdin.buffer
            return
        path = Path(path)
        with COMPRESSED.get(path.suffix.lower(), open)(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise TextError(f"{name_of(path)}: there is no such file or folder") from None
    except PermissionError:
        raise TextError(f"{name_of(path)}: no permission to read this file") from None
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError) as error:
        kind = Path(path).suffix.lower()
        hint = f"; it is cut off, damaged or no {kind} file" if kind in COMPRESSED else ""
        raise TextError(f"{name_of(path)}: not readable: {_reason(error)}{hint}") from None


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
