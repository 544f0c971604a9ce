"""Weights in 8 bits."""

import numpy as np
import pytest

from charloom.engines.int8 import rounded
from charloom.engines.weights import weight_shapes
from charloom.settings import ModelSettings

SETTINGS = ModelSettings(hidden_size=5, num_layers=11, embedding_size=3)


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in weight_shapes(SETTINGS, 7).items()
    }


def test_by_hand():
    row = np.array([[1.27, -0.014, 0.016, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    made = rounded({"lstm.weight_hh_l0": row})["lstm.weight_hh_l0"]
    np.testing.assert_allclose(made, [[1.27, -0.01, 0.02, 0.0], [0, 0, 0, 0]], atol=1e-7)


def test_only_what_multiplies_hidden_states_is_rounded():
    before = weights()
    changed = {n for n, w in rounded(before).items() if not np.array_equal(w, before[n])}
    layers = range(SETTINGS.num_layers)
    assert changed == {
        "head.weight",
        *(f"lstm.weight_hh_l{layer}" for layer in layers),
        *(f"lstm.weight_ih_l{layer}" for layer in layers if layer),
    }


def test_no_weight_moves_by_more_than_half_a_step_of_its_row():
    before = weights()
    for name, after in rounded(before).items():
        if name == "embedding.weight" or "bias" in name:
            continue
        step = np.abs(before[name]).max(axis=1, keepdims=True) / 127
        assert (np.abs(after - before[name]) <= step * 0.5001).all(), name
        assert after.dtype == np.float32


def test_rounding_again_changes_nothing_but_last_bits():
    once = rounded(weights())
    for name, twice in rounded(once).items():
        np.testing.assert_allclose(twice, once[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("size", [1e-40, 1e38])
def test_the_smallest_and_largest_weights_stay_finite(size):
    made = rounded({"head.weight": np.full((2, 3), size, np.float32)})["head.weight"]
    np.testing.assert_allclose(made, size, rtol=0.01)
