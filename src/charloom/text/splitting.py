"""What of a text is trained on, and what is held out to measure with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import SettingsError
from ..settings import TextSettings
from .corpus import Corpus, Ids
from .lists import held_out_lines
from .reading import PIECE
from .sharded import ShardedIds
from .vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A stretch of a corpus."""

    ids: Any  # Ids, or ShardedIds
    vocabulary: Vocabulary
    start: int
    """Where in the ids of its corpus it starts."""

    @property
    def stop(self) -> int:
        """Where in the ids of its corpus the next part would start."""
        return self.start + len(self.ids)

    @cached_property
    def sha256(self) -> str:
        """Of its text in UTF-8, unknown characters as U+FFFD, in hexadecimal.

        While nothing is unknown, this is what `sha256sum` says of the same stretch of text. Of a
        prepared corpus it is the digest of the corpus' own, and of where the part is.
        """
        if isinstance(self.ids, ShardedIds):  # too long to be read for this
            return hashlib.sha256(
                f"{self.ids.sha256} {self.start} {self.stop}".encode()
            ).hexdigest()
        digest = hashlib.sha256()
        for start in range(0, len(self.ids), PIECE):
            ids = self.ids[start : start + PIECE]
            if self.vocabulary.kind == "bytes":
                digest.update(ids.tobytes())
            else:
                digest.update(self.vocabulary.decode(ids).encode())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """What is trained on, and what is held out to measure with (it may be empty)."""

    training: Part
    validation: Part


def split(
    corpus: Corpus,
    settings: TextSettings,
    validation: Corpus | None = None,
    *,
    lines: bool = False,
) -> Split:
    """Hold out the end of a corpus, or all of another one with the same vocabulary.

    Held out is the last `validation_fraction`, but no more than `validation_limit` ids. The
    cut moves on to where a character starts, and so the held-out part of a short text may be
    empty. With `lines` the items are held out that a hash of each picks (lists.py), wherever
    they stand; then the parts are copies.

    >>> from charloom.text.corpus import InMemory, build_corpus
    >>> corpus = build_corpus(InMemory("ten of ten"), TextSettings())
    >>> held_out = split(corpus, TextSettings(validation_fraction=0.3)).validation
    >>> corpus.vocabulary.decode(held_out.ids)
    'ten'
    """
    ids, vocabulary = corpus.ids, corpus.vocabulary

    def part(start: int, stop: int) -> Part:
        stretch = ids.part(start, stop) if isinstance(ids, ShardedIds) else ids[start:stop]
        return Part(ids=stretch, vocabulary=vocabulary, start=start)

    if validation is not None:
        if validation.vocabulary != vocabulary:
            raise SettingsError(
                "the validation text was given ids by another vocabulary; "
                "build it with the vocabulary of the training text"
            )
        held_out = Part(ids=validation.ids, vocabulary=vocabulary, start=0)
        return Split(training=part(0, len(ids)), validation=held_out)

    count = len(ids)
    cut = int(count * (1 - settings.validation_fraction))
    cut = max(cut, count - settings.validation_limit)
    cut = max(cut, min(count, 2))  # the least that can be trained on
    if lines and vocabulary.newline_id is not None:
        held = held_out_lines(ids, vocabulary, (count - cut) / max(count, 1))
        training, items = (
            Part(ids=ids[chosen], vocabulary=vocabulary, start=0) for chosen in (~held, held)
        )
        return Split(training=training, validation=items)
    if vocabulary.kind == "bytes":
        cut = _next_character(ids, cut)
    return Split(training=part(0, cut), validation=part(cut, count))


def _next_character(utf8: Ids, position: int) -> int:
    """The first start of a character at or after a position; it is no byte 10xxxxxx."""
    while position < len(utf8) and utf8[position] & 0xC0 == 0x80:
        position += 1
    return position
