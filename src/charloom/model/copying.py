"""How much of some texts is copied from the text that a model was trained on.

An n-gram is n characters that follow each other; it is new if it stands nowhere in the training
text. A copied span is a stretch that does stand there, and that no character more would leave so.
Both happen by chance, the more the shorter they are, so text that was held out is the yardstick:
nobody copied it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..engines.weights import Array
from ..errors import SettingsError
from ..settings import SamplingSettings, check_within
from ..text.copies import CopyIndex
from ..text.corpus import Corpus, build_corpus
from ..text.reading import PIECE, Sources
from ..text.splitting import Part, split
from .model import Model, Text, check_model

logger = logging.getLogger(__name__)

SIZES = (5, 10, 15, 20, 30, 50)
"""Of n-grams that are counted, unless others are asked for."""


@dataclass(frozen=True, kw_only=True)
class CopiedSpan:
    """A stretch of a text that stands in the training text."""

    number: int
    """Of the text that it is in; the first is 1."""
    start: int
    """Position of its first character in that text."""
    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Novelty:
    """What of some texts stands in an indexed one."""

    texts: tuple[str, ...] = field(repr=False)
    lengths: tuple[Array, ...] = field(repr=False)
    """Of each text (N,): characters of the longest stretch from each position that is copied."""

    @classmethod
    def of(cls, texts: Iterable[str], index: CopyIndex) -> Novelty:
        """Look some texts up.

        >>> index = CopyIndex.of(["the fox and the crow"])
        >>> found = Novelty.of(["the dog and the cow"], index)
        >>> found.new(3), found.longest(1)[0].text
        (0.4117647058823529, ' and the c')
        """
        texts = tuple(texts)
        # All in one search; no stretch goes on from one text to the next.
        ends = np.cumsum([len(text) for text in texts])
        found = np.split(index.longest("".join(texts)), ends[:-1])
        left = [len(lengths) - np.arange(len(lengths)) for lengths in found]
        return cls(texts=texts, lengths=tuple(map(np.minimum, found, left)))

    @cached_property
    def characters(self) -> int:
        """Of all texts."""
        return sum(map(len, self.texts))

    def new(self, n: int) -> float | None:
        """The share of n-grams that are new; None where the texts are shorter than that."""
        grams = [lengths[: max(len(lengths) - n + 1, 0)] for lengths in self.lengths]
        count = sum(map(len, grams))
        return sum(int((g < n).sum()) for g in grams) / count if count else None

    def spans(self, least: int) -> list[list[tuple[int, int]]]:
        """Of each text, where stretches start and stop that copied spans of `least` make up."""
        found = []
        for lengths in self.lengths:
            change = np.zeros(len(lengths) + 1, np.int64)
            at = np.flatnonzero(lengths >= least)
            np.add.at(change, at, 1)
            np.add.at(change, at + lengths[at], -1)
            inside = np.cumsum(change) > 0
            edges = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0, append=0))
            found.append([(int(a), int(b)) for a, b in edges.reshape(-1, 2)])
        return found

    def longest(self, count: int) -> list[CopiedSpan]:
        """The longest copied spans, none of which is, for half of it or more, in longer ones."""
        spans: list[tuple[int, int, int]] = []
        for number, lengths in enumerate(self.lengths, start=1):
            ends = np.arange(len(lengths)) + lengths
            first = np.flatnonzero(np.diff(ends, prepend=-1) > 0)
            spans += [(int(lengths[n]), number, int(n)) for n in first if lengths[n]]
        taken = [np.zeros(len(text), bool) for text in self.texts]
        chosen: list[CopiedSpan] = []
        for length, number, start in sorted(spans, key=lambda span: (-span[0], span[1:])):
            if len(chosen) == count:
                break
            place = taken[number - 1][start : start + length]
            if 2 * place.sum() < length:
                place[:] = True
                text = self.texts[number - 1][start : start + length]
                chosen.append(CopiedSpan(number=number, start=start, text=text))
        return chosen


@dataclass(frozen=True, kw_only=True, eq=False)
class CopyReport:
    """What of samples is copied, beside as much text that was held out."""

    samples: Novelty
    held_out: Novelty | None
    """None where nothing was held out that could be the yardstick."""
    sizes: tuple[int, ...]
    copied_lines: float | None
    """Of a model of lines, the share of samples that are whole lines of the training text."""

    def to_json(self, *, spans: int = 10) -> dict[str, Any]:
        """Its numbers and the longest spans, as plain JSON."""
        parts = {"samples": self.samples}
        if self.held_out is not None:
            parts["held_out"] = self.held_out
        return {
            **{f"{name}_characters": found.characters for name, found in parts.items()},
            "new_ngrams": [
                {"n": n, **{name: found.new(n) for name, found in parts.items()}}
                for n in self.sizes
            ],
            "copied_lines": self.copied_lines,
            **{
                f"{name}_longest": [
                    {"number": one.number, "start": one.start, "text": one.text}
                    for one in found.longest(spans)
                ]
                for name, found in parts.items()
            },
        }


def copied(
    model: Model,
    training_text: Sources,
    samples: Text | None = None,
    *,
    held_out: Text | None = None,
    count: int | None = None,
    length: int = 1000,
    sampling: SamplingSettings | None = None,
    sizes: Sequence[int] = SIZES,
) -> CopyReport:
    r"""How much of samples is copied from the training text, and how much of held-out text.

    The samples are a text or, if there is none, `count` texts of `length` characters that the model
    generates (by default 20, or 1,000 lines), drawn as `sampling` says. If `training_text` is what
    the model was trained on, the part that was held out is the yardstick, unless `held_out` gives
    another; if it is another text, a warning says so. Of a model of lines each line is a text.
    Needs the extra `copies`.

    >>> import charloom
    >>> book = charloom.InMemory("the cat sat on the mat. " * 40 + "the dog ran off.")
    >>> run = charloom.train(
    ...     book,
    ...     model=charloom.ModelSettings(hidden_size=8, num_layers=1),
    ...     training=charloom.TrainingSettings(steps=5),
    ... )
    >>> found = copied(run.finish(), book, "the cat ran on the mat.", sizes=(5, 10))
    >>> found.samples.longest(2)[0].text, found.samples.new(10)
    (' on the mat.', 0.7857142857142857)
    >>> found.held_out.characters
    23
    """
    check_model("model", model)
    if not sizes:
        raise SettingsError("sizes: none was given; give one or more, each at least 1")
    for size in sizes:
        check_within("sizes", size, 1, 2**31 - 1)
    sampling = SamplingSettings.of(sampling, "sampling")
    corpus = build_corpus(training_text, model.text_settings, vocabulary=model.vocabulary)
    training, rest = _parts(model, corpus)
    index = training_index(model, training)
    if samples is not None:
        texts = _texts(model, "".join(model.pieces(samples)))
    else:
        texts = model.generate_many(
            count=count or (1000 if model.lines else 20), length=length, **sampling.model_dump()
        )
    found = Novelty.of(texts, index)
    yardstick = None
    if held_out is not None:
        yardstick = _cut(_texts(model, "".join(model.pieces(held_out))), found.characters)
    elif rest is not None and len(rest.ids):
        # as many ids as the samples have characters; of bytes, up to four times as many
        ids = rest.ids if model.lines else rest.ids[: 4 * found.characters]
        yardstick = _cut(_texts(model, model.vocabulary.decode(ids)), found.characters)
    whole = [index.find(f"\n{text}\n") is not None for text in texts] if model.lines else []
    return CopyReport(
        samples=found,
        held_out=Novelty.of(yardstick, index) if yardstick else None,
        sizes=tuple(sizes),
        copied_lines=sum(whole) / len(whole) if whole else None,
    )


def training_index(model: Model, training: Part) -> CopyIndex:
    """An index of what a model was trained on; every line of a model of lines ends in it."""
    return CopyIndex.of(_decoded(training, lines=model.lines))


def _decoded(training: Part, *, lines: bool) -> Iterator[str]:
    if lines:
        yield "\n"  # so that the first line, too, stands between line feeds
    ids, start = training.ids, 0
    while start < len(ids):
        stop = min(start + PIECE, len(ids))
        if training.vocabulary.kind == "bytes":  # no character is cut
            while stop < len(ids) and ids[stop] & 0xC0 == 0x80:
                stop += 1
        yield training.vocabulary.decode(ids[start:stop])
        start = stop
    if lines:
        yield "\n"


def _parts(model: Model, corpus: Corpus) -> tuple[Part, Part | None]:
    """What of a text the model was trained on, and what was held out, if that is known."""
    known = model.provenance.split
    whole = Part(ids=corpus.ids, vocabulary=corpus.vocabulary, start=0)
    if known is not None:
        parts = split(corpus, model.text_settings, lines=model.lines)
        if parts.training.sha256 == known.training.sha256:
            same = parts.validation.sha256 == known.validation.sha256
            return parts.training, parts.validation if same else None
        if whole.sha256 == known.training.sha256:  # another text was held out
            return whole, None
    logger.warning(
        "this is not the text that the model was trained on, as its SHA-256 says: all of it is "
        "taken for training text, and nothing for held out"
    )
    return whole, None


def _texts(model: Model, text: str) -> list[str]:
    """A text, or its lines."""
    return [line for line in text.split("\n") if line] if model.lines else [text]


def _cut(texts: list[str], characters: int) -> list[str]:
    """The first texts that have so many characters together."""
    kept: list[str] = []
    for text in texts:
        if characters <= 0:
            break
        kept.append(text[:characters])
        characters -= len(text)
    return kept
