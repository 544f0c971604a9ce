"""First weights: their shapes and their distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from charloom.engines.weights import initial_weights, weight_shapes
from charloom.settings import ModelSettings

SETTINGS = ModelSettings(hidden_size=6, num_layers=2)
EMBEDDED = ModelSettings(hidden_size=6, num_layers=1, embedding_size=4)
RNN = ModelSettings(hidden_size=6, num_layers=1, cell="rnn")


@pytest.mark.parametrize("settings", [SETTINGS, EMBEDDED, RNN])
def test_the_first_weights_have_the_shapes_of_the_contract(settings: ModelSettings):
    weights = initial_weights(settings, 5, seed=0)
    shapes = {name: weight.shape for name, weight in weights.items()}
    assert shapes == weight_shapes(settings, 5)
    assert {weight.dtype for weight in weights.values()} == {np.dtype(np.float32)}


def test_keras_kernels_are_glorot_uniform_over_the_gates_taken_together():
    settings = ModelSettings(hidden_size=64, num_layers=1)
    weights = initial_weights(settings, 40, seed=0, first_values="keras")
    for name, fans in (("lstm.weight_ih_l0", 40 + 256), ("head.weight", 40 + 64)):
        limit = math.sqrt(6 / fans)
        assert 0.99 * limit < np.abs(weights[name]).max() < limit
        assert weights[name].std() == pytest.approx(limit / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_recurrent_kernels_turn_without_stretching(cell: str):
    settings = ModelSettings(hidden_size=16, cell=cell)
    for layer in range(2):
        q = initial_weights(settings, 5, 0, np.float64)[f"{cell}.weight_hh_l{layer}"]
        assert_allclose(q.T @ q, np.eye(16), atol=1e-12)


@pytest.mark.parametrize("V", [2, 500])
@pytest.mark.parametrize("embedding_size", [0, 9])
def test_scaled_values_let_a_character_be_heard_whatever_the_vocabulary(V, embedding_size):
    settings = ModelSettings(hidden_size=64, num_layers=2, embedding_size=embedding_size)
    weights = initial_weights(settings, V, seed=0)
    read = weights["lstm.weight_ih_l0"].T  # what each character adds to the gates
    if embedding_size:
        read = weights["embedding.weight"] @ read
    assert read.std() == pytest.approx(1, abs=0.35 if embedding_size and V == 2 else 0.1)
    for name, fans in (("lstm.weight_ih_l1", 64 + 256), ("head.weight", V + 64)):
        limit = 3 * math.sqrt(6 / fans)
        assert 0.97 * limit < np.abs(weights[name]).max() < limit
    assert not any(weights[name].any() for name in weights if "bias" in name)


def test_other_cells_start_as_keras_does():
    one, other = (initial_weights(RNN, 5, 0, first_values=f) for f in ("scaled", "keras"))
    for name, weight in one.items():
        assert_array_equal(weight, other[name])


def test_a_new_keras_cell_remembers_because_its_forget_bias_is_one():
    weights = initial_weights(SETTINGS, 5, seed=0, first_values="keras")
    for layer in range(2):
        assert_array_equal(
            weights[f"lstm.bias_l{layer}"].reshape(4, 6), np.eye(4)[1][:, None] * np.ones(6)
        )
    assert not weights["head.bias"].any()
    assert not initial_weights(RNN, 5, seed=0)["rnn.bias_l0"].any()


def test_keras_embeddings_start_small():
    embedding = initial_weights(EMBEDDED, 300, seed=0, first_values="keras")["embedding.weight"]
    assert 0.049 < np.abs(embedding).max() <= 0.05


def test_the_first_weights_are_a_function_of_the_seed():
    one, same, other = (initial_weights(SETTINGS, 5, seed) for seed in (3, 3, 4))
    for name, weight in one.items():
        assert_array_equal(weight, same[name])
        assert "bias" in name or (weight != other[name]).all()
    assert_array_equal(
        initial_weights(SETTINGS, 5, 3, np.float64)["head.weight"].astype(np.float32),
        one["head.weight"],
    )
