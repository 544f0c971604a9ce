"""Candidates: planted units are found at once, and noise is not given a name."""

from __future__ import annotations

import planted
import pytest

from charloom.errors import TextError
from charloom.inspection.units.candidates import candidates
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

TEXT = planted.text(3000, seed=1)


def test_planted_units_are_found_first_and_by_their_names():
    found = candidates(planted.model(), TEXT)
    units = {one.label: one for one in found}
    assert (units["inside quotes"].unit, units["inside quotes"].named) == (planted.QUOTES, True)
    assert (units["bracket depth"].unit, units["bracket depth"].named) == (planted.BRACKETS, True)
    named = [one.named for one in found]
    assert named == sorted(named, reverse=True)
    scores = [one.score for one in found if one.named and not one.label.startswith("next is")]
    assert scores == sorted(scores, reverse=True)


def test_only_articles_and_headlines_are_candidates():
    assert {one.quantity for one in candidates(planted.model(), TEXT)} <= {"C_t", "h_t"}


def test_a_network_that_cannot_know_it_is_not_said_to_follow_quotes():
    noise = planted.model(hidden_size=12, seed=4)
    weights = {name: array.copy() for name, array in noise.weights.items()}
    for k in range(4):  # the planted rows become those of noise
        for name in ("lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_l0"):
            weights[name][12 * k : 12 * k + 3] = weights[name][12 * k + 3 : 12 * k + 6]
    units = {one.label: one for one in candidates(noise.with_weights(weights), TEXT)}
    assert not units["inside quotes"].named


def test_a_text_of_bytes_has_a_label_for_every_byte():
    vocabulary = Vocabulary.bytes()
    model = Model.untrained(ModelSettings(hidden_size=4, num_layers=1), vocabulary)
    assert candidates(model, "é no “a” b. " * 60)


def test_a_text_that_is_too_short_is_refused_and_in_one_without_change_nothing_has_a_name():
    model = planted.model()
    with pytest.raises(TextError, match="200 are the fewest"):
        candidates(model, "abc")
    assert not any(one.named for one in candidates(model, "a" * 400))
