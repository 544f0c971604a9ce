"""How much context a trained model uses, measured on a text in two ways.

context      Bits per character at the same places, when only the n characters before each
             place are read, from a zero state; and when all of the text before it is.
replacement  The character n steps back is replaced by another one of the text, all else
             left as it is: how far the prediction moves (Kullback-Leibler divergence, in
             bits), and how often another character becomes the likeliest.

A model of lines never sees further back than the line feed before its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engines.loss import log_softmax
from ...engines.weights import Array
from ...errors import TextError, counted, short_repr
from ...model.model import Model, Text, check_model
from ..settings import ContextSettings
from ..units.clamping import bits_of_each

_STEPS_TIMES_STREAMS = 2**14  # in one call of the engine
_WARMUP = 128


@dataclass(frozen=True, kw_only=True)
class AtDistance:
    """What a model gains from n characters of context, and from the nth alone."""

    distance: int
    bits_with_context: float
    """Bits per character when only this many characters before it are read."""
    bits_moved: float
    """How far the prediction moves when the character at this distance is replaced."""
    changed: float
    """How often the likeliest character is another one then, from 0 to 1."""
    places: int
    """Places that have a character so far back."""


@dataclass(frozen=True, kw_only=True)
class ContextReport:
    """What a model gains from its context on a text; `print` shows it as a table with bars."""

    __repr__ = short_repr

    places: int
    bits: float
    """Bits per character at these places with all of the text before them."""
    precision: str
    kernels: str
    by_distance: list[AtDistance]

    def __str__(self) -> str:
        return "\n".join(table(self))


def context(model: Model, text: Text, **settings: Any) -> ContextReport:
    """Measure how far back a model looks in a text.

    `settings` are those of ContextSettings. TextError for a text that is too short or has
    only one character, SettingsError for an unknown setting.

    >>> from charloom.engines.weights import initial_weights
    >>> from charloom.settings import ModelSettings
    >>> from charloom.text.vocabulary import Vocabulary
    >>> vocabulary, shape = Vocabulary.of("the fox"), ModelSettings(hidden_size=8)
    >>> model = Model(shape, vocabulary, initial_weights(shape, vocabulary.size, seed=0))
    >>> [found.distance for found in context(model, "the fox " * 9, distance=4).by_distance]
    [1, 2, 4]
    """
    check_model("model", model)
    chosen = ContextSettings(**settings)
    ids = _ids(model, text, chosen.characters)
    starts = _starts(ids, model.predictor.line_start)
    at = np.arange(1, len(ids))
    furthest = at[at - starts[at] > chosen.distance]  # the same places for every distance
    at = furthest if len(furthest) else at
    at = at[np.linspace(0, len(at) - 1, min(chosen.places, len(at))).astype(int)]
    random = np.random.default_rng(chosen.seed)
    distances = [2**k for k in range(int(math.log2(chosen.distance)) + 1)]
    return ContextReport(
        places=len(at),
        bits=float(bits_of_each(model, ids)[at].mean()),
        precision=model.engine.precision,
        kernels=model.engine.kernels,
        by_distance=[_at_distance(model, ids, at, starts[at], n, random) for n in distances],
    )


def _ids(model: Model, text: Text, most: int) -> Array:
    """The start of a text as ids; for a model of lines, after a line feed."""
    beginning = ""
    for piece in model.pieces(text):
        beginning += piece[: most - len(beginning)]
        if len(beginning) >= most:
            break
    if model.lines and not beginning.startswith("\n"):
        beginning = "\n" + beginning
    if len(beginning) < 3:
        raise TextError(
            f"the text has {counted(len(beginning), 'character')}; at least 3 are needed"
        )
    return model.vocabulary.encode(beginning).astype(np.int32)


def _starts(ids: Array, newline: int | None) -> Array:
    """(T,) where the context of each position starts: at 0, or at the line feed before it."""
    if newline is None:
        return np.zeros(len(ids), np.int64)
    feeds = np.where(ids == newline, np.arange(len(ids)), 0)
    return np.concatenate([[0], np.maximum.accumulate(feeds)[:-1]])


def _at_distance(
    model: Model, ids: Array, at: Array, starts: Array, n: int, random: np.random.Generator
) -> AtDistance:
    near = _predictions(model, ids, at, np.maximum(at - n, starts))
    bits = -np.take_along_axis(near, ids[at][:, None].astype(np.int64), axis=1) / math.log(2)
    unknown = ids[at] == (
        -1 if model.vocabulary.unknown_id is None else model.vocabulary.unknown_id
    )
    bits[unknown] += model.vocabulary.unknown_nats / math.log(2)

    there = at - n > starts
    moved = changed = math.nan
    if there.any():
        at, starts = at[there], starts[there]
        warm = np.maximum(at - n - _WARMUP, starts)
        others = _other_characters(ids, at - n, random)
        usual = _predictions(model, ids, at, warm)
        altered = _predictions(model, ids, at, warm, (at - n, others))
        divergence = (np.exp(usual) * (usual - altered)).sum(axis=1)
        moved = float(divergence.mean() / math.log(2))
        changed = float((usual.argmax(axis=1) != altered.argmax(axis=1)).mean())
    return AtDistance(
        distance=n,
        bits_with_context=float(bits.mean()),
        bits_moved=moved,
        changed=changed,
        places=int(there.sum()),
    )


def _other_characters(ids: Array, at: Array, random: np.random.Generator) -> Array:
    """For each place another id than its own, drawn as often as the text has it."""
    other = ids[random.integers(0, len(ids), len(at))]
    if (ids == ids[0]).all():
        raise TextError("the text is one character over and over; there is none to replace it")
    while (same := other == ids[at]).any():
        other[same] = ids[random.integers(0, len(ids), int(same.sum()))]
    return other


def _predictions(
    model: Model,
    ids: Array,
    at: Array,
    starts: Array,
    replacement: tuple[Array, Array] | None = None,
) -> Array:
    """(P, V) log-probabilities at each place, when the text is read from its start on.

    `replacement`: for each place where one character is replaced (P,), and by which id (P,).
    """
    found = np.empty((len(at), model.vocabulary.size))
    lengths = at - starts
    for length in np.unique(lengths):
        group = np.flatnonzero(lengths == length)
        read = ids[starts[group] + np.arange(length)[:, None]]
        if replacement is not None:
            places, others = replacement
            read[(places - starts)[group], np.arange(len(group))] = others[group]
        found[group] = _last_logits(model, read)
    return log_softmax(found)


def _last_logits(model: Model, read: Array) -> Array:
    """(B, V) the logits after the last of some ids (T, B)."""
    state = model.engine.zero_state(read.shape[1])
    steps = max(1, _STEPS_TIMES_STREAMS // read.shape[1])
    logits = np.empty(0)
    for start in range(0, len(read), steps):
        logits, state = model.engine.logits(read[start : start + steps], state)
    return logits[-1]


def table(report: ContextReport, width: int = 24) -> Iterator[str]:
    """The lines of a report as a table with bars of at most `width` columns."""
    top = max(found.bits_with_context for found in report.by_distance)
    most = max((found.bits_moved for found in report.by_distance if found.places), default=0) or 1
    yield (
        f"At {counted(report.places, 'place')} of the text: {report.bits:.3f} bits per character "
        "with all of it before them,"
    )
    yield "with only n characters before them, and when the nth before them is another one"
    yield f"({report.precision}, {report.kernels}):"
    yield ""
    left, right = "bits per character", "prediction moves, bits"
    yield f"{'n':>8}  {left:<{width + 7}}  {right:<{width + 9}}  best changes"
    for found in report.by_distance:
        bits = "█" * round(found.bits_with_context / top * width)
        row = f"  {found.distance:6}  {found.bits_with_context:6.3f} {bits:<{width}}"
        if found.places:
            bar = "█" * round(found.bits_moved / most * width)
            row += f"  {found.bits_moved:8.4f} {bar:<{width}}  {found.changed:6.1%}"
        yield row
