"""The surprisal of a text: in total, and per character, word or line.

Training's validation, `evaluate` and `score` are one definition, that of surprisal.py: one
stream from the first character, every character counted once, unknown ones too. Totals are
added and divided once, and the parts of a text add up to its total to the last bit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ..engines.weights import Array
from ..errors import SettingsError
from ..settings import AdaptationSettings
from ..text.unknown import warn_of_unknown
from ..text.vocabulary import Vocabulary
from .adaptation import adapted_nats
from .predictor import Predictor
from .surprisal import (
    Surprisals,
    begins,
    in_characters,
    segment_surprisals,
    surprisals,
)

SEGMENTS = 64
"""How many segments of a text are read side by side when its total is not the exact one."""

WARMUP = 128
"""Characters read, and not counted, before each of these segments."""

_BLOCK = 2**20  # ids, or fewer, that are looked at at a time


@dataclass(frozen=True, kw_only=True)
class Score:
    """The surprisal of a text. Add the scores of its parts, and divide once.

    >>> whole = Score(nats=3.0, characters=2) + Score(nats=1.0, characters=2)
    >>> whole.nats_per_character
    1.0
    """

    nats: float = 0.0
    characters: int = 0
    """Unicode code points, each counted once."""
    utf8_bytes: int = 0
    unknown_characters: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            nats=self.nats + other.nats,
            characters=self.characters + other.characters,
            utf8_bytes=self.utf8_bytes + other.utf8_bytes,
            unknown_characters=self.unknown_characters + other.unknown_characters,
        )

    @property
    def nats_per_character(self) -> float:
        """What training calls the loss; nan for an empty text."""
        return self.nats / self.characters if self.characters else math.nan

    @property
    def bits_per_character(self) -> float:
        """The usual yardstick: 0 is certainty, log2 V is a blind guess."""
        return self.nats_per_character / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of UTF-8, by which models of different vocabularies compare."""
        return self.nats / self.utf8_bytes / math.log(2) if self.utf8_bytes else math.nan

    @property
    def perplexity(self) -> float:
        """Of how many equally likely characters each was one, on (geometric) average."""
        return math.exp(self.nats_per_character)

    def to_json(self) -> dict[str, Any]:
        """Its fields, and what follows from them, as logs and model files keep them."""
        return {
            **asdict(self),
            "bits_per_character": self.bits_per_character,
            "nats_per_character": self.nats_per_character,
        }


@dataclass(frozen=True, kw_only=True)
class Part:
    """A character, word or line of a text, and its surprisal."""

    text: str
    start: int
    """Position of its first character in the text."""
    nats: float
    rank: int | None
    """Of a character: 1 if the model found it likeliest. None for words and lines, for the
    first character, which nothing predicts, and where a character is several bytes."""
    unknown_characters: int

    @property
    def bits(self) -> float:
        """Its surprisal in bits."""
        return self.nats / math.log(2)

    @property
    def score(self) -> Score:
        """The part as a total: `sum((part.score for part in parts), Score())`."""
        return Score(
            nats=self.nats,
            characters=len(self.text),
            utf8_bytes=_utf8_bytes(self.text),
            unknown_characters=self.unknown_characters,
        )


def evaluate(
    predictor: Predictor,
    ids: Array,
    *,
    exact: bool = False,
    segments: int = SEGMENTS,
    warmup: int = WARMUP,
    utf8_bytes: int | None = None,
    each: Callable[[Iterable[Surprisals]], Iterable[Surprisals]] = iter,
) -> Score:
    """The total of a text given as ids, which may be memory-mapped.

    Unless `exact`, a stream is read as parallel segments, each warmed up on the characters
    before it: many times faster, and near the exact total (docs/measurements.md). Lines are
    independent, so their total is always exact. `utf8_bytes` is the length of the text;
    without it unknown characters count no bytes, since ids do not tell their length. What is
    found passes through `each` on its way.
    """
    total = Score()
    for start in range(0, len(ids), _BLOCK):
        total += _counts(predictor.vocabulary, ids[start : start + _BLOCK])
    if predictor.lines and len(ids) and ids[-1] != predictor.line_start:
        total += Score(characters=1, utf8_bytes=1)  # the line feed that surprisal.py adds
    if utf8_bytes is not None:
        total += Score(utf8_bytes=utf8_bytes - total.utf8_bytes)
    blocks = (ids[start : start + _BLOCK] for start in range(0, len(ids), _BLOCK))
    return total + _total(predictor, blocks, exact, segments, warmup, each)


def evaluate_text(
    predictor: Predictor,
    pieces: Iterable[str],
    *,
    exact: bool = False,
    segments: int = SEGMENTS,
    warmup: int = WARMUP,
) -> Score:
    """The total of a text given in pieces, as `evaluate`, in memory that does not grow.

    Unknown characters are counted in full, and one logged warning names them;
    UnknownCharacterError where the vocabulary has no unknown.
    """
    text = TextInBlocks(predictor, pieces)
    total = _total(predictor, text.blocks(), exact, segments, warmup)
    return total + text.counted


def evaluate_adapting(
    learner: Predictor, pieces: Iterable[str], settings: AdaptationSettings
) -> Score:
    """The total of a text that `learner`, whose weights change, learns from chunk by chunk."""
    text = TextInBlocks(learner, pieces)
    total = sum(nats for _, nats in adapted_nats(learner, text.blocks(), settings))
    return Score(nats=total) + text.counted


def score_text(
    predictor: Predictor,
    pieces: Iterable[str],
    *,
    by: Literal["character", "word", "line"] = "character",
) -> Iterator[Part]:
    """Yield the parts of a text in order; their nats add up to the exact total exactly.

    A word reaches to the start of the next, so that its end is part of its surprisal; a line
    includes its line feed. The text is read as parts are asked for. Unknown characters are
    treated as in `evaluate_text`, the warning coming last.
    """
    if by not in _BORDERS:
        raise SettingsError(f"by: {by!r} was given; it must be character, word or line")
    text = TextInBlocks(predictor, pieces, keep=True)
    found = in_characters(predictor.vocabulary, surprisals(predictor, text.blocks()))
    parts = _characters(text, found, predictor.vocabulary.unknown_id)
    begins = _BORDERS[by]
    return _grouped(parts, begins) if begins else parts


def by_word(characters: Iterable[Part]) -> Iterator[Part]:
    """The words of a text from its characters; see `score_text`."""
    return _grouped(characters, _a_word_begins)


def _total(
    predictor: Predictor,
    blocks: Iterable[Array],
    exact: bool,
    segments: int,
    warmup: int,
    each: Callable[[Iterable[Surprisals]], Iterable[Surprisals]] = iter,
) -> Score:
    if exact or predictor.lines:
        found = surprisals(predictor, blocks)
    else:
        found = segment_surprisals(predictor, blocks, segments=segments, warmup=warmup)
    return Score(nats=sum(float(some.nats.sum()) for some in each(found)))


def _counts(vocabulary: Vocabulary, ids: Array) -> Score:
    """The score of some ids, but for the nats."""
    if vocabulary.kind == "bytes":
        return Score(characters=int(begins(ids).sum()), utf8_bytes=len(ids))
    unknown = ids == vocabulary.unknown_id if vocabulary.has_unknown else ()
    return Score(
        characters=len(ids),
        utf8_bytes=int(vocabulary.utf8_lengths()[ids].sum(dtype=np.int64)),
        unknown_characters=int(np.count_nonzero(unknown)),
    )


def _utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


class TextInBlocks:
    """A text that is encoded and counted as it is read, and kept until taken if wanted."""

    def __init__(
        self,
        predictor: Predictor,
        pieces: Iterable[str],
        *,
        keep: bool = False,
        warn: bool = True,
    ) -> None:
        self.counted = Score()
        self._vocabulary = predictor.vocabulary
        self._pieces = pieces
        self._lines = predictor.lines
        self._keep, self._warn = keep, warn
        self._kept = ""

    def blocks(self) -> Iterator[Array]:
        """Its ids; at the end, if wanted, one warning for all characters that were unknown."""
        unknown: Counter[str] = Counter()
        last = "\n"
        for piece in self._pieces:
            yield self._ids(piece, unknown)
            last = piece[-1:] or last
        if self._lines and last != "\n":
            yield self._ids("\n", unknown)
        if self._warn:
            warn_of_unknown(unknown)

    def take(self, characters: int) -> str:
        """The next characters of what was kept."""
        taken, self._kept = self._kept[:characters], self._kept[characters:]
        return taken

    def _ids(self, piece: str, unknown: Counter[str]) -> Array:
        ids = self._vocabulary.encode(piece, start=self.counted.characters)
        strange: dict[str, int] = {}
        if self._vocabulary.has_unknown and (ids == self._vocabulary.unknown_id).any():
            strange = self._vocabulary.unknown_characters(piece)
            unknown.update(strange)
        self.counted += Score(
            characters=len(piece),
            utf8_bytes=_utf8_bytes(piece),
            unknown_characters=sum(strange.values()),
        )
        if self._keep:
            self._kept += piece
        return ids


def _characters(
    text: TextInBlocks, found: Iterable[Surprisals], unknown_id: int | None
) -> Iterator[Part]:
    start = 0
    for some in found:
        characters = text.take(len(some.nats))
        unknown = some.ids == (-1 if unknown_id is None else unknown_id)
        columns = (some.nats.tolist(), some.ranks.tolist(), unknown.tolist())
        for character, nats, rank, odd in zip(characters, *columns, strict=True):
            yield Part(
                text=character,
                start=start,
                nats=nats,
                rank=rank or None,
                unknown_characters=int(odd),
            )
            start += 1


def _grouped(parts: Iterable[Part], begins: Callable[[str, str], bool]) -> Iterator[Part]:
    """Characters joined; a new group begins where two neighbours say so."""
    texts: list[str] = []
    start, total = 0, Score()
    for part in parts:
        if texts and begins(texts[-1], part.text):
            yield _group(texts, start, total)
            texts, start, total = [], part.start, Score()
        texts.append(part.text)
        total += part.score
    if texts:
        yield _group(texts, start, total)


def _group(texts: list[str], start: int, total: Score) -> Part:
    return Part(
        text="".join(texts),
        start=start,
        nats=total.nats,
        rank=None,
        unknown_characters=total.unknown_characters,
    )


def _a_word_begins(before: str, after: str) -> bool:
    return before.isspace() and not after.isspace()


_BORDERS: dict[str, Callable[[str, str], bool] | None] = {
    "character": None,
    "word": _a_word_begins,
    "line": lambda before, after: before == "\n",
}
