"""Dynamic evaluation: a model that goes on learning from the text it is measured on.

The text is cut into chunks. Each chunk is counted first, with weights that know nothing of
it, and then learned from with one step of the optimizer:

    chunk    1 counted   learned   2 counted   learned   3 counted ...
    weights  w0          w0 -> w1  w1          w1 -> w2  w2

So every character is still predicted from what stands before it alone, and the sum is a code
length, as that of `evaluate` is. It is another number all the same: names and turns of phrase
that come back weigh in it. See Krause et al., "Dynamic Evaluation of Neural Sequence Models"
(2018); their pull back to the first weights is left out.
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


def adapted_nats(
    predictor: Predictor, blocks: Iterable[Array], settings: AdaptationSettings
) -> Iterator[tuple[Array, float]]:
    """The ids of each chunk of a text in order, and their surprisal in nats.

    The engine must be the caller's own: its weights change. What a character counts is
    surprisal.py's definition. A chunk of a model of lines is a few whole lines, each read from
    a zero state.
    """
    unknown_id, which = predictor.vocabulary.unknown_id, predictor.vocabulary.unknown_nats
    newline = predictor.line_start
    if newline is None:
        chunks = _of_stream(predictor, blocks, settings)
    else:
        chunks = _of_lines(predictor, blocks, settings, newline)
    for ids, nats in chunks:
        yield ids, nats + which * int(np.count_nonzero(ids == unknown_id))


def _step(settings: AdaptationSettings) -> StepSettings:
    # Without a running mean of gradients: each chunk is learned from at once, and once.
    return StepSettings(learning_rate=settings.learning_rate, beta1=0.0, beta2=0.999)


def _of_stream(
    predictor: Predictor, blocks: Iterable[Array], settings: AdaptationSettings
) -> Iterator[tuple[Array, float]]:
    engine, step = predictor.engine, _step(settings)
    state, last = engine.zero_state(1), np.empty(0, np.int32)
    for block in regrouped(blocks, settings.sequence_length):
        if not len(last):
            yield block[:1], math.log(predictor.vocabulary.size)  # nothing stands before it
            last, block = block[:1].astype(np.int32), block[1:]
        if len(block):
            ids = np.concatenate([last, block.astype(np.int32)])[:, None]
            done = engine.train_step(ids[:-1], ids[1:], state, step)
            yield block, float(done.nats)
            state, last = done.state, ids[-1]


def _of_lines(
    predictor: Predictor, blocks: Iterable[Array], settings: AdaptationSettings, newline: int
) -> Iterator[tuple[Array, float]]:
    engine, step = predictor.engine, _step(settings)
    for line_ids in _whole_lines(blocks, newline, settings.sequence_length):
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
