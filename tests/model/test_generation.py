"""Texts from a model: the same for the same seed, however they are cut or batched."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import messages, warned
from predictors import predictor

from charloom.engines.base import State
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError, UnknownCharacterError
from charloom.model import generation
from charloom.model import predictor as predictors
from charloom.model.generation import generate, generate_many
from charloom.settings import ModelSettings, SamplingSettings
from charloom.text.vocabulary import Vocabulary

KNOWN = Vocabulary.of("abc d\n", unknown=True)
SHAPE = ModelSettings(hidden_size=6, num_layers=2)


def an_engine(vocabulary: Vocabulary = KNOWN) -> ReferenceEngine:
    weights = initial_weights(SHAPE, vocabulary.size, seed=2)
    weights = {name: 3 * weight for name, weight in weights.items()}
    return ReferenceEngine(SHAPE, vocabulary.size, weights)


def an_engine_without_memory(probabilities: dict[str, float]) -> ReferenceEngine:
    """Every character is drawn from one distribution, whatever stands before it."""
    weights = {name: np.zeros_like(w) for name, w in ENGINE.weights().items()}
    for character, p in probabilities.items():
        weights["head.bias"][KNOWN.encode(character)[0]] = np.log(p)
    return ReferenceEngine(SHAPE, KNOWN.size, weights)


ENGINE = an_engine()


class Reciting:
    """Not a network: it generates a text, whatever it has read."""

    def __init__(self, vocabulary: Vocabulary, text: str | bytes) -> None:
        ids = list(text) if isinstance(text, bytes) else vocabulary.encode(text)
        self.ids = np.array([*ids, *[0] * 100], np.int32)

    settings = ModelSettings(hidden_size=1, num_layers=1)

    def zero_state(self, streams):
        return State.zeros(self.settings, streams)

    def surprisal(self, inputs, targets, state):
        raise AssertionError("a prompt of one character is not read ahead")

    def generate(self, last, state, length, sampling, seeds, start, forbidden=(), restriction=None):
        drawn = self.ids[start : start + length]
        return np.repeat(drawn[:, None], len(last), axis=1), state


def recited(text: str, lines: bool = False, **options) -> str:
    vocabulary = Vocabulary.of(text + "\n")
    return "".join(generate(predictor(Reciting(vocabulary, text), vocabulary, lines), **options))


def drawn(prompt: str = "a", *, engine=ENGINE, length: int = 60, **sampling) -> str:
    chosen = SamplingSettings(**sampling)
    return "".join(generate(predictor(engine, KNOWN), prompt, length=length, sampling=chosen))


def test_the_same_seed_gives_the_same_text_and_another_another():
    assert drawn(seed=1) == drawn(seed=1)
    assert drawn(seed=1) != drawn(seed=2)


def test_a_text_has_the_length_that_was_asked_for():
    for length in (0, 1, 2, 15, 16, 17, 100):
        assert len(drawn(length=length)) == length
    assert drawn(length=100).startswith(drawn(length=17))


@pytest.mark.parametrize("longest", [1, 3, 1000])
def test_a_text_does_not_depend_on_its_pieces(monkeypatch, longest):
    whole = drawn(seed=5)
    monkeypatch.setattr(generation, "_LONGEST_PIECE", longest)
    assert drawn(seed=5) == whole


def test_a_text_comes_in_short_pieces_the_first_of_one_character():
    sizes = [len(piece) for piece in generate(predictor(ENGINE, KNOWN), "a", length=100)]
    assert sizes[0] == 1
    assert max(sizes) == 16
    assert sum(sizes) == 100


@pytest.mark.parametrize("stop", [None, "b", ["da", "cc"]])
@pytest.mark.parametrize("lines", [False, True])
def test_many_texts_equal_single_ones(monkeypatch, stop, lines):
    options = {"length": 40, "stop": stop}
    reader = predictor(ENGINE, KNOWN, lines)
    many = generate_many(reader, "ab", count=6, **options)
    assert generate_many(reader, "ab", count=3, **options) == many[:3]
    seeds = generation.stream_seeds(SamplingSettings().seed, 6)
    for text, seed in zip(many, seeds, strict=True):
        alone = np.array([seed])
        monkeypatch.setattr(generation, "stream_seeds", lambda *_, alone=alone: alone)
        assert "".join(generate(reader, "ab", **options)) == text


def test_without_temperature_the_likeliest_is_taken():
    context = "\nab"
    text = drawn(context, temperature=0, length=8)
    for n in range(8):
        ids = KNOWN.encode(context + text[:n]).astype(np.int32)
        logits, _ = ENGINE.logits(ids[:, None], State.zeros(SHAPE, 1))
        assert KNOWN.encode(text[n])[0] == logits[-1, 0, :-1].argmax()


def test_a_long_prompt_is_read_to_its_end(monkeypatch):
    prompt = "abc dab\n" * 5
    whole = drawn(prompt)
    monkeypatch.setattr(predictors, "_BLOCK", 7)
    assert drawn(prompt) == whole
    assert drawn(prompt[-1:]) != whole


def frequencies(p: dict[str, float], **sampling) -> dict[str, float]:
    texts = generate_many(
        predictor(an_engine_without_memory(p), KNOWN),
        "a",
        count=100,
        length=60,
        sampling=SamplingSettings(**sampling),
    )
    counts = Counter("".join(texts))
    return {character: count / 6000 for character, count in counts.items()}


P = {"a": 0.4, "b": 0.25, "c": 0.2, "d": 0.1, " ": 0.04, "\n": 0.01}


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ({}, P),
        ({"temperature": 0.5}, {c: p**2 / 0.2742 for c, p in P.items()}),
        ({"top_k": 2}, {"a": 0.4 / 0.65, "b": 0.25 / 0.65}),
        ({"top_k": 1}, {"a": 1.0}),
        ({"top_p": 0.8}, {"a": 0.4 / 0.85, "b": 0.25 / 0.85, "c": 0.2 / 0.85}),
        ({"top_p": 0.1}, {"a": 1.0}),
        ({"top_k": 3, "top_p": 0.7}, {"a": 0.4 / 0.65, "b": 0.25 / 0.65}),
        ({"temperature": 0}, {"a": 1.0}),
    ],
)
def test_characters_are_drawn_from_the_distribution_that_was_asked_for(sampling, expected):
    found = frequencies(P, **sampling)
    assert set(found) <= set(expected)
    for character, p in expected.items():
        error = 5 * (p * (1 - p) / 6000) ** 0.5  # five standard deviations
        assert found.get(character, 0) == pytest.approx(p, abs=error + 1e-9)


def test_the_unknown_is_never_drawn():
    engine = an_engine_without_memory(P)
    weights = engine.weights()
    weights["head.bias"][KNOWN.unknown_id] = 50
    engine.load(weights)
    for temperature in (0, 1, 100):
        assert "\ufffd" not in drawn(engine=engine, temperature=temperature, length=300)


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        ("fox", "the quick brown "),
        (" brown fox jumps over", "the quick"),
        ("the", ""),
        ("quicker", "the quick brown fox jumps over the lazy dog"),
        (["dog", "lazy", "cat"], "the quick brown fox jumps over the "),
        (["quick brown", "brow"], "the quick "),  # brow is complete first
        (["brow", "quick brow"], "the "),  # complete at once: the one that began first
        ("g", "the quick brown fox jumps over the lazy do"),
    ],
)
@pytest.mark.parametrize("longest", [1, 2, 5, 16])
def test_a_text_ends_before_the_stop_string_that_is_complete_first(
    monkeypatch, stop, left, longest
):
    text = "the quick brown fox jumps over the lazy dog"
    monkeypatch.setattr(generation, "_LONGEST_PIECE", longest)
    assert recited(text, length=len(text), stop=stop) == left


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab", min_size=1, max_size=30),
    st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=3),
    st.integers(1, 16),
)
def test_stop_strings_are_found_over_the_borders_of_pieces(text, stops, longest):
    def ends(n: int) -> list[int]:
        return [n - len(stop) for stop in stops if text[:n].endswith(stop)]

    first = next((min(ends(n)) for n in range(1, len(text) + 1) if ends(n)), len(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "_LONGEST_PIECE", longest)
        assert recited(text, length=len(text), stop=stops) == text[:first]


def test_what_may_begin_a_stop_string_waits_and_is_written_at_the_end():
    vocabulary = Vocabulary.of("abcx\n")
    engine = Reciting(vocabulary, "abxabab")
    pieces = list(generate(predictor(engine, vocabulary), length=7, stop="abc"))
    assert pieces == ["abx", "abab"]


def test_a_model_of_lines_stops_at_the_end_of_its_line():
    assert recited("anna\nbert", length=9, lines=True) == "anna"
    assert recited("anna\nbert", length=9) == "anna\nbert"
    assert recited("anna\nbert", length=9, lines=True, stop="n") == "a"


def test_a_model_of_lines_reads_a_line_feed_and_the_last_line_of_the_prompt():
    line = list(generate(predictor(ENGINE, KNOWN, True), "ab"))
    assert list(generate(predictor(ENGINE, KNOWN, True), "cad\nab")) == line
    assert "".join(generate(predictor(ENGINE, KNOWN), "\nab", stop="\n")) == "".join(line)


def test_an_empty_prompt_starts_after_a_line_feed():
    assert drawn("") == drawn("\n")


def test_without_a_line_feed_the_first_character_is_drawn_evenly():
    vocabulary = Vocabulary.of("abcd", unknown=True)
    texts = generate_many(predictor(an_engine(vocabulary), vocabulary), count=400, length=3)
    counts = Counter(text[0] for text in texts)
    assert sorted(counts) == list("abcd")
    assert min(counts.values()) > 60
    assert {len(text) for text in texts} == {3}
    assert texts[0] == "".join(generate(predictor(an_engine(vocabulary), vocabulary), length=3))


@pytest.mark.parametrize("longest", [1, 2, 3, 16])
def test_bytes_become_characters_when_they_are_whole(monkeypatch, longest):
    monkeypatch.setattr(generation, "_LONGEST_PIECE", longest)
    text = "aé€𝄞b☃"
    vocabulary = Vocabulary.bytes()
    engine = Reciting(vocabulary, text.encode())
    assert "".join(generate(predictor(engine, vocabulary), length=len(text))) == text
    assert "".join(generate(predictor(engine, vocabulary), length=4)) == text[:4]
    assert "".join(generate(predictor(engine, vocabulary), length=9, stop="𝄞")) == "aé€"


def test_bytes_that_are_no_utf8_become_replacement_characters():
    vocabulary = Vocabulary.bytes()
    engine = Reciting(vocabulary, b"a\xff\xe2\x82b")
    assert "".join(generate(predictor(engine, vocabulary), length=4)) == "a\ufffd\ufffdb"


def test_an_unknown_character_in_a_prompt_is_read_with_a_warning():
    with warned(r"'é' \(U\+00E9\) 1x"):
        drawn("aé")
    with messages() as found:
        drawn("abc")
    assert found == []


def test_an_unknown_character_is_refused_where_there_is_no_unknown():
    vocabulary = Vocabulary.of("abc\n")
    with pytest.raises(UnknownCharacterError, match=r"U\+00E9"):
        list(generate(predictor(an_engine(vocabulary), vocabulary), "aé"))


@pytest.mark.parametrize("options", [{"length": -1}, {"stop": ""}, {"stop": ["a", ""]}])
def test_options_out_of_range_are_refused_at_once(options):
    with pytest.raises(SettingsError):
        generate(predictor(ENGINE, KNOWN), **options)


def test_at_least_one_text_must_be_asked_for():
    with pytest.raises(SettingsError, match="count: 0 was given"):
        generate_many(predictor(ENGINE, KNOWN), count=0)
