"""Fills of a gap, against Bayes' rule over every fill of a small alphabet."""

from __future__ import annotations

import itertools
import math

import pytest
from models import fox_model, scaled_model

from charloom import Model
from charloom.errors import SettingsError
from charloom.model.completion import filling
from charloom.model.storage.provenance import Provenance
from charloom.settings import TrainingSettings
from charloom.text.vocabulary import Vocabulary


def exactly(model: Model, left: str, right: str, length: int) -> dict[str, float]:
    """p(fill | left, right) of every fill, by the surprisal of whole texts."""
    joint = {}
    for size in range(1, length + 1):
        for fill in map("".join, itertools.product(model.vocabulary.characters, repeat=size)):
            parts = list(model.score(left + fill + right))[len(left) :]
            joint[fill] = math.exp(-sum(part.nats for part in parts))
    total = sum(joint.values())
    return {fill: share / total for fill, share in joint.items()}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_probabilities_are_those_of_bayes_rule(seed):
    model = scaled_model("ab.", seed=seed, scale=2)
    expected = exactly(model, "ab", ".ba", 3)
    found = model.fill("ab___.ba", n=100, length=3, samples=2000)
    assert len(found) >= 10
    for one in found:
        assert one.probability == pytest.approx(expected[one.text], rel=0.05, abs=0.003)
    best = max(expected, key=lambda fill: expected[fill])
    assert found[0].text == best


def test_what_was_not_drawn_is_counted():
    model = scaled_model("abcdefgh.", scale=1)
    expected = exactly(model, "ab", ".", 2)
    few = model.fill("ab___.", n=100, length=2, samples=8, seed=3)
    assert sum(one.probability for one in few) < 0.8
    found = {one.text: one.probability for one in few}
    assert all(share < 3 * expected[fill] for fill, share in found.items())


def test_the_right_side_counts():
    """A model that has learned two phrases fills by the word that comes after."""
    import charloom

    text = "the red fox ran. the big cow sat. " * 60
    settings = charloom.TrainingSettings(steps=80, batch_size=8, sequence_length=32)
    shape = charloom.ModelSettings(hidden_size=32, num_layers=1)
    model = charloom.train(charloom.InMemory(text), model=shape, training=settings).finish()
    assert model.fill("the ___ fox ran.", length=5)[0].text == "red"
    assert model.fill("the ___ cow sat.", length=5)[0].text == "big"


def test_in_a_model_of_lines_the_end_of_the_line_is_the_right_side():
    base = scaled_model("ab\n", scale=4)
    lines = Provenance(training=TrainingSettings(batches="lines"))
    model = Model(base.settings, base.vocabulary, base.weights, lines)
    found = model.fill("ab___", n=50, length=4)
    assert found and all("\n" not in one.text for one in found)
    same = model.fill("a\nab___\nbb", n=50, length=4)
    assert [one.text for one in same] == [one.text for one in found]


def test_a_fill_of_bytes_is_whole_characters():
    found = fox_model(Vocabulary.bytes()).fill("é___ß", n=500, length=3)
    assert found and all("\ufffd" not in one.text for one in found)


def test_far_sides_do_not_underflow():
    model = fox_model()
    found = model.fill("the fox" + "___" + "x" * 200, n=3, length=3)
    assert 0 < found[0].probability <= 1 and filling.LOOK == 40


def test_a_gap_that_is_none_is_refused():
    model = fox_model()
    for text in ("the fox", "___ and ___"):
        with pytest.raises(SettingsError, match=r"gap: .* must stand in the text once"):
            model.fill(text)
    with pytest.raises(SettingsError, match="gap: ''"):
        model.fill("the", gap="")
    with pytest.raises(SettingsError, match="nothing stands after the gap"):
        model.fill("the ___")
    with pytest.raises(SettingsError, match="nothing stands before the gap"):
        scaled_model("ab").fill("___ab")
    with pytest.raises(SettingsError, match="length: 0"):
        model.fill("a___b", length=0)
