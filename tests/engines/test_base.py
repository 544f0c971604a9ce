"""The state of an engine, and what the base class makes of logits alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from charloom.engines.base import Engine, State, StepSettings
from charloom.engines.native import NativeEngine
from charloom.engines.random import stream_seeds
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights
from charloom.settings import ModelSettings, SamplingSettings
from charloom.text.batches import NOT_COUNTED

SETTINGS = ModelSettings(hidden_size=12, num_layers=2)
V = 9
WEIGHTS = initial_weights(SETTINGS, V, seed=3)


class LogitsAlone(ReferenceEngine):
    """What a new engine has on its first day: the base class's surprisal and generation."""

    surprisal = Engine.surprisal
    generate = Engine.generate


def a_state(streams: int) -> State:
    random = np.random.default_rng(1)
    shape = (2, streams, 12)
    return State(
        hidden=random.normal(size=shape).astype(np.float32),
        cell=random.normal(size=shape).astype(np.float32),
    )


@pytest.mark.parametrize("kind", [ReferenceEngine, NativeEngine])
def test_a_step_with_logits_is_the_logits_and_then_the_step(kind):
    random = np.random.default_rng(4)
    for T, B in ((1, 1), (7, 1), (5, 3)):
        inputs, targets = (random.integers(0, V, (T, B)).astype(np.int32) for _ in range(2))
        state, step = a_state(B), StepSettings(learning_rate=0.01, beta1=0.0)
        apart, together = (kind(SETTINGS, V, WEIGHTS) for _ in range(2))
        logits, _ = apart.logits(inputs, state)
        expected = apart.train_step(inputs, targets, state, step)
        done, found = together.train_step_with_logits(inputs, targets, state, step)
        assert_array_equal(found, logits)
        assert_array_equal(done.state.hidden, expected.state.hidden)
        assert (done.nats, done.characters) == (expected.nats, expected.characters)
        for name, weight in apart.weights().items():
            assert_array_equal(together.weights()[name], weight)


def test_streams_are_selected_by_index_and_by_slice():
    state = a_state(4)
    for streams in (np.array([3, 1]), slice(1, 3)):
        chosen = state.select(streams)
        assert chosen.streams == 2
        assert_array_equal(chosen.hidden, state.hidden[:, streams])
        assert_array_equal(chosen.cell, state.cell[:, streams])


def test_a_stream_is_repeated_with_its_own_numbers():
    repeated = a_state(2).repeat(3)
    assert repeated.streams == 6
    for copy in (1, 2):
        assert_array_equal(repeated.hidden[:, copy], repeated.hidden[:, 0])
    assert not (repeated.cell[:, 0] == repeated.cell[:, 3]).any()


def test_a_cleared_stream_is_zero_and_the_others_and_the_original_are_kept():
    state = a_state(3)
    cleared = state.cleared(1)
    assert not cleared.hidden[:, 1].any() and not cleared.cell[:, 1].any()
    assert_array_equal(cleared.hidden[:, [0, 2]], state.hidden[:, [0, 2]])
    assert state.hidden[:, 1].all()


def test_a_copy_in_numpy_is_float32_in_order_and_shares_nothing():
    state = State(hidden=np.ones((2, 3, 4)).T, cell=np.ones((4, 3, 2)))
    copy = state.numpy()
    assert copy.hidden.dtype == np.float32 and copy.hidden.flags.c_contiguous
    copy.cell[0] = 5
    assert state.cell[0, 0, 0] == 1


def test_surprisal_and_generation_follow_from_logits():
    random = np.random.default_rng(2)
    inputs = random.integers(0, V, (7, 3)).astype(np.int32)
    targets = random.integers(0, V, (7, 3)).astype(np.int32)
    targets[2, 1] = NOT_COUNTED
    plain, native = (
        LogitsAlone(SETTINGS, V, WEIGHTS),
        NativeEngine(SETTINGS, V, WEIGHTS, precision="float32"),
    )
    state = a_state(3)
    ours, theirs = (e.surprisal(inputs, targets, state) for e in (plain, native))
    assert_allclose(ours.nats, theirs.nats, atol=1e-5)
    assert_array_equal(ours.ranks, theirs.ranks)
    assert_allclose(ours.state.numpy().hidden, theirs.state.numpy().hidden, atol=1e-5)

    draw = (inputs[0], state, 12, SamplingSettings(temperature=0.8), stream_seeds(4, 3), 5, (2,))
    (a, after_a), (b, after_b) = (engine.generate(*draw) for engine in (plain, native))
    assert_array_equal(a, b)
    assert not (a == 2).any()
    assert_allclose(after_a.numpy().cell, after_b.numpy().cell, atol=1e-5)
