"""The network as an engine: its first weights, its steps, and what it draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from charloom.engines.base import State, StepSettings
from charloom.engines.loss import cross_entropy
from charloom.engines.random import dropout_mask, stream_seeds
from charloom.engines.reference import lstm
from charloom.engines.reference.adam import global_norm
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights
from charloom.errors import ModelFileError
from charloom.settings import ModelSettings, SamplingSettings
from charloom.text.batches import NOT_COUNTED

SETTINGS = ModelSettings(hidden_size=6, num_layers=2)
EMBEDDED = ModelSettings(hidden_size=6, num_layers=1, embedding_size=4)
RNN = ModelSettings(hidden_size=6, num_layers=1, cell="rnn")
INPUTS = np.array([[0, 3], [1, 4], [1, 2], [0, 0]], np.int32)
TARGETS = np.array([[1, 4], [1, NOT_COUNTED], [0, 0], [NOT_COUNTED, 3]], np.int32)


def engine(settings: ModelSettings = SETTINGS, dtype: type = np.float32) -> ReferenceEngine:
    weights = initial_weights(settings, 5, seed=1)
    return ReferenceEngine(settings, 5, weights, dtype)


# The first weights


# Forward


@pytest.mark.parametrize("settings", [SETTINGS, EMBEDDED, RNN])
def test_reading_in_two_halves_with_the_state_carried_equals_reading_on(
    settings: ModelSettings,
):
    network = engine(settings, np.float64)
    zero = State.zeros(settings, 2)
    whole, end = network.logits(INPUTS, zero)
    first, between = network.logits(INPUTS[:1], zero)
    second, after = network.logits(INPUTS[1:], between)
    assert_array_equal(np.concatenate([first, second]), whole)
    assert_array_equal(after.hidden, end.hidden)
    assert_array_equal(after.cell, end.cell)
    assert not zero.hidden.any() and not zero.cell.any()  # the argument is left alone


def test_surprise_is_the_cross_entropy_of_the_logits_target_by_target():
    network, zero = engine(), State.zeros(SETTINGS, 2)
    logits, after = network.logits(INPUTS, zero)
    found = network.surprisal(INPUTS, TARGETS, zero)
    nats, _, _ = cross_entropy(logits, TARGETS)
    assert float(found.nats.sum()) == pytest.approx(nats, rel=1e-6)
    assert_array_equal(found.ranks == 0, TARGETS == NOT_COUNTED)
    assert_array_equal(found.state.hidden, after.hidden)
    assert (logits.dtype, found.nats.dtype, found.ranks.dtype) == ("f4", "f4", "i4")


def test_dropout_is_scaled_and_stands_between_the_last_layer_and_the_head():
    settings = ModelSettings(hidden_size=6, num_layers=1)
    network = engine(settings, np.float64)
    zero = State.zeros(settings, 2, np.float64)
    w = network.weights()
    out, *_ = lstm.forward(
        INPUTS,
        hidden=zero.hidden[0],
        cell=zero.cell[0],
        weight_ih=w["lstm.weight_ih_l0"],
        weight_hh=w["lstm.weight_hh_l0"],
        bias=w["lstm.bias_l0"],
    )
    dropped = out * dropout_mask(9, 0, out.shape, 0.25) / 0.75
    nats, *_ = cross_entropy(dropped @ w["head.weight"].T + w["head.bias"], TARGETS)
    step = StepSettings(learning_rate=0.1, dropout=0.25, dropout_key=9)
    found, _, _, after = network.gradients(INPUTS, TARGETS, zero, step)
    assert found == pytest.approx(nats, rel=1e-12)
    assert_allclose(after.hidden[0], out[-1], rtol=1e-12)  # the state itself is not dropped


# Steps of training


def test_steps_of_training_learn_the_batch_by_heart():
    network, zero = engine(), State.zeros(SETTINGS, 2)
    settings = StepSettings(learning_rate=0.03, clip_norm=1.0)
    steps = [network.train_step(INPUTS, TARGETS, zero, settings) for _ in range(150)]
    assert steps[0].nats == pytest.approx(6 * math.log(5), rel=0.1)
    assert steps[-1].nats < 0.05
    assert steps[0].characters == 6
    assert network.optimizer_state().steps == 150


def test_clipping_bounds_what_adam_sees_and_the_norm_is_told_unclipped():
    network, zero = engine(), State.zeros(SETTINGS, 2)
    step = network.train_step(
        INPUTS, TARGETS, zero, StepSettings(learning_rate=0.1, clip_norm=0.01)
    )
    assert step.gradient_norm > 0.1
    mean = network.optimizer_state().mean  # after one step (1 - beta1) times the gradient
    assert global_norm(mean) / 0.1 == pytest.approx(0.01, rel=1e-5)


def test_the_gradient_is_that_of_the_mean_over_the_counted_targets():
    network, zero = engine(), State.zeros(SETTINGS, 2)
    twice = [np.concatenate([ids, ids], axis=1) for ids in (INPUTS, TARGETS)]
    step = StepSettings(learning_rate=0.1)
    _, _, once, _ = network.gradients(INPUTS, TARGETS, zero, step)
    _, _, again, _ = network.gradients(*twice, State.zeros(SETTINGS, 4), step)
    for name, gradient in again.items():
        assert_allclose(gradient, once[name], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_step_that_is_not_finite_changes_nothing(broken: float):
    network, zero = engine(), State.zeros(SETTINGS, 2)
    network.train_step(INPUTS, TARGETS, zero, StepSettings(learning_rate=0.1))
    weights = network.weights()
    weights["head.weight"][...] = broken
    network.load(weights, network.optimizer_state())
    before = network.optimizer_state()
    step = network.train_step(INPUTS, TARGETS, zero, StepSettings(learning_rate=0.1))
    assert not (math.isfinite(step.nats) and math.isfinite(step.gradient_norm))
    after = network.optimizer_state()
    assert before.steps == after.steps == 1
    for name, weight in network.weights().items():
        assert_array_equal(weight, weights[name])
        assert_array_equal(after.mean[name], before.mean[name])


def test_a_batch_without_targets_changes_nothing():
    network, zero = engine(), State.zeros(SETTINGS, 2)
    before = network.weights()
    nothing = np.full_like(TARGETS, NOT_COUNTED)
    step = network.train_step(INPUTS, nothing, zero, StepSettings(learning_rate=0.1))
    assert (step.nats, step.characters, network.optimizer_state().steps) == (0.0, 0, 0)
    for name, weight in network.weights().items():
        assert_array_equal(weight, before[name])


def test_going_on_from_what_was_exported_equals_never_having_stopped():
    zero, settings = State.zeros(SETTINGS, 2), StepSettings(learning_rate=0.1, dropout=0.2)
    whole, first = engine(), engine()
    for _ in range(2):
        whole.train_step(INPUTS, TARGETS, zero, settings)
        first.train_step(INPUTS, TARGETS, zero, settings)
    second = engine()
    second.load(first.weights(), first.optimizer_state())
    on = [network.train_step(INPUTS, TARGETS, zero, settings) for network in (whole, second)]
    assert on[0].nats == on[1].nats
    for name, weight in second.weights().items():
        assert_array_equal(weight, whole.weights()[name])


def test_weights_go_in_and_out_as_copies():
    weights = initial_weights(SETTINGS, 5, seed=1)
    network = ReferenceEngine(SETTINGS, 5, weights)
    weights["head.bias"] += 1
    network.weights()["head.bias"][...] = 2
    assert not network.weights()["head.bias"].any()


def test_a_missing_or_misshapen_weight_is_named_with_the_shape_it_needs():
    weights = initial_weights(SETTINGS, 5, seed=1)
    named = r"head\.weight is \(5, 6\).*of 7 need \(7, 6\)"
    with pytest.raises(ModelFileError, match=named):
        ReferenceEngine(SETTINGS, 7, weights | {"lstm.weight_ih_l0": np.zeros((24, 7))})
    del weights["head.bias"]
    with pytest.raises(ModelFileError, match=r"head\.bias is missing"):
        ReferenceEngine(SETTINGS, 5, weights)


# Generating


@pytest.mark.parametrize("settings", [SETTINGS, EMBEDDED, RNN])
def test_drawing_10_and_then_10_more_equals_drawing_20(settings: ModelSettings):
    network, sampling = engine(settings), SamplingSettings()
    last = np.array([0, 3], np.int32)
    seeds, zero = stream_seeds(5, 2), State.zeros(settings, 2)
    whole, end = network.generate(last, zero, 20, sampling, seeds, 0)
    first, state = network.generate(last, zero, 10, sampling, seeds, 0)
    second, after = network.generate(first[-1], state, 10, sampling, seeds, 10)
    assert_array_equal(np.concatenate([first, second]), whole)
    assert_array_equal(after.hidden, end.hidden)
    assert (whole.shape, whole.dtype) == ((20, 2), np.int32)


def test_a_stream_draws_the_same_alone_and_among_many():
    network, sampling = engine(), SamplingSettings()
    many, _ = network.generate(
        np.zeros(4, np.int32), State.zeros(SETTINGS, 4), 30, sampling, stream_seeds(5, 4), 0
    )
    alone, _ = network.generate(
        np.zeros(1, np.int32), State.zeros(SETTINGS, 1), 30, sampling, stream_seeds(5, 1), 0
    )
    assert_array_equal(many[:, :1], alone)
    assert (many[:, 0] != many[:, 1]).any()


def test_the_state_returned_is_the_one_before_the_last_id_is_read():
    network, zero = engine(dtype=np.float64), State.zeros(SETTINGS, 1, np.float64)
    last, seeds = np.array([2], np.int32), stream_seeds(0, 1)
    ids, state = network.generate(last, zero, 3, SamplingSettings(), seeds, 0)
    _, read = network.logits(np.array([[2], ids[0], ids[1]]).reshape(3, 1), zero)
    assert_allclose(state.hidden, read.hidden, rtol=1e-12)
