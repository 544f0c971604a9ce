"""The most probable continuations, against all continuations of a small alphabet."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import fox_model, scaled_model

from charloom import Model
from charloom.errors import SettingsError
from charloom.model.completion import likeliest
from charloom.model.storage.provenance import Provenance
from charloom.settings import TrainingSettings
from charloom.text.vocabulary import Vocabulary


def every(model: Model, prompt: str, stops: list[str], length: int) -> list[tuple[float, str]]:
    """The nats of every continuation, by the surprisal of whole texts."""
    found: dict[tuple[str, str], float] = {}
    for text in map("".join, itertools.product(model.vocabulary.characters, repeat=length)):
        ends = [(text.find(s) + len(s), text.find(s)) for s in stops if s in text]
        end, start = min(ends, default=(length, length))
        raw = text[:end]
        if (raw, text[:start]) not in found:
            parts = list(model.score(prompt + raw))
            found[raw, text[:start]] = sum(part.nats for part in parts[len(prompt) :])
    return sorted((nats, shown) for (_, shown), nats in found.items())


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.integers(1, 12), st.integers(1, 4))
def test_they_are_those_of_a_full_enumeration(seed, n, length):
    model = scaled_model(seed=seed)
    stops = [["."], ["ab", "."], []][seed % 3]
    found = model.complete("ba", n=n, until=stops, length=length)
    expected = every(model, "ba", stops, length)[:n]
    assert found.complete and len(found.continuations) == len(expected)
    for one, (nats, text) in zip(found.continuations, expected, strict=True):
        assert one.nats == pytest.approx(nats, abs=1e-4)
        near = [text for other, text in expected if abs(other - nats) < 1e-4]
        assert one.text in near or text == one.text


def test_all_continuations_together_have_the_probability_one():
    found = scaled_model().complete("a", n=1000, until=".", length=5)
    assert (found.total == pytest.approx(1, abs=1e-6) and found.bound < 1e-9) or found.complete
    assert len(found.continuations) == 1 + 2 + 4 + 8 + 16 + 32
    assert {one.text for one in found.continuations if not one.stopped} == {
        "".join(t) for t in itertools.product("ab", repeat=5)
    }


def test_an_unknown_character_stands_in_no_continuation():
    found = scaled_model(unknown=True).complete("a", n=1000, until=".", length=3)
    assert found.total < 1 and all("\ufffd" not in one.text for one in found.continuations)


def test_a_search_that_is_stopped_early_says_what_it_may_have_missed():
    model = scaled_model("abcdefgh .", scale=1)
    short = model.complete("a", n=5, until=".", length=8, most=3)
    whole = model.complete("a", n=5, until=".", length=8, most=10**6)
    assert not short.complete and whole.complete and short.opened <= 3 < whole.opened
    missed = {one.text: one.probability for one in whole.continuations}
    for one in short.continuations:
        missed.pop(one.text, None)
    assert all(share <= short.bound for share in missed.values())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300), st.integers(0, 9))
def test_the_bound_holds_wherever_the_search_stops(most, seed):
    model = scaled_model(seed=seed, scale=2)
    found = model.complete("a", n=4, until=".", length=6, most=most)
    rest = every(model, "a", ["."], 6)
    listed = {one.text + "." * one.stopped for one in found.continuations}
    for nats, text in rest:
        if text not in listed and text + "." not in listed:
            assert math.exp(-nats) <= found.bound * (1 + 1e-4)


def test_the_beam_does_not_hide_better_ones():
    """A prefix that is improbable and a certain end after it beat many probable beginnings."""
    model = scaled_model()
    for seed in range(20):
        model = scaled_model("abcd.", seed=seed, scale=6)
        found = model.complete("", n=2, until=".", length=4)
        assert found.complete
        expected = every(model, "", ["."], 4)[:2] if seed < 3 else None
        if expected:
            assert found.continuations[0].nats == pytest.approx(expected[0][0], abs=1e-4)


def test_a_model_of_lines_ends_them_at_the_end_of_the_line():
    base = scaled_model("ab\n")
    lines = Provenance(training=TrainingSettings(batches="lines"))
    model = Model(base.settings, base.vocabulary, base.weights, lines)
    found = model.complete("a", n=5, length=6)
    assert found.complete and all("\n" not in one.text for one in found.continuations)
    assert any(one.stopped for one in found.continuations)


def test_bytes_and_states_and_precision_change_nothing_that_is_promised():
    model = fox_model(Vocabulary.bytes())
    assert model.complete("é", n=3, length=2, most=300).continuations
    model = fox_model()
    after = model.complete(" fox", n=3, length=2, state=model.state_after("the"))
    at_once = model.complete("the fox", n=3, length=2)
    np.testing.assert_allclose(
        [one.nats for one in after.continuations], [one.nats for one in at_once.continuations], 1e-5
    )


def test_wrong_amounts_are_refused():
    for wrong in ({"n": 0}, {"length": 0}, {"most": 0}):
        with pytest.raises(SettingsError, match=rf"{next(iter(wrong))}: 0 was given"):
            scaled_model().complete("a", **wrong)
    with pytest.raises(SettingsError, match="until: '' was given"):
        scaled_model().complete("a", until="")
    assert likeliest.Continuations(continuations=[], bound=0.0, opened=0).complete
