"""Memory: an LSTM recalls where a plain RNN does not; how far back a model looks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from charloom.engines.weights import initial_weights
from charloom.errors import TextError
from charloom.inspection.memory import context as reach
from charloom.inspection.memory import recall
from charloom.inspection.settings import ReachSettings, RecallSettings
from charloom.model.model import Model
from charloom.model.provenance import Provenance
from charloom.settings import ModelSettings, TrainingSettings
from charloom.text.vocabulary import Vocabulary

SMALL = {"hidden_size": 24, "distance": 32, "steps": 600}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_lstm_recalls_a_symbol_that_rnns_of_equal_size_have_lost(seed: int):
    settings = RecallSettings(seed=seed, **SMALL)
    lstm, units, weights = recall.recall(settings, rates=(0.01,))
    far = lstm.distances.index(32)
    assert lstm.correct[0] > 0.95
    assert lstm.correct[far] > 0.85
    assert units.correct[far] < 0.3
    assert weights.correct[far] < 0.5
    assert weights.correct[0] > 0.8  # it learned what is near


def test_equal_in_size_means_units_or_weights():
    settings = RecallSettings(hidden_size=5, distance=3, steps=1)
    lstm, units, weights = recall.recall(settings, rates=(0.01,))
    assert lstm.hidden_size == units.hidden_size == 5
    assert weights.weights == pytest.approx(lstm.weights, rel=0.05)
    for found in (lstm, units, weights):
        shape = ModelSettings(cell=found.cell, hidden_size=found.hidden_size, num_layers=1)
        counted = initial_weights(shape, recall.VOCABULARY.size, seed=0)
        assert found.weights == sum(weight.size for weight in counted.values())
    assert lstm.distances == [1, 2, 4]


def test_the_answer_is_the_letter_after_the_mark_and_nothing_else_gives_it_away():
    ids = recall.texts(np.random.default_rng(0), 10, 5000)
    assert ids.shape == (14, 5000)
    assert (ids[-1] == ids[1]).all()
    others = (ids[2:-2] == ids[-1]).mean()
    assert others == pytest.approx(recall.CHANCE, abs=0.005)


def test_recall_is_drawn_against_distance():
    found = recall.Recall(
        name="LSTM", cell="lstm", hidden_size=2, weights=3, learning_rate=0.01,
        distances=[1, 2], correct=[1.0, 0.25],
    )  # fmt: skip
    lines = list(recall.drawn(found, width=8))
    assert lines[1:] == ["      1  ████████ 100%", "      2  ██        25%"]


def make(*, lines: bool = False, unknown: bool = False, **shape) -> Model:
    settings = ModelSettings(**{"hidden_size": 16, "num_layers": 1, **shape})
    vocabulary = Vocabulary.of("abcdefgh\n", unknown=unknown)
    weights = initial_weights(settings, vocabulary.size, seed=1)
    weights = {name: 2 * values for name, values in weights.items()}
    training = TrainingSettings(batches="lines") if lines else None
    provenance = Provenance(training=training)
    return Model(settings, vocabulary, weights, provenance, precision="float32")


def letters(count: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list("abcdefgh"), count))


def test_a_network_that_sees_one_character_looks_one_character_back():
    made = make(cell="rnn")
    forgetful = np.zeros((16, 16), np.float32)  # it forgets all but the last character
    weights = {**made.weights, "rnn.weight_hh_l0": forgetful}
    model = Model(made.settings, made.vocabulary, weights, precision="float32")
    found = reach.measure(model, [letters(500)], ReachSettings(distance=8, places=64))
    near, *far = found.by_distance
    assert near.bits_moved > 0.1
    assert all(step.bits_moved == pytest.approx(0, abs=1e-9) for step in far)
    assert all(step.changed == 0 for step in far)
    for step in found.by_distance:
        assert step.bits_with_context == pytest.approx(found.bits, abs=1e-4)


def test_a_context_of_n_characters_has_n_characters():
    model, text = make(), letters(60)
    settings = ReachSettings(distance=4, places=10_000, characters=100)
    found = reach.measure(model, [text], settings)
    for step in found.by_distance:
        bits = []
        for at in range(5, 60):
            trace = model.trace(text[at - step.distance : at + 1])
            bits.append(trace.bits[-1])
        assert step.bits_with_context == pytest.approx(np.mean(bits), abs=1e-5)


def test_all_of_the_context_is_the_score_itself():
    model, text = make(), letters(100)
    settings = ReachSettings(distance=64, places=10_000, characters=100)
    found = reach.measure(model, [text[:40], text[40:]], settings)
    assert found.places == 99 - 64
    bits = [part.bits for part in model.score(text)][65:]
    assert found.bits == pytest.approx(np.mean(bits), abs=1e-5)
    longer = ReachSettings(distance=128, places=10_000, characters=100)
    whole = reach.measure(model, [text], longer)  # a context that is longer than the text
    assert whole.places == 99
    assert whole.by_distance[-1].bits_with_context == pytest.approx(whole.bits, abs=1e-5)


def test_altering_a_character_is_what_two_readings_by_hand_show():
    model, text = make(), letters(60)
    ids = model.vocabulary.encode(text).astype(np.int32)
    at, n = np.array([50]), 3
    usual = reach._predictions(model, ids, at, np.array([0]))
    found = reach._predictions(
        model, ids, at, np.array([0]), (at - n, model.vocabulary.encode("e").astype(np.int32))
    )
    changed = list(text)
    changed[47] = "e"
    for which, text_read in ((usual, text), (found, "".join(changed))):
        expected = model.trace(text_read[:50], alternatives=99)
        by_id = np.empty(model.vocabulary.size)
        by_id[expected.expected[-1]] = expected.expected_log_probability[-1]
        assert_allclose(which[0], by_id, atol=1e-5)


def test_a_model_of_lines_looks_no_further_than_its_line():
    model = make(lines=True)
    text = "".join(letters(7, seed) + "\n" for seed in range(60))
    found = reach.measure(model, [text], ReachSettings(distance=16, places=400))
    assert [step.places > 0 for step in found.by_distance] == [True, True, True, False, False]
    for step in found.by_distance[3:]:
        assert step.bits_with_context == pytest.approx(found.bits, abs=1e-5)
    assert list(reach.drawn(found))


def test_unknown_characters_are_charged_in_every_context():
    model = make(unknown=True)
    found = reach.measure(model, [letters(200).replace("a", "§")], ReachSettings(distance=4))
    assert found.by_distance[-1].bits_with_context == pytest.approx(found.bits, rel=0.2)


def test_a_text_without_anything_to_exchange_is_refused():
    with pytest.raises(TextError, match="over and over"):
        reach.measure(make(), ["a" * 50], ReachSettings(distance=2))
    with pytest.raises(TextError, match="at least 3"):
        reach.measure(make(), ["a"], ReachSettings(distance=2))
