"""What is copied: n-grams and spans against brute force, and which part is the yardstick."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import messages, warned

import charloom
from charloom.errors import SettingsError
from charloom.model.copying import Novelty, copied
from charloom.text.copies import CopyIndex

TEXTS = st.lists(st.text("abc", max_size=25), min_size=1, max_size=4)


def grams(text: str, n: int) -> list[str]:
    return [text[i : i + n] for i in range(len(text) - n + 1)]


@settings(deadline=None)
@given(st.text("abc", max_size=60), TEXTS, st.integers(1, 6))
def test_the_share_of_new_n_grams_is_that_of_counting(indexed, texts, n):
    found = Novelty.of(texts, CopyIndex.of([indexed]))
    each = [gram for text in texts for gram in grams(text, n)]
    expected = sum(gram not in indexed for gram in each) / len(each) if each else None
    assert found.new(n) == expected
    assert found.characters == sum(map(len, texts))


@settings(deadline=None)
@given(st.text("abc", max_size=60), TEXTS, st.integers(1, 6))
def test_marked_are_the_characters_of_copied_spans_of_some_length(indexed, texts, least):
    found = Novelty.of(texts, CopyIndex.of([indexed])).spans(least)
    for text, spans in zip(texts, found, strict=True):
        marked = {i for start, stop in spans for i in range(start, stop)}
        expected = {
            i + k for i, g in enumerate(grams(text, least)) if g in indexed for k in range(least)
        }
        assert marked == expected
        assert all(b < c for (_, b), (c, _) in pairwise(spans))


@settings(deadline=None)
@given(st.text("abc", max_size=60), TEXTS)
def test_the_longest_span_is_the_longest_that_stands_in_the_text(indexed, texts):
    found = Novelty.of(texts, CopyIndex.of([indexed])).longest(5)
    every = [t[i:j] for t in texts for i in range(len(t)) for j in range(i + 1, len(t) + 1)]
    longest = max((len(part) for part in every if part in indexed), default=0)
    assert (len(found[0].text) if found else 0) == longest
    assert [len(one.text) for one in found] == sorted((len(o.text) for o in found), reverse=True)
    places = set()
    for one in found:
        assert texts[one.number - 1][one.start :].startswith(one.text)
        assert one.text in indexed
        mine = {(one.number, one.start + k) for k in range(len(one.text))}
        assert 2 * len(mine & places) < len(mine)
        places |= mine


BOOK = " ".join(Random(0).choices(["the", "fox", "and", "crow", "saw", "a", "dog"], k=900))


@pytest.fixture(scope="module")
def model() -> charloom.Model:
    return trained(BOOK, "streams")


def trained(text: str, batches: str, **options) -> charloom.Model:
    return charloom.train(
        charloom.InMemory(text),
        model=charloom.ModelSettings(hidden_size=8, num_layers=1),
        training=charloom.TrainingSettings(steps=10, batches=batches),
        start_from=None,
        **options,
    ).finish()


def test_what_was_held_out_is_the_yardstick_and_not_indexed(model):
    cut = int(len(BOOK) * 0.9)
    samples = "the quick " + BOOK[100:150]
    found = copied(model, charloom.InMemory(BOOK), samples, sizes=(3, 12))
    index = CopyIndex.of([BOOK[:cut]])
    assert found.held_out is not None
    assert found.held_out.texts == (BOOK[cut : cut + 60],)
    assert found.held_out.new(12) == Novelty.of([BOOK[cut : cut + 60]], index).new(12)
    assert found.samples.longest(1)[0].text.endswith(BOOK[100:150])
    facts = found.to_json(spans=1)
    assert facts["new_ngrams"][1] == {
        "n": 12,
        "samples": found.samples.new(12),
        "held_out": found.held_out.new(12),
    }
    assert (facts["samples_characters"], facts["held_out_characters"]) == (60, 60)
    assert facts["copied_lines"] is None


def test_the_model_generates_samples_where_none_are_given(model):
    sampling = charloom.SamplingSettings(seed=4)
    found = copied(model, charloom.InMemory(BOOK), count=3, length=70, sampling=sampling)
    assert list(found.samples.texts) == model.generate_many(count=3, length=70, seed=4)
    assert found.held_out is not None
    assert found.held_out.characters == 210


def test_another_text_is_told_of_and_all_of_it_is_indexed(model):
    other = BOOK.replace("dog", "cat")
    with warned("not the text that the model was trained on"):
        found = copied(model, charloom.InMemory(other), other[-50:])
    assert found.held_out is None
    assert found.samples.longest(1)[0].text == other[-50:]
    with messages() as told:
        found = copied(model, charloom.InMemory(other), "the cat", held_out="a cat saw the cow")
    assert len(told) == 1
    assert found.held_out is not None
    assert found.held_out.texts == ("a cat s",)


def test_a_text_with_a_validation_text_of_its_own_is_indexed_whole():
    own = trained(BOOK, "streams", validation=charloom.InMemory("a fox saw the dog " * 9))
    with messages() as told:
        found = copied(own, charloom.InMemory(BOOK), BOOK[-40:])
    assert told == []
    assert found.held_out is None
    assert found.samples.longest(1)[0].text == BOOK[-40:]


def test_lines_that_are_copied_whole_are_counted():
    names = sorted({"".join(Random(n).choices("abcdefgh", k=6)) for n in range(400)})
    model = trained("\n".join(names) + "\n", "lines")
    with messages() as told:
        found = copied(model, charloom.InMemory("\n".join(names) + "\n"), "\n".join(names))
    assert told == []
    held_out = found.held_out
    assert held_out is not None
    assert 10 < len(held_out.texts) < 90
    assert set(held_out.texts) < set(names)
    # the first and the last line of the text, too, are whole lines
    assert found.copied_lines == 1 - len(held_out.texts) / len(names)
    found = copied(model, charloom.InMemory("\n".join(names) + "\n"), names[0][:-1] + "\n")
    assert found.copied_lines == 0.0
    assert found.samples.texts == (names[0][:-1],)


def test_bytes_are_read_as_characters():
    text = "über ähren öl " * 60
    model = charloom.train(
        charloom.InMemory(text),
        model=charloom.ModelSettings(hidden_size=8, num_layers=1),
        training=charloom.TrainingSettings(steps=5),
        text=charloom.TextSettings(vocabulary="bytes"),
        start_from=None,
    ).finish()
    with messages() as told:
        found = copied(model, charloom.InMemory(text), "über ähren und öl")
    assert told == []
    assert found.samples.longest(1)[0].text == "über ähren "
    assert found.held_out is not None
    assert found.held_out.characters == 17


def test_sizes_that_make_no_sense_are_refused(model):
    for sizes in ((), (0,), (5, -1)):
        with pytest.raises(SettingsError, match=r"sizes: .* was given; .*at least 1"):
            copied(model, charloom.InMemory(BOOK), "the fox", sizes=sizes)
