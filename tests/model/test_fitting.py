"""Training on windows of the caller's, as Keras's fit takes them; the next character."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from charloom.engines.selection import open_engine
from charloom.engines.weights import initial_weights
from charloom.errors import TextError
from charloom.model.fitting import fit_windows
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

SETTINGS = ModelSettings(hidden_size=6, num_layers=1)
X = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 0, 1]])
Y = np.array([0, 1, 2, 2])
OPTIONS = {"epochs": 5, "batch_size": 3, "learning_rate": 0.01, "seed": 0}


def an_engine():
    return open_engine(SETTINGS, 3, initial_weights(SETTINGS, 3, 1), precision="float32")


def test_ids_and_one_hot_vectors_train_alike():
    one_hot = np.eye(3)
    assert fit_windows(an_engine(), X, Y, **OPTIONS) == fit_windows(
        an_engine(), one_hot[X], one_hot[Y], **OPTIONS
    )


def test_the_first_loss_is_the_mean_surprisal_of_the_targets_from_a_zero_state():
    engine = an_engine()
    logits, _ = engine.logits(X.T.astype(np.int32), engine.zero_state(4))
    p = np.exp(logits[-1] - np.log(np.exp(logits[-1]).sum(axis=1, keepdims=True)))
    by_hand = -np.log(p[np.arange(4), Y]).mean()
    options = OPTIONS | {"epochs": 1, "batch_size": 4}
    assert fit_windows(engine, X, Y, **options) == [pytest.approx(by_hand, rel=1e-5)]


@pytest.mark.parametrize(
    ("x", "y"), [(X, Y[:3]), (X[0], Y), (X[:0], Y[:0]), (X, np.eye(4)[Y]), (X + 1, Y)]
)
def test_arrays_that_do_not_go_together_are_refused(x, y):
    with pytest.raises(TextError):
        fit_windows(an_engine(), x, y, **OPTIONS)


def test_a_fitted_model_has_its_new_weights():
    model = Model.untrained(SETTINGS, Vocabulary.of("abc"), seed=1)
    before = {name: weight.copy() for name, weight in model.weights.items()}
    losses = model.fit(X, Y, epochs=60, learning_rate=0.05)
    assert losses[-1] < losses[0]
    assert (model.weights["head.weight"] != before["head.weight"]).any()
    assert_array_equal(model.weights["head.weight"], model.engine.weights()["head.weight"])


def test_next_is_the_distribution_that_scoring_uses():
    model = Model.untrained(SETTINGS, Vocabulary.of("ab\n"), seed=2)
    expected = model.next("ab")
    assert list(expected.values()) == sorted(expected.values(), reverse=True)
    for character, share in expected.items():
        last = list(model.score("ab" + character))[-1]
        assert -np.log(share) == pytest.approx(last.nats, abs=1e-5)
    assert model.next("") == model.next("\n")
    assert set(Model.untrained(SETTINGS, Vocabulary.of("ab")).next("").values()) == {0.5}
