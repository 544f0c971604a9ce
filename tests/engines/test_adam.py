"""Adam by hand, and clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from charloom.engines.base import StepSettings
from charloom.engines.reference.adam import Adam, clip_by_global_norm, global_norm


def test_two_steps_of_adam_are_those_computed_by_hand():
    weights = {"w": np.array([0.5])}
    adam = Adam(weights)
    settings = StepSettings(learning_rate=0.01, beta1=0.8, beta2=0.95, epsilon=1e-3)
    adam.step(weights, {"w": np.array([0.3])}, settings)
    adam.step(weights, {"w": np.array([-0.1])}, settings)

    m, v, w = 0.2 * 0.3, 0.05 * 0.09, 0.5
    w -= 0.01 * math.sqrt(1 - 0.95) / (1 - 0.8) * m / (math.sqrt(v) + 1e-3)
    m, v = 0.8 * m + 0.2 * -0.1, 0.95 * v + 0.05 * 0.01
    w -= 0.01 * math.sqrt(1 - 0.95**2) / (1 - 0.8**2) * m / (math.sqrt(v) + 1e-3)
    assert weights["w"][0] == pytest.approx(w, rel=1e-14)
    assert adam.state().mean["w"][0] == pytest.approx(m, rel=1e-14)
    assert adam.state().mean_square["w"][0] == pytest.approx(v, rel=1e-14)


def test_epsilon_stands_where_keras_has_it_beside_the_uncorrected_root():
    weights = {"w": np.array([0.0])}
    Adam(weights).step(
        weights, {"w": np.array([1e-7])}, StepSettings(learning_rate=1.0, epsilon=1e-7)
    )
    keras = -math.sqrt(0.001) / 0.1 * 0.1e-7 / (math.sqrt(0.001) * 1e-7 + 1e-7)
    pytorch = -0.5  # -m / (1 - b1) / (sqrt(v / (1 - b2)) + epsilon)
    assert weights["w"][0] == pytest.approx(keras, rel=1e-12)
    assert abs(weights["w"][0] - pytorch) > 0.4


def test_going_on_from_a_copy_of_adams_memory_equals_never_having_stopped():
    random = np.random.default_rng(0)
    gradients = [{"w": random.normal(size=3).astype(np.float32)} for _ in range(6)]
    settings = StepSettings(learning_rate=0.1)
    whole = {"w": np.ones(3, np.float32)}
    adam = Adam(whole)
    for gradient in gradients:
        adam.step(whole, gradient, settings)

    halves = {"w": np.ones(3, np.float32)}
    first = Adam(halves)
    for gradient in gradients[:3]:
        first.step(halves, gradient, settings)
    memory = first.state()
    second = Adam(halves)
    second.load(memory)
    first.step({"w": np.zeros(3, np.float32)}, gradients[0], settings)  # memory is a copy
    for gradient in gradients[3:]:
        second.step(halves, gradient, settings)
    assert_array_equal(halves["w"], whole["w"])
    assert second.state().steps == 6


def test_weights_and_memory_keep_their_type():
    weights = {"w": np.ones(2, np.float32)}
    adam = Adam(weights)
    adam.step(weights, {"w": np.ones(2, np.float32)}, StepSettings(learning_rate=0.1))
    state = adam.state()
    assert {a["w"].dtype for a in (weights, state.mean, state.mean_square)} == {
        np.dtype(np.float32)
    }


def test_a_gradient_above_the_limit_is_shortened_and_keeps_its_direction():
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([[-4.0]])}
    assert clip_by_global_norm(gradients, 2.0) == 5.0
    assert_allclose(gradients["a"], [1.2, 0.0])
    assert_allclose(gradients["b"], [[-1.6]])
    assert global_norm(gradients) == pytest.approx(2.0)


@pytest.mark.parametrize("limit", [0.0, 5.0, 6.0])
def test_a_gradient_within_the_limit_is_left_alone_and_zero_is_no_limit(limit: float):
    gradients = {"a": np.array([3.0]), "b": np.array([4.0])}
    assert clip_by_global_norm(gradients, limit) == 5.0
    assert (gradients["a"][0], gradients["b"][0]) == (3.0, 4.0)


def test_a_norm_whose_squares_float32_cannot_hold_is_still_finite():
    gradients = {"a": np.full(4, 1e30, np.float32)}
    assert clip_by_global_norm(gradients, 1.0) == pytest.approx(2e30, rel=1e-6)
    assert_allclose(gradients["a"], 0.5, rtol=1e-6)
