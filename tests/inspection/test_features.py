"""Features: every quantity of a network on a text, scaled in two halves."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from numpy.testing import assert_allclose

from charloom.engines.weights import initial_weights
from charloom.errors import TextError
from charloom.inspection.units import features
from charloom.inspection.units.labels import labels
from charloom.model.model import Model
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TrainingSettings

TEXT = planted.text(2000, seed=3)


def network(*, lines: bool = False, **shape) -> Model:
    settings = ModelSettings(**{"hidden_size": 7, "num_layers": 2, **shape})
    weights = initial_weights(settings, planted.VOCABULARY.size, seed=0)
    training = TrainingSettings(batches="lines") if lines else None
    provenance = Provenance(training=training)
    return Model(settings, planted.VOCABULARY, weights, provenance, precision="float32")


def test_the_quantity_and_its_sign_are_chosen_where_the_score_is_not_taken():
    # (Q, U, N): the second quantity is better on the second half, which must not matter
    search = np.array([-0.9, 0.2]).reshape(2, 1, 1)
    held_out = np.array([-0.4, 0.8]).reshape(2, 1, 1)
    score, quantity, sign = features.scores(search, held_out)
    assert (score[0, 0], quantity[0, 0], sign[0, 0]) == (0.4, 0, -1)


def test_a_score_is_the_correlation_on_the_held_out_half():
    model, y = network(), labels(TEXT)["bracket depth"]
    found = features.Features(model, TEXT)
    score, quantity, sign = found.scores(*(half[:, None] for half in features.halves(y)))
    trace = model.trace(TEXT)
    for u in (0, 9):
        values = trace.quantities[found.quantities[quantity[u, 0]]][:, u // 7, u % 7]
        exact = sign[u, 0] * np.corrcoef(values[1000:], y[1000:])[0, 1]
        assert score[u, 0] == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_best_scores_are_those_of_the_features(cell: str, lines: bool):
    model = network(lines=lines, cell=cell)
    named = {name: y for name, y in labels(TEXT).items() if features.can_search(y)}
    every = np.stack(list(named.values()), axis=1)
    exact = features.Features(model, TEXT).scores(*features.halves(every))[0].max(axis=0)
    assert_allclose(features.best_scores(model, TEXT, every), exact, atol=2e-3)


def test_blocks_side_by_side_cover_every_position_once():
    for text in (TEXT, TEXT[:201], TEXT[:777]):
        at = np.concatenate([at for at, _ in features._read(network(), text)])
        assert sorted(at.tolist()) == list(range(len(text)))


def test_a_label_must_hold_and_not_hold_in_both_halves():
    rare = np.zeros(1000, np.float32)
    assert not features.can_search(rare)
    rare[:500:20] = 1
    assert not features.can_search(rare)
    rare[500::20] = 1
    assert features.can_search(rare)
    assert not features.can_search(np.ones(1000, np.float32))


def test_a_text_is_cut_where_it_is_long_enough_or_there_is_no_more_memory(monkeypatch):
    assert features.beginning(network(), [TEXT[:150], TEXT[150:]], 400) == TEXT[:400]
    numbers = len(features.searched(network())) * 14
    monkeypatch.setattr(features, "_BYTES", 4 * numbers * 300)
    assert features.beginning(network(), TEXT, 400) == TEXT[:300]
    with pytest.raises(TextError, match="200 are the fewest"):
        features.beginning(network(), TEXT[:199], 400)
