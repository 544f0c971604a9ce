"""charloom as a contestant, measured through the native engine.

Training is a whole optimizer step (one-hot input, layers, head, loss, clipping, Adam) on the
next of a few batches, with the state carried on. Generation includes sampling.
"""

from __future__ import annotations

import itertools

import numpy as np
from contest import AbsentError, Work
from shapes import EVALUATE, OWN_TEXTS, OWN_TRAINING, ROUND_TRIP, TRAIN, Shape

from charloom.engines.base import State, StepSettings
from charloom.engines.native import MULTIPLY_BFLOAT16, NativeEngine, available_kernels
from charloom.engines.random import stream_seeds
from charloom.engines.weights import initial_weights
from charloom.model.generation import generate
from charloom.model.predictor import Predictor
from charloom.model.scoring import SEGMENTS, evaluate
from charloom.settings import ModelSettings, SamplingSettings
from charloom.text.vocabulary import Vocabulary

BATCHES = 8


def prepare(contestant: str, task: str, shape: Shape, threads: int) -> Work:
    """The work of a contestant, whose name ends in its precision; "peak" is the bare product."""
    if contestant == ROUND_TRIP:
        return _round_trips(threads)
    what, precision = contestant.rsplit(" ", 1)
    kernels = available_kernels()[0]
    if precision != "float32" and kernels not in MULTIPLY_BFLOAT16:
        raise AbsentError(f"this processor has no instructions for {precision} products")
    if what == "peak":
        return _peak(kernels, precision == "bfloat16", threads)
    settings = ModelSettings(hidden_size=shape.H, num_layers=shape.L)
    engine = NativeEngine(
        settings,
        shape.V,
        initial_weights(settings, shape.V, seed=0),
        precision=precision,
        threads=threads,
    )
    if task == TRAIN or contestant == OWN_TRAINING:
        return _training(engine, settings, shape)
    if task == EVALUATE:
        return _evaluation(engine, shape)
    if contestant == OWN_TEXTS:
        return _texts(engine, shape)
    return _generation(engine, settings, shape)


def _peak(kernels: str, bfloat16: bool, threads: int) -> Work:
    from charloom.engines._native import product_peak

    seconds = 0.05
    return lambda: product_peak(kernels, bfloat16, threads, seconds) * seconds


def _round_trips(threads: int) -> Work:
    from charloom.engines._native import round_trip

    if threads < 2:
        raise AbsentError("there is only one thread")
    seconds = 0.02
    return lambda: seconds / round_trip(seconds)


def _training(engine: NativeEngine, settings: ModelSettings, shape: Shape) -> Work:
    random = np.random.default_rng(0)
    ids = random.integers(shape.V, size=(BATCHES, shape.T + 1, shape.B), dtype=np.int32)
    batches = itertools.cycle([(batch[:-1].copy(), batch[1:].copy()) for batch in ids])
    step = StepSettings(learning_rate=1e-3, clip_norm=1.0)
    state = State.zeros(settings, shape.B)

    def work() -> float:
        nonlocal state
        inputs, targets = next(batches)
        state = engine.train_step(inputs, targets, state, step).state
        return inputs.size

    return work


def _generation(engine: NativeEngine, settings: ModelSettings, shape: Shape) -> Work:
    length = 256 if shape.B == 1 else 32
    state = State.zeros(settings, shape.B)
    last = np.zeros(shape.B, np.int32)
    seeds = stream_seeds(0, shape.B)
    drawn = 0

    def work() -> float:
        nonlocal state, last, drawn
        ids, state = engine.generate(last, state, length, SamplingSettings(), seeds, drawn)
        last, drawn = ids[-1], drawn + length
        return ids.size

    return work


def _texts(engine: NativeEngine, shape: Shape) -> Work:
    """Text in pieces, as `Model.generate` yields it."""
    predictor = _predictor(engine, shape)
    start = predictor.vocabulary.decode([0])
    return lambda: len("".join(generate(predictor, start, length=256)))


def _evaluation(engine: NativeEngine, shape: Shape) -> Work:
    """A short text with the share of warm-up of a long one: 128 in 2**14."""
    predictor = _predictor(engine, shape)
    each = 1024 if shape.H < 256 else 512
    ids = np.random.default_rng(0).integers(shape.V, size=SEGMENTS * each, dtype=np.uint8)
    return lambda: evaluate(predictor, ids, warmup=each // 128).characters


def _predictor(engine: NativeEngine, shape: Shape) -> Predictor:
    vocabulary = Vocabulary.of("".join(chr(0x100 + n) for n in range(shape.V)))
    return Predictor(engine=engine, vocabulary=vocabulary)
