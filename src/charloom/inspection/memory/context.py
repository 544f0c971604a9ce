"""How far back a trained model looks, measured on a text in two ways.

context    Bits per character at the same places, when only the n characters before each of
           them may be read, from a zero state; and with all of the text before it.
alteration The character n steps back is exchanged for another one of the text, all else
           left as it is: by how many bits the prediction moves (Kullback and Leibler's
           divergence), and how often another character becomes the likeliest.

A model of lines never looks further back than the line feed before its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ...engines.loss import log_softmax
from ...engines.weights import Array
from ...errors import TextError
from ...model.model import Model
from ..settings import ReachSettings
from ..units.clamping import bits_of_each

_CELLS = 2**14  # steps x streams in one call of the engine
_WARMUP = 128


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a model makes of n characters, and of the nth before the one it predicts."""

    distance: int
    bits_with_context: float
    """Bits per character with only so many characters before it."""
    bits_moved: float
    """How far the prediction moves when the character so far back is another one."""
    changed: float
    """How often its likeliest character then is another one."""
    places: int
    """Places that have a character so far back."""


@dataclass(frozen=True, kw_only=True)
class Reaches:
    """What a model makes of a text, by distance."""

    places: int
    bits: float
    """Bits per character at these places with all of the text before them."""
    by_distance: list[Reach]


def measure(model: Model, text: Iterable[str], settings: ReachSettings | None = None) -> Reaches:
    """Measure how far back a model looks; TextError for a text that is too short."""
    settings = settings or ReachSettings()
    ids = _ids(model, text, settings.characters)
    begins = _begins(ids, model.predictor.line_start)
    at = np.arange(1, len(ids))
    furthest = at[at - begins[at] > settings.distance]  # the same places for every distance
    at = furthest if len(furthest) else at
    at = at[np.linspace(0, len(at) - 1, min(settings.places, len(at))).astype(int)]
    random = np.random.default_rng(settings.seed)
    distances = [2**k for k in range(int(math.log2(settings.distance)) + 1)]
    return Reaches(
        places=len(at),
        bits=float(bits_of_each(model, ids)[at].mean()),
        by_distance=[_reach(model, ids, at, begins[at], n, random) for n in distances],
    )


def _ids(model: Model, pieces: Iterable[str], most: int) -> Array:
    """The start of a text as ids; for a model of lines, after a line feed."""
    text = ""
    for piece in pieces:
        text += piece[: most - len(text)]
        if len(text) >= most:
            break
    if model.lines and not text.startswith("\n"):
        text = "\n" + text
    if len(text) < 3:
        raise TextError(f"the text has {len(text)} characters; at least 3 are needed")
    return model.vocabulary.encode(text).astype(np.int32)


def _begins(ids: Array, newline: int | None) -> Array:
    """(T,) where the context of each position begins: at 0, or at the line feed before it."""
    if newline is None:
        return np.zeros(len(ids), np.int64)
    feeds = np.where(ids == newline, np.arange(len(ids)), 0)
    return np.concatenate([[0], np.maximum.accumulate(feeds)[:-1]])


def _reach(
    model: Model, ids: Array, at: Array, begins: Array, n: int, random: np.random.Generator
) -> Reach:
    near = _predictions(model, ids, at, np.maximum(at - n, begins))
    bits = -np.take_along_axis(near, ids[at][:, None].astype(np.int64), axis=1) / math.log(2)
    unknown = ids[at] == (
        -1 if model.vocabulary.unknown_id is None else model.vocabulary.unknown_id
    )
    bits[unknown] += model.vocabulary.unknown_nats / math.log(2)

    there = at - n > begins
    moved = changed = math.nan
    if there.any():
        at, begins = at[there], begins[there]
        starts = np.maximum(at - n - _WARMUP, begins)
        others = _other_characters(ids, at - n, random)
        usual = _predictions(model, ids, at, starts)
        altered = _predictions(model, ids, at, starts, (at - n, others))
        divergence = (np.exp(usual) * (usual - altered)).sum(axis=1)
        moved = float(divergence.mean() / math.log(2))
        changed = float((usual.argmax(axis=1) != altered.argmax(axis=1)).mean())
    return Reach(
        distance=n,
        bits_with_context=float(bits.mean()),
        bits_moved=moved,
        changed=changed,
        places=int(there.sum()),
    )


def _other_characters(ids: Array, at: Array, random: np.random.Generator) -> Array:
    """For each place another id than its own, as often as the text has it."""
    other = ids[random.integers(0, len(ids), len(at))]
    if (ids == ids[0]).all():
        raise TextError("the text is one character over and over; there is none to exchange")
    while (same := other == ids[at]).any():
        other[same] = ids[random.integers(0, len(ids), int(same.sum()))]
    return other


def _predictions(
    model: Model,
    ids: Array,
    at: Array,
    starts: Array,
    exchange: tuple[Array, Array] | None = None,
) -> Array:
    """(P, V) log-probabilities of what stands at each place, read from its start on."""
    found = np.empty((len(at), model.vocabulary.size))
    lengths = at - starts
    for length in np.unique(lengths):
        group = np.flatnonzero(lengths == length)
        read = ids[starts[group] + np.arange(length)[:, None]]
        if exchange is not None:
            places, others = exchange
            read[(places - starts)[group], np.arange(len(group))] = others[group]
        found[group] = _last(model, read)
    return log_softmax(found)


def _last(model: Model, read: Array) -> Array:
    """(B, V) the logits after the last of some ids (T, B)."""
    state = model.engine.zero_state(read.shape[1])
    steps = max(1, _CELLS // read.shape[1])
    logits = np.empty(0)
    for start in range(0, len(read), steps):
        logits, state = model.engine.logits(read[start : start + steps], state)
    return logits[-1]


def drawn(found: Reaches, width: int = 24) -> Iterator[str]:
    """The measurement as a table with bars."""
    top = max(reach.bits_with_context for reach in found.by_distance)
    most = max((r.bits_moved for r in found.by_distance if r.places), default=0) or 1
    yield (
        f"At {found.places:,} places of the text: {found.bits:.3f} bits per character with all of "
        "it before them,"
    )
    yield "with only n characters before them, and when the nth before them is another one:"
    yield ""
    context, altered = "bits per character", "prediction moves, bits"
    yield f"{'n':>8}  {context:<{width + 7}}  {altered:<{width + 9}}  best changes"
    for reach in found.by_distance:
        bits = "█" * round(reach.bits_with_context / top * width)
        row = f"  {reach.distance:6}  {reach.bits_with_context:6.3f} {bits:<{width}}"
        if reach.places:
            bar = "█" * round(reach.bits_moved / most * width)
            row += f"  {reach.bits_moved:8.4f} {bar:<{width}}  {reach.changed:6.1%}"
        yield row
