"""Dynamic evaluation: a model that goes on learning from the text it is measured on.

The text is cut into chunks. Each chunk is counted first, with weights that know nothing of
it, and then learned from with one step of the optimizer:

    chunk    1 counted   learned   2 counted   learned   3 counted ...
    weights  w0          w0 -> w1  w1          w1 -> w2  w2

With several streams the text is cut into as many stretches first, which are read side by side,
each from a zero state; a chunk is then a piece of each stretch:

    stretches  abcdefgh|ijklmnop      chunks  abc ijk | def lmn | gh op

So every character is predicted from characters that were counted before it and from nothing
else: it is the chain rule in another order than the text's, and the sum is a code length, as
that of `evaluate` is. It is another number all the same: names and turns of phrase that come
back weigh in it. See Krause et al., "Dynamic Evaluation of Neural Sequence Models" (2018);
their pull back to the first weights is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from ..engines.base import StepSettings
from ..engines.weights import Array
from ..settings import AdaptationSettings
from ..text.batches import NOT_COUNTED
from .predictor import Predictor
from .surprisal import regrouped

SHORTEST = 4096
"""Characters of a stretch: starting one anew costs some 20 bits."""

_WINDOW = 2**20  # characters in memory; each window has stretches of its own


def adapted_nats(
    predictor: Predictor, blocks: Iterable[Array], settings: AdaptationSettings
) -> Iterator[tuple[Array, float]]:
    """The ids of each chunk of a text, and their surprisal in nats, in the order of reading.

    The engine must be the caller's own: its weights change. What a character counts is
    surprisal.py's definition, in which each stretch is a text of its own. A chunk of a model of
    lines is as many whole lines, each read from a zero state.
    """
    unknown_id, which = predictor.vocabulary.unknown_id, predictor.vocabulary.unknown_nats
    newline = predictor.line_start
    if newline is None:
        chunks = _of_streams(predictor, blocks, settings)
    else:
        chunks = _of_lines(predictor, blocks, settings, newline)
    for ids, nats in chunks:
        yield ids, nats + which * int(np.count_nonzero(ids == unknown_id))


def _step(settings: AdaptationSettings) -> StepSettings:
    # Without a running mean of gradients: each chunk is learned from at once, and once.
    return StepSettings(learning_rate=settings.learning_rate, beta1=0.0, beta2=0.999)


def _of_streams(
    predictor: Predictor, blocks: Iterable[Array], settings: AdaptationSettings
) -> Iterator[tuple[Array, float]]:
    engine, step, T = predictor.engine, _step(settings), settings.sequence_length
    state, last = engine.zero_state(1), None
    for window in regrouped(blocks, max(_WINDOW // T, 1) * T):
        columns = side_by_side(window.astype(np.int32), settings.streams)
        if settings.streams > 1:
            state, last = engine.zero_state(columns.shape[1]), None
        for chunk in np.split(columns, range(T, len(columns), T)):
            if last is None:  # nothing stands before the first character of a stretch
                last, chunk = chunk[:1], chunk[1:]
                yield last[0], last.size * math.log(predictor.vocabulary.size)
            if len(chunk):
                inputs = np.maximum(np.concatenate([last, chunk[:-1]]), 0)
                done = engine.train_step(inputs, chunk, state, step)
                yield chunk[chunk != NOT_COUNTED], float(done.nats)
                state, last = done.state, chunk[-1:]


def side_by_side(ids: Array, streams: int) -> Array:
    """(T, B) the stretches of a text (N,), filled up with NOT_COUNTED at the end of the last.

    There are at most so many streams, and fewer where a stretch would be shorter than
    SHORTEST characters.

    >>> side_by_side(np.arange(2 * SHORTEST + 1), streams=4)[[0, 1, -1]].tolist()
    [[0, 4097], [1, 4098], [4096, -1]]
    """
    B = max(min(streams, len(ids) // SHORTEST), 1)
    filled = np.pad(ids, (0, -len(ids) % B), constant_values=NOT_COUNTED)
    return filled.reshape(B, -1).T


def _of_lines(
    predictor: Predictor, blocks: Iterable[Array], settings: AdaptationSettings, newline: int
) -> Iterator[tuple[Array, float]]:
    engine, step = predictor.engine, _step(settings)
    characters = settings.sequence_length * settings.streams
    for line_ids in _whole_lines(blocks, newline, characters):
        ids = line_ids.astype(np.int32)
        stops = np.flatnonzero(ids == newline) + 1
        starts = np.concatenate([[0], stops[:-1]])
        at = starts + np.arange((stops - starts).max())[:, None]  # (T, B)
        within = at < stops
        at[~within] = 0
        inputs = np.concatenate([[newline], ids])[at].astype(np.int32)
        targets = np.where(within, ids[at], NOT_COUNTED)
        yield (
            ids,
            float(engine.train_step(inputs, targets, engine.zero_state(len(stops)), step).nats),
        )


def _whole_lines(blocks: Iterable[Array], newline: int, characters: int) -> Iterator[Array]:
    """The same ids in the shortest blocks of whole lines that have so many characters."""
    held: list[Array] = []
    size = 0
    for block in blocks:
        for line in np.split(block, np.flatnonzero(block == newline) + 1):
            if not len(line):
                continue
            held.append(line)
            size += len(line)
            if size >= characters and line[-1] == newline:
                yield np.concatenate(held)
                held, size = [], 0
    if held:
        ids = np.concatenate(held)
        yield ids if ids[-1] == newline else np.append(ids, ids.dtype.type(newline))
