"""A text of any size, read once, kept as ids, and split.

    read(sources)  ->  pieces of text  ->  ids, in memory or in a memory-mapped file
                            |
                            +-> SHA-256, characters, bytes, the vocabulary

The ids of the sorted characters are known only after the last of them. Without a
vocabulary the text waits in a nameless temporary file until it has been read through, as
provisional ids: ASCII as it is, and then in the order of first appearance.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError, TextError, counted
from ..files import replacing
from ..settings import TextSettings
from .reading import InMemory as InMemory
from .reading import Sources, read
from .sharded import SHARDS, Shard, ShardedIds, is_prepared, read_index
from .vocabulary import Vocabulary, code_points

Ids = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """A text as ids, with what is known of it."""

    ids: Ids
    """(characters,), or for bytes (utf8_bytes,); memory-mapped if there is a path."""
    vocabulary: Vocabulary
    characters: int
    utf8_bytes: int
    sha256: str
    """Of the normalized text in UTF-8, in hexadecimal; of a prepared one, of its index."""
    unknown_count: int
    """Characters of the text that are not in the vocabulary."""
    path: Path | None = None

    def facts(self) -> dict[str, Any]:
        """What `open` needs besides the ids and the vocabulary, ready for JSON."""
        return {name: getattr(self, name) for name in _FACTS}

    @classmethod
    def open(cls, ids_path: Path, vocabulary: Vocabulary, facts: dict[str, Any]) -> Corpus:
        """A corpus that was built before; its ids are mapped into memory, not read.

        `facts` are those of `Corpus.facts`. ModelFileError if the file is missing or its
        length is not the text's; its content is not checked again.
        """
        if missing := set(_FACTS) - set(facts):
            raise ModelFileError(f"{ids_path}: nothing tells its {', '.join(sorted(missing))}")
        count = facts["utf8_bytes" if vocabulary.kind == "bytes" else "characters"]
        expected = count * vocabulary.dtype.itemsize
        try:
            found = ids_path.stat().st_size
            if found != expected:
                raise ModelFileError(
                    f"{ids_path}: holds {counted(found, 'byte')} "
                    f"where {expected:,} are the ids of its "
                    "text; it was cut off or exchanged, so start again from the text itself"
                )
            ids = np.asarray(np.memmap(ids_path, vocabulary.dtype, "r"))
        except OSError as error:
            raise ModelFileError(f"{ids_path}: {error.strerror}") from None
        known = {name: facts[name] for name in _FACTS}
        return cls(ids=ids, vocabulary=vocabulary, path=ids_path, **known)

    @classmethod
    def prepared(cls, folder: Path) -> tuple[Corpus, dict[str, Any]]:
        """A corpus that `prepare` has made, and its index; only what is read is mapped."""
        index = read_index(folder)
        vocabulary = Vocabulary.from_json(index["vocabulary"])
        shards = [
            Shard(path=folder / SHARDS / shard["name"], ids=shard["ids"], sha256=shard["sha256"])
            for shard in index["shards"]
        ]
        ids: Any = ShardedIds(shards, vocabulary.dtype, index["sha256"], vocabulary.size)
        known = {name: index[name] for name in _FACTS}
        return cls(ids=ids, vocabulary=vocabulary, path=folder, **known), index


_FACTS = ("characters", "utf8_bytes", "sha256", "unknown_count")


def build_corpus(
    sources: Sources,
    settings: TextSettings,
    *,
    ids_path: Path | None = None,
    vocabulary: Vocabulary | None = None,
    known: Vocabulary | None = None,
) -> Corpus:
    """Read a text once and keep it as ids: in the file `ids_path`, or else in memory.

    Without a vocabulary the one that the settings describe is made of the text, or `known`
    grows by its characters. With `ids_path` memory does not grow with the text, and the file
    appears when it is complete.
    Raises what `read` raises, UnknownCharacterError for a character that a given vocabulary
    has no way to read, and OutputError when the file cannot be written.

    >>> corpus = build_corpus(InMemory("banana"), TextSettings(unknown=False))
    >>> corpus.ids.tolist(), corpus.vocabulary.characters
    ([1, 0, 2, 0, 2, 0], 'abn')
    """
    tally = _Tally()
    pieces = tally.through(read(sources, settings))
    if vocabulary is None and settings.vocabulary == "bytes":
        vocabulary = Vocabulary.bytes()
    memory, unknown_count = io.BytesIO(), 0
    target = nullcontext(memory) if ids_path is None else replacing(ids_path)
    with target as file, _spool(ids_path) as spool:
        if vocabulary is None:
            vocabulary, encoded = _learn(pieces, settings, spool, known)
        else:
            encoded = _encode(pieces, vocabulary)
        for ids in encoded:
            file.write(ids.data)
            if vocabulary.has_unknown:
                unknown_count += int(np.count_nonzero(ids == vocabulary.unknown_id))
    facts = {
        "characters": tally.characters,
        "utf8_bytes": tally.utf8_bytes,
        "sha256": tally.sha256.hexdigest(),
        "unknown_count": unknown_count,
    }
    if ids_path is not None:
        return Corpus.open(ids_path, vocabulary, facts)
    ids = np.frombuffer(memory.getbuffer(), vocabulary.dtype)
    return Corpus(ids=ids, vocabulary=vocabulary, **facts)


def text_sha256(sources: Sources, settings: TextSettings) -> str:
    """The `Corpus.sha256` that a text would have, read once and not kept.

    Of a prepared corpus it is that of its index.

    >>> text_sha256(InMemory("banana"), TextSettings())[:8]
    'b493d483'
    """
    if folder := is_prepared(sources):
        return str(read_index(folder)["sha256"])
    tally = _Tally()
    for _ in tally.through(read(sources, settings)):
        pass
    return tally.sha256.hexdigest()


@dataclass
class _Tally:
    """What is learned of a text while it passes by."""

    characters: int = 0
    utf8_bytes: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)

    def through(self, pieces: Iterator[str]) -> Iterator[str]:
        """The pieces, each counted in."""
        for piece in pieces:
            try:
                encoded = piece.encode()
            except UnicodeEncodeError as error:
                position = self.characters + error.start
                raise TextError(
                    f"character {position} of the text is half a surrogate pair "
                    f"(U+{ord(piece[error.start]):04X}), which UTF-8 cannot hold; remove it"
                ) from None
            self.sha256.update(encoded)
            self.characters += len(piece)
            self.utf8_bytes += len(encoded)
            yield piece


def _encode(pieces: Iterator[str], vocabulary: Vocabulary) -> Iterator[Ids]:
    """The ids of each piece."""
    position = 0
    for piece in pieces:
        yield vocabulary.encode(piece, start=position)
        position += len(piece)


def _learn(
    pieces: Iterator[str], settings: TextSettings, spool: IO[bytes], known: Vocabulary | None
) -> tuple[Vocabulary, Iterator[Ids]]:
    """The vocabulary of a text, and then the ids of each piece."""
    seen, runs = Seen(), []
    for piece in pieces:
        ids = seen.provisional_ids(piece)
        spool.write(ids.data)
        runs.append((ids.nbytes, ids.dtype))
    counts = {c: n for c, n in zip(seen.characters, seen.counts.tolist(), strict=True) if n}
    vocabulary = Vocabulary.from_counts(counts, settings.minimum_count, settings.unknown)
    if known is not None:
        vocabulary = known.grown(vocabulary.characters)
    final = np.zeros(len(seen.counts), vocabulary.dtype)
    final[seen.counts > 0] = vocabulary.encode("".join(counts))
    spool.seek(0)
    return vocabulary, (np.take(final, np.frombuffer(spool.read(n), dtype)) for n, dtype in runs)


class Seen:
    """Characters with their counts: ASCII, and then others as they first appear."""

    def __init__(self) -> None:
        self.characters = "".join(map(chr, range(128)))
        self.counts = np.zeros(128, np.int64)
        self._new = 0x110000
        self._places = np.full(0x110000, self._new, np.uint32)
        self._places[:128] = np.arange(128)

    def provisional_ids(self, piece: str) -> Ids:
        """The place in `characters` of each of a piece, in as few bytes as hold it."""
        first = len(self.characters)
        if piece.isascii():
            ids = np.frombuffer(piece.encode(), np.uint8)
        else:
            codes = code_points(piece)
            ids = np.take(self._places, codes)
            if ids.max() == self._new:
                new = np.unique(codes[ids == self._new])
                self._places[new] = np.arange(first, first + len(new))
                self.characters += "".join(map(chr, new.tolist()))
                ids = np.take(self._places, codes)
            ids = ids.astype(np.min_scalar_type(len(self.characters)))
        counts = np.bincount(ids, minlength=len(self.characters))
        counts[:first] += self.counts
        self.counts = counts
        return ids


def _spool(path: Path | None) -> IO[bytes]:
    """A place for a whole text: memory, or a nameless file on the disk of `path`."""
    return io.BytesIO() if path is None else tempfile.TemporaryFile(dir=path.parent)
