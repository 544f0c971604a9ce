"""Two models on one text: paired by character, spread by block, and told by word."""

from __future__ import annotations

import math

import numpy as np
import pytest
from messages import warned

from charloom.errors import SettingsError, TextError
from charloom.model.comparison import BLOCKS, Comparison, _interval, compare
from charloom.model.model import Model
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TextSettings, TrainingSettings
from charloom.text.vocabulary import Vocabulary

TEXT = "the fox and the crow sat on a tree\n" * 60
KNOWN = Vocabulary.of(TEXT, unknown=True)


def a_model(seed: int = 0, vocabulary: Vocabulary = KNOWN, **record) -> Model:
    shape = ModelSettings(hidden_size=6, num_layers=1)
    untrained = Model.untrained(shape, vocabulary, seed=seed, precision="float32")
    return Model(shape, vocabulary, untrained.weights, Provenance(**record), precision="float32")


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(a_model(1), a_model(2), TEXT, places=2**16)


def test_a_model_compared_with_itself_does_not_differ():
    found = compare(a_model(), a_model(), TEXT)
    assert found.difference == 0
    assert found.interval == (0, 0)
    assert found.a_better == found.b_better == ()


def test_the_bits_are_those_of_evaluate(found):
    assert found.a == a_model(1).evaluate(TEXT, exact=True)
    assert found.b == a_model(2).evaluate(TEXT, exact=True)
    assert found.difference == found.b.bits_per_character - found.a.bits_per_character
    low, high = found.interval
    assert low < found.difference < high


def test_exchanging_the_models_exchanges_everything(found):
    other = compare(a_model(2), a_model(1), TEXT, places=2**16)
    assert other.difference == -found.difference
    assert other.interval == pytest.approx((-found.interval[1], -found.interval[0]))
    assert [(p.start, p.bits_b, p.bits_a) for p in other.a_better] == [
        (p.start, p.bits_a, p.bits_b) for p in found.b_better
    ]


def test_the_words_add_up_to_the_difference_and_come_by_size(found):
    places = [*found.a_better, *found.b_better]
    assert len({place.start for place in places}) == len(places)
    assert all(TEXT.startswith(place.text, place.start) for place in places)
    total = sum(place.bits_b - place.bits_a for place in places)
    assert total == pytest.approx(found.difference * len(TEXT))
    for better, sign in ((found.a_better, 1), (found.b_better, -1)):
        gains = [sign * (place.bits_b - place.bits_a) for place in better]
        assert min(gains) > 0
        assert gains == sorted(gains, reverse=True)
    few = compare(a_model(1), a_model(2), TEXT, places=2)
    assert few.a_better == found.a_better[:2]
    assert few.b_better == found.b_better[:2]


def test_the_interval_by_hand():
    means = np.arange(BLOCKS) * 0.1
    difference = np.repeat(means, 100)
    half = 2.093 * means.std(ddof=1) / math.sqrt(BLOCKS)
    assert _interval(difference) == pytest.approx((0.95 - half, 0.95 + half))
    assert _interval(difference[: 20 * 100 - 1]) is None


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        slow = np.repeat(random.normal(size=400), 20)  # neighbors are alike
        low, high = _interval(0.3 + slow + random.normal(size=8000))
        hits += low < 0.3 < high
    assert 0.92 < hits / 400 < 0.98


def test_models_of_other_vocabularies_and_of_lines_are_compared():
    text = "the fox é\nand\na crow"
    lines = {"training": TrainingSettings(batches="lines")}
    with warned("é"):
        found = compare(a_model(vocabulary=Vocabulary.bytes()), a_model(**lines), TEXT + text)
    assert found.a.characters == found.b.characters == len(TEXT + text + "\n")
    assert found.b.unknown_characters == 1
    assert found.interval is not None


def test_a_short_text_has_no_interval():
    found = compare(a_model(1), a_model(2), "the fox and the crow")
    assert found.interval is None
    assert found.difference != 0


def test_what_cannot_be_compared_is_refused():
    composed = a_model(text=TextSettings(normalization="nfc"))
    for pair in ((composed, a_model()), (a_model(), composed)):
        compare(*pair, TEXT[:100])
    with pytest.raises(TextError, match="do not read this text as the same characters"):
        compare(a_model(), composed, "e\u0301 fox")
    with warned("é"):
        assert compare(composed, a_model(), "e\u0301 fox").a.characters == 5
    with pytest.raises(SettingsError, match="places: -1 was given"):
        compare(a_model(), a_model(), TEXT, places=-1)
