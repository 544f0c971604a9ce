"""The surprise of a text, by its definition: every character once, nothing dropped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import messages
from numpy.testing import assert_allclose
from predictors import predictor

from charloom.engines.base import State, Surprisal
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError, UnknownCharacterError
from charloom.model import surprisal as module
from charloom.model.scoring import Score, evaluate, evaluate_text, score_text
from charloom.settings import ModelSettings
from charloom.text.batches import NOT_COUNTED
from charloom.text.vocabulary import Vocabulary

KNOWN = Vocabulary.of("abc dé€\n", unknown=True)
BYTES = Vocabulary.bytes()
TEXTS = st.text("abc dé€\nxyz", max_size=60)


def an_engine(vocabulary: Vocabulary, dtype=np.float32) -> ReferenceEngine:
    """A network with opinions and, as trained ones have, a memory that fades."""
    shape = ModelSettings(hidden_size=5, num_layers=2)
    weights = initial_weights(shape, vocabulary.size, seed=1)
    weights = {
        name: 4 * weight if "weight_ih" in name or "head" in name else weight
        for name, weight in weights.items()
    }
    return ReferenceEngine(shape, vocabulary.size, weights, dtype)


ENGINE, BYTES_ENGINE = an_engine(KNOWN), an_engine(BYTES)


class Counting:
    """Not a network: a target costs the number of characters read since the zero state."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    settings = ModelSettings(hidden_size=1, num_layers=1)

    def zero_state(self, streams):
        return State.zeros(self.settings, streams)

    def surprisal(self, inputs, targets, state):
        self.calls.append(inputs.shape)
        read = state.hidden[0, :, 0] + np.arange(1, len(inputs) + 1)[:, None]
        counted = targets != NOT_COUNTED
        after = State(hidden=read[-1][None, :, None], cell=state.cell)
        return Surprisal(nats=read * counted, ranks=counted.astype(np.int32), state=after)


def by_hand(engine, vocabulary: Vocabulary, text: str) -> list[float]:
    """The definition, in one go: nats of each id of one stream."""
    ids = vocabulary.encode(text).astype(np.int32)
    logits, _ = engine.logits(ids[:, None], State.zeros(engine.settings, 1))
    logits = logits[:, 0].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    nats = [math.log(vocabulary.size)]
    nats += [-log_p[t - 1, ids[t]] for t in range(1, len(ids))]
    return [
        cost + vocabulary.unknown_nats * (id_ == vocabulary.unknown_id)
        for cost, id_ in zip(nats, ids, strict=True)
    ]


def score_quietly(*args, **options):
    with messages():
        return list(score_text(*args, **options))


def evaluate_quietly(*args, **options):
    with messages():
        return evaluate_text(*args, **options)


def test_every_character_costs_what_the_definition_says():
    text = "a bad cab\nda x €é"
    parts = score_quietly(predictor(ENGINE, KNOWN), [text])
    assert [part.text for part in parts] == list(text)
    assert [part.start for part in parts] == list(range(len(text)))
    assert_allclose([part.nats for part in parts], by_hand(ENGINE, KNOWN, text), atol=2e-6)
    assert [part.unknown_characters for part in parts] == [int(c == "x") for c in text]


def test_the_first_character_is_a_blind_guess():
    first = next(score_text(predictor(ENGINE, KNOWN), ["abc"]))
    assert first.nats == pytest.approx(math.log(KNOWN.size), abs=1e-6)
    assert first.rank is None


def test_the_rank_is_the_number_of_characters_at_least_as_likely():
    text = "abc dé"
    ids = KNOWN.encode(text).astype(np.int32)
    logits, _ = ENGINE.logits(ids[:, None], State.zeros(ENGINE.settings, 1))
    expected = [
        1 + int((logits[t, 0] > logits[t, 0, ids[t + 1]]).sum()) for t in range(len(ids) - 1)
    ]
    assert [part.rank for part in score_text(predictor(ENGINE, KNOWN), [text])] == [None, *expected]


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(["character", "word", "line"]), st.booleans(), st.booleans())
def test_the_parts_of_a_text_add_up_to_the_whole_exactly(text, by, lines, utf8):
    engine, vocabulary = (BYTES_ENGINE, BYTES) if utf8 else (ENGINE, KNOWN)
    whole = evaluate_quietly(predictor(engine, vocabulary, lines), [text], exact=True)
    parts = score_quietly(predictor(engine, vocabulary, lines), [text], by=by)
    assert sum((part.score for part in parts), Score()) == whole
    assert sum((part.score for part in reversed(parts)), Score()) == whole
    ended = "\n" if lines and text and text[-1] != "\n" else ""
    assert "".join(part.text for part in parts) == text + ended
    starts = np.cumsum([0, *(len(part.text) for part in parts)])
    assert [part.start for part in parts] == starts[:-1].tolist()
    assert whole.characters == len(text + ended)
    assert whole.utf8_bytes == len((text + ended).encode())
    strange = 0 if utf8 else sum(c in "xyz" for c in text)
    assert whole.unknown_characters == strange


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.booleans(), st.booleans())
def test_it_does_not_matter_in_which_pieces_a_text_comes(pieces, lines, utf8):
    engine, vocabulary = (BYTES_ENGINE, BYTES) if utf8 else (ENGINE, KNOWN)
    whole = score_quietly(predictor(engine, vocabulary, lines), ["".join(pieces)])
    assert score_quietly(predictor(engine, vocabulary, lines), pieces) == whole


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_it_does_not_matter_in_which_steps_a_text_is_read(monkeypatch, lines, steps):
    text = "abc dada\n\nbad €é\nacademia\n" * 5
    whole = score_quietly(predictor(ENGINE, KNOWN, lines), [text])
    monkeypatch.setattr(module, "_LOGITS", steps * KNOWN.size)
    monkeypatch.setattr(module, "_POOL", 9)
    monkeypatch.setattr(module, "_STREAMS", 2)
    again = score_quietly(predictor(ENGINE, KNOWN, lines), [text])
    assert_allclose([p.nats for p in again], [p.nats for p in whole], atol=1e-5)


def test_words_reach_to_the_next_word_and_lines_include_their_line_feed():
    def texts(text: str, by: str) -> list[str]:
        return [part.text for part in score_text(predictor(ENGINE, KNOWN), list(text), by=by)]

    assert texts("  a bad\n\ncab ", "word") == ["  ", "a ", "bad\n\n", "cab "]
    assert texts("a b\n\nc\n", "line") == ["a b\n", "\n", "c\n"]
    assert texts("a b\nc", "line") == ["a b\n", "c"]
    assert texts("", "word") == []


def test_a_part_is_what_was_asked_for():
    with pytest.raises(SettingsError, match="character, word or line"):
        score_text(predictor(ENGINE, KNOWN), ["abc"], by="sentence")


def test_the_character_of_a_vocabulary_of_bytes_is_its_bytes_together():
    text = "aé€𝄞b"
    parts = list(score_text(predictor(BYTES_ENGINE, BYTES), [text]))
    of_bytes = np.split(by_hand(BYTES_ENGINE, BYTES, text), [1, 3, 6, 10])
    assert [part.text for part in parts] == list(text)
    assert_allclose([part.nats for part in parts], [b.sum() for b in of_bytes], atol=1e-5)
    assert [part.rank is None for part in parts] == [True, True, True, True, False]


def test_unknown_characters_are_charged_counted_and_named_once():
    with messages() as caught:
        score = evaluate_text(predictor(ENGINE, KNOWN), ["abc ж", "☃☃ a"])
    assert len(caught) == 1
    assert "'☃' (U+2603) 2x, 'ж' (U+0436) 1x" in caught[0]
    assert score.unknown_characters == 3
    assert score.utf8_bytes == len("abc ж☃☃ a".encode())
    assert score.nats > 3 * math.log(1_000_000)


def test_a_model_without_an_unknown_refuses_one_by_its_place():
    vocabulary = Vocabulary.of("abc \n")
    engine = an_engine(vocabulary)
    with pytest.raises(UnknownCharacterError, match=r"'x'.*U\+0078.*6"):
        list(score_text(predictor(engine, vocabulary), ["abc ", "abx"]))


def test_lines_are_charged_from_a_line_feed_and_a_zero_state_each():
    parts = list(score_text(predictor(Counting(), KNOWN, True), ["abc\n\nd\nab"]))
    assert [part.text for part in parts] == list("abc\n\nd\nab\n")
    assert [part.nats for part in parts] == [1, 2, 3, 4, 1, 1, 2, 1, 2, 3]


def test_a_line_costs_the_same_whatever_stands_beside_it():
    lines = ["abc", "", "dada dada", "b" * 100, "é", "€ € €"]
    together = score_text(predictor(ENGINE, KNOWN, True), ["\n".join(lines)], by="line")
    alone = [evaluate_text(predictor(ENGINE, KNOWN, True), [line + "\n"]) for line in lines]
    assert_allclose([p.nats for p in together], [s.nats for s in alone], atol=1e-5)


def test_lines_need_a_line_feed_in_the_vocabulary():
    vocabulary = Vocabulary.of("abc")
    with pytest.raises(SettingsError, match="without a line feed"):
        evaluate_text(predictor(an_engine(vocabulary), vocabulary, True), ["abc"])


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("vocabulary", [KNOWN, BYTES], ids=["characters", "bytes"])
def test_a_text_and_its_ids_have_one_total(vocabulary, exact, lines, tmp_path):
    engine = an_engine(vocabulary)
    text = "abc dé€ " * 300 + "\nbad " * 200
    ids = vocabulary.encode(text)
    ids.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", ids.dtype, "r")
    options = {"exact": exact, "warmup": 16}
    reader = predictor(engine, vocabulary, lines)
    total = evaluate(reader, mapped, **options)
    assert total == evaluate_text(reader, [text[:777], text[777:]], **options)


def test_the_length_of_a_text_can_be_given_with_its_ids():
    ids = KNOWN.encode("abж")
    assert evaluate(predictor(ENGINE, KNOWN), ids).utf8_bytes == 2
    assert evaluate(predictor(ENGINE, KNOWN), ids, utf8_bytes=4).utf8_bytes == 4
    assert evaluate(predictor(ENGINE, KNOWN), ids).unknown_characters == 1


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 700), st.integers(1, 9), st.integers(0, 20), st.integers(60, 400))
def test_segments_cover_every_position_once_and_warm_up_in_full(length, segments, warmup, window):
    ids = np.zeros(length, np.uint8)
    engine = Counting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_WINDOW", window)
        patch.setattr(module, "_LOGITS", 50 * KNOWN.size)
        read = list(
            module.segment_surprisals(
                predictor(engine, KNOWN),
                np.split(ids, [length // 3]),
                segments=segments,
                warmup=warmup,
            )
        )
    costs = np.concatenate([some.nats for some in read]) if length else np.zeros(0)
    assert len(costs) == length
    assert all(streams <= segments for _, streams in engine.calls)
    if length:
        assert costs[0] == pytest.approx(math.log(KNOWN.size), abs=1e-6)
        early = np.sort(costs[1:])[:warmup]  # the first characters of the text itself
        assert early.tolist() == list(range(1, min(warmup, length - 1) + 1))
        assert (np.sort(costs[1:])[warmup:] > warmup).all()


def test_a_longer_warmup_comes_nearer_to_the_exact_total():
    ids = np.random.default_rng(0).integers(0, KNOWN.size - 1, 5000).astype(np.uint8)
    exact = evaluate(predictor(ENGINE, KNOWN), ids, exact=True)
    errors = []
    for warmup in (0, 4, 32):
        near = evaluate(predictor(ENGINE, KNOWN), ids, segments=32, warmup=warmup)
        assert (near.characters, near.utf8_bytes) == (exact.characters, exact.utf8_bytes)
        errors.append(abs(near.bits_per_character - exact.bits_per_character))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.001


def test_a_text_shorter_than_two_segments_is_read_exactly():
    text = "abc dé" * 20
    assert evaluate_text(predictor(ENGINE, KNOWN), [text]).nats == pytest.approx(
        evaluate_text(predictor(ENGINE, KNOWN), [text], exact=True).nats, abs=1e-4
    )


def test_an_empty_text_costs_nothing_and_has_no_average():
    for exact in (False, True):
        assert evaluate_text(predictor(ENGINE, KNOWN), [], exact=exact) == Score()
        assert evaluate(predictor(ENGINE, KNOWN), KNOWN.encode(""), exact=exact) == Score()
    assert math.isnan(Score().bits_per_character)
    assert math.isnan(Score().bits_per_byte)


def test_yardsticks_are_the_total_divided_once():
    score = Score(nats=6 * math.log(2), characters=3, utf8_bytes=4)
    assert score.bits_per_character == pytest.approx(2)
    assert score.bits_per_byte == pytest.approx(1.5)
    assert score.perplexity == pytest.approx(4)
    assert score.nats_per_character == pytest.approx(2 * math.log(2))


def test_a_blind_model_costs_log2_of_its_vocabulary():
    engine = ReferenceEngine(
        ENGINE.settings,
        KNOWN.size,
        {name: np.zeros_like(w) for name, w in ENGINE.weights().items()},
    )
    score = evaluate_text(predictor(engine, KNOWN), ["abc dé\n" * 50])
    assert score.bits_per_character == pytest.approx(math.log2(KNOWN.size), abs=1e-5)


def test_a_text_is_read_no_further_than_its_parts_are_asked_for():
    taken = []

    def pieces():
        for number in range(100):
            taken.append(number)
            yield "abc " * 500

    parts = score_text(predictor(ENGINE, KNOWN), pieces())
    next(parts)
    assert len(taken) == 1
    assert next(parts).text == "b"
