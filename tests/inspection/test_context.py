"""Context: how far back a trained model looks in a text."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError, TextError
from charloom.inspection.memory import context
from charloom.inspection.settings import ContextSettings
from charloom.model.model import Model
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TrainingSettings
from charloom.text.vocabulary import Vocabulary


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
    found = context.context(model, [letters(500)], distance=8, places=64)
    near, *far = found.by_distance
    assert near.bits_moved > 0.1
    assert all(step.bits_moved == pytest.approx(0, abs=1e-9) for step in far)
    assert all(step.changed == 0 for step in far)
    for step in found.by_distance:
        assert step.bits_with_context == pytest.approx(found.bits, abs=1e-4)


def test_a_context_of_n_characters_has_n_characters():
    model, text = make(), letters(60)
    found = context.context(model, text, distance=4, places=10_000, characters=100)
    for step in found.by_distance:
        bits = []
        for at in range(5, 60):
            trace = model.trace(text[at - step.distance : at + 1])
            bits.append(trace.bits[-1])
        assert step.bits_with_context == pytest.approx(np.mean(bits), abs=1e-5)


def test_all_of_the_context_is_the_score_itself():
    model, text = make(), letters(100)
    every = {"places": 10_000, "characters": 100}
    found = context.context(model, [text[:40], text[40:]], distance=64, **every)
    assert found.places == 99 - 64
    bits = [part.bits for part in model.score(text)][65:]
    assert found.bits == pytest.approx(np.mean(bits), abs=1e-5)
    # a context that is longer than the text
    whole = context.context(model, text, distance=128, **every)
    assert whole.places == 99
    assert whole.by_distance[-1].bits_with_context == pytest.approx(whole.bits, abs=1e-5)


def test_replacing_a_character_is_what_two_readings_by_hand_show():
    model, text = make(), letters(60)
    ids = model.vocabulary.encode(text).astype(np.int32)
    at, n = np.array([50]), 3
    usual = context._predictions(model, ids, at, np.array([0]))
    found = context._predictions(
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
    found = context.context(model, [text], distance=16, places=400)
    assert [step.places > 0 for step in found.by_distance] == [True, True, True, False, False]
    for step in found.by_distance[3:]:
        assert step.bits_with_context == pytest.approx(found.bits, abs=1e-5)
    assert list(context.table(found))


def test_unknown_characters_are_charged_in_every_context():
    model = make(unknown=True)
    found = context.context(model, [letters(200).replace("a", "§")], distance=4)
    assert found.by_distance[-1].bits_with_context == pytest.approx(found.bits, rel=0.2)


def test_a_text_with_nothing_to_replace_a_character_is_refused():
    with pytest.raises(TextError, match="over and over"):
        context.context(make(), ["a" * 50], distance=2)
    with pytest.raises(TextError, match="at least 3"):
        context.context(make(), ["a"], distance=2)


def test_distances_are_powers_of_two_up_to_the_longest():
    found = context.context(make(), letters(200), distance=20)
    assert [step.distance for step in found.by_distance] == [1, 2, 4, 8, 16]
    assert ContextSettings().distance == 256


def test_a_text_may_be_a_string_pieces_or_a_file(tmp_path):
    (tmp_path / "text.txt").write_text(letters(200), encoding="utf-8")
    whole = context.context(make(), letters(200), distance=4)
    assert context.context(make(), [letters(200)[:7], letters(200)[7:]], distance=4) == whole
    assert context.context(make(), tmp_path / "text.txt", distance=4) == whole
    with pytest.raises(SettingsError, match="reach is not a setting"):
        context.context(make(), letters(200), reach=4)
