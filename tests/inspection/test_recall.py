"""Recall: an LSTM learns to recall a letter where plain RNNs do not in as many steps."""

from __future__ import annotations

import numpy as np
import pytest

from charloom.engines.weights import initial_weights
from charloom.inspection.memory import recall
from charloom.inspection.settings import RecallSettings
from charloom.settings import ModelSettings

SMALL = {"hidden_size": 24, "distance": 32, "steps": 600}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_lstm_recalls_a_symbol_that_rnns_of_equal_size_have_lost(seed: int):
    lstm, units, weights = recall.recall(seed=seed, seeds=1, rates=(0.01,), **SMALL)
    far = lstm.distances.index(32)
    assert lstm.correct[0] > 0.95
    assert lstm.correct[far] > 0.85
    assert units.correct[far] < 0.3
    assert weights.correct[far] < 0.5
    assert weights.correct[0] > 0.8  # it learned what is near


def test_equal_in_size_means_units_or_weights():
    lstm, units, weights = recall.recall(hidden_size=5, distance=3, steps=1, rates=(0.01,))
    assert lstm.hidden_size == units.hidden_size == 5
    assert weights.weights == pytest.approx(lstm.weights, rel=0.05)
    for found in (lstm, units, weights):
        shape = ModelSettings(cell=found.cell, hidden_size=found.hidden_size, num_layers=1)
        counted = initial_weights(shape, recall.VOCABULARY.size, seed=0)
        assert found.weights == sum(weight.size for weight in counted.values())
    assert lstm.distances == RecallSettings(distance=3).distances == [1, 2, 4]


def test_the_answer_is_the_letter_after_the_mark_and_nothing_else_gives_it_away():
    ids = recall.texts(np.random.default_rng(0), 10, 5000)
    assert ids.shape == (14, 5000)
    assert (ids[-1] == ids[1]).all()
    others = (ids[2:-2] == ids[-1]).mean()
    assert others == pytest.approx(recall.CHANCE, abs=0.005)


def test_three_seeds_are_three_runs_and_their_spread():
    small = {"hidden_size": 6, "distance": 4, "steps": 40, "rates": (0.01,)}
    found = list(recall.recall(seed=5, **small))
    assert [len(network.by_seed) for network in found] == [RecallSettings().seeds] * 3
    for n, seed in enumerate((5, 6, 7)):
        for network, alone in zip(found, recall.recall(seed=seed, seeds=1, **small), strict=True):
            assert network.seeds[n] == seed
            assert network.by_seed[n] == alone.correct == alone.lowest == alone.highest
    for network in found:
        assert network.correct == np.mean(network.by_seed, axis=0).tolist()
        assert network.lowest == [min(shares) for shares in zip(*network.by_seed, strict=True)]
        assert network.highest == [max(shares) for shares in zip(*network.by_seed, strict=True)]


def test_recall_is_shown_by_distance_with_steps_and_spread():
    found = recall.Recall(
        name="LSTM", cell="lstm", hidden_size=2, weights=3, steps=1500, learning_rate=0.01,
        precision="float32", kernels="reference", seeds=[0, 1], distances=[1, 2],
        by_seed=[[1.0, 0.2], [1.0, 0.3]], correct=[1.0, 0.25], lowest=[1.0, 0.2],
        highest=[1.0, 0.3],
    )  # fmt: skip
    first, second, *rows = recall.table(found, width=8)
    assert first == "LSTM: 2 units, 3 weights; learned in 1,500 steps"
    assert "float32, reference; mean of 2 seeds, lowest to highest" in second
    assert rows == ["      1  ████████ 100%  100% to 100%", "      2  ██        25%   20% to  30%"]
