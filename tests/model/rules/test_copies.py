"""No copied spans: against brute force, in proportion, from prompts, in bytes, and ends."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest

import charloom
from charloom.errors import SettingsError
from charloom.model.rules.copies import NoCopies
from charloom.settings import ModelSettings, TextSettings, TrainingSettings
from charloom.text.copies import CopyIndex
from charloom.text.vocabulary import Vocabulary

BOOK = " ".join(Random(0).choices(["the", "fox", "and", "crow", "saw", "a", "dög"], k=400))


def trained(**text) -> charloom.Model:
    return charloom.train(
        charloom.InMemory(BOOK),
        model=ModelSettings(hidden_size=24, num_layers=1),
        training=TrainingSettings(steps=60, batches="streams", learning_rate=0.02),
        text=TextSettings(**text),
        start_from=None,
    ).finish()


@pytest.fixture(scope="module")
def model() -> charloom.Model:
    return trained()


def copied(text: str, n: int) -> list[str]:
    return [text[i : i + n] for i in range(len(text) - n + 1) if text[i : i + n] in BOOK]


@pytest.mark.parametrize("n", [4, 9])
def test_no_n_characters_of_a_text_are_copied(model, n):
    rule = NoCopies(CopyIndex.of([BOOK]), n)
    free = model.generate_many(count=8, length=120, seed=1)
    texts = model.generate_many(count=8, length=120, seed=1, rule=rule)
    assert all(copied(text, n) for text in free)
    assert [copied(text, n) for text in texts] == [[]] * 8
    assert {len(text) for text in texts} == {120}
    assert all(copied(text, n - 1) for text in texts)  # no more is forbidden than that
    assert "".join(model.generate(length=120, seed=1, rule=rule)) == texts[0]


def test_no_span_begins_in_the_prompt(model):
    prompt, n = BOOK[:30], 9
    without = NoCopies(CopyIndex.of([BOOK]), n)
    with_prompt = NoCopies(CopyIndex.of([BOOK]), n, after=prompt)
    texts = model.generate_many(prompt, count=30, length=8, seed=2, rule=without)
    assert any(copied((prompt + text)[30 - n + 1 :], n) for text in texts)
    texts = model.generate_many(prompt, count=30, length=8, seed=2, rule=with_prompt)
    assert not any(copied((prompt + text)[30 - n + 1 :], n) for text in texts)


def test_what_is_left_keeps_its_proportions(model):
    prompt = "the fo"  # "the fox" stands in the book
    rule = NoCopies(CopyIndex.of([BOOK]), 7, after=prompt)
    expected = model.next(prompt)
    del expected["x"]
    drawn = Counter(model.generate_many(prompt, count=4000, length=1, seed=3, rule=rule))
    left = sum(p for c, p in expected.items() if len(c) == 1 and c in model.vocabulary.mapping)
    assert "x" not in drawn
    for character, p in expected.items():
        if character in model.vocabulary.mapping:
            share = p / left
            error = math.sqrt(share * (1 - share) / 4000)
            assert abs(drawn[character] / 4000 - share) <= 5 * error + 1e-3


def test_bytes_of_a_character_are_looked_up_together():
    model = trained(vocabulary="bytes")
    rule = NoCopies(CopyIndex.of([BOOK]), 6)
    texts = model.generate_many(count=8, length=150, seed=1, rule=rule)
    assert "ö" in "".join(texts)
    assert [copied(text, 6) for text in texts] == [[]] * 8


def test_a_line_may_end_and_knows_nothing_of_the_line_before():
    names = "\n".join("".join(Random(n).choices("abc", k=5)) for n in range(100)) + "\n"
    model = charloom.train(
        charloom.InMemory(names),
        model=ModelSettings(hidden_size=8, num_layers=1),
        training=TrainingSettings(steps=10, batches="lines"),
        start_from=None,
    ).finish()
    index = CopyIndex.of([names])
    made = model.generate_many(count=50, length=20, seed=1, rule=NoCopies(index, 4))
    assert not [name for name in made for i in range(len(name) - 3) if name[i : i + 4] in names]
    assert any(len(name) < 20 for name in made)
    bound = NoCopies(index, 4, after="xyz\nab").bound(model.predictor, ["\n"])
    assert bound.after == "ab"


def test_a_text_ends_where_everything_would_be_a_copy():
    model = charloom.Model.untrained(ModelSettings(hidden_size=4), Vocabulary.of("ab"))
    every = CopyIndex.of(["aabba"])
    assert model.generate_many(count=3, length=9, seed=1, rule=NoCopies(every, 2)) != []
    texts = model.generate_many(count=3, length=9, seed=1, rule=NoCopies(every, 2))
    assert {len(text) for text in texts} == {1}  # after a and after b both have stood
    assert "".join(model.generate("a", length=9, rule=NoCopies(every, 2, after="a"))) == ""


def test_one_character_is_no_span():
    with pytest.raises(SettingsError, match="no_copies: 1 was given; it must be at least 2"):
        NoCopies(CopyIndex.of([BOOK]), 1)
