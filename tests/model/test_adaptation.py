"""Dynamic evaluation: each chunk is counted before it is learned from, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from messages import warned
from models import fox_model
from predictors import predictor

from charloom.engines.base import StepSettings
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError, UnknownCharacterError
from charloom.model import adaptation
from charloom.model.adaptation import SHORTEST, adapted_nats, side_by_side
from charloom.model.model import Model
from charloom.model.scoring import evaluate_adapting
from charloom.model.storage.provenance import Provenance
from charloom.settings import AdaptationSettings, ModelSettings, TrainingSettings
from charloom.text.unknown import no_warning_of_unknown
from charloom.text.vocabulary import Vocabulary

SHAPE = ModelSettings(hidden_size=5, num_layers=2)
TEXT = "the fox and the crow\nand the fox\n\na crow\n" * 3
KNOWN = Vocabulary.of(TEXT, unknown=True)
STILL = AdaptationSettings(learning_rate=1e-30, sequence_length=7, streams=1)
FAST = AdaptationSettings(learning_rate=0.02, sequence_length=7, streams=1)


def an_engine(vocabulary: Vocabulary) -> ReferenceEngine:
    weights = initial_weights(SHAPE, vocabulary.size, seed=1)
    return ReferenceEngine(SHAPE, vocabulary.size, weights, np.float64)


def a_model(vocabulary: Vocabulary = KNOWN, batches: str = "streams") -> Model:
    weights = initial_weights(SHAPE, vocabulary.size, seed=1)
    record = Provenance(training=TrainingSettings(batches=batches))
    return Model(SHAPE, vocabulary, weights, record, precision="float32")


def chunks(text: str, settings=FAST, vocabulary=KNOWN, lines=False) -> list[tuple[str, float]]:
    learner = predictor(an_engine(vocabulary), vocabulary, lines)
    found = adapted_nats(learner, [vocabulary.encode(text)], settings)
    return [(vocabulary.decode(ids), nats) for ids, nats in found]


@pytest.mark.parametrize("batches", ["streams", "lines"])
@pytest.mark.parametrize("vocabulary", [KNOWN, Vocabulary.bytes()], ids=["characters", "bytes"])
@hypothesis_settings(max_examples=20, deadline=None)
@given(text=st.text("the foxand\ncrwé?", min_size=2, max_size=60))
def test_a_model_that_hardly_learns_gives_the_static_number(vocabulary, batches, text):
    model = a_model(vocabulary, batches)
    with no_warning_of_unknown():
        static, adapted = model.evaluate(text, exact=True), model.evaluate(text, adapt=STILL)
    assert adapted.nats == pytest.approx(static.nats, rel=1e-5, abs=1e-5)
    assert adapted.characters == static.characters
    assert adapted.utf8_bytes == static.utf8_bytes
    assert adapted.unknown_characters == static.unknown_characters


def test_the_second_chunk_is_counted_with_weights_that_learned_the_first():
    engine, ids = an_engine(KNOWN), KNOWN.encode(TEXT).astype(np.int32)
    step = StepSettings(learning_rate=0.02, beta1=0.0, beta2=0.999)
    first = engine.train_step(ids[:6, None], ids[1:7, None], engine.zero_state(1), step)
    second = engine.surprisal(ids[6:13, None], ids[7:14, None], first.state)
    found = chunks(TEXT)
    assert [text for text, _ in found[:3]] == [TEXT[:1], TEXT[1:7], TEXT[7:14]]
    assert found[0][1] == pytest.approx(np.log(KNOWN.size))
    assert found[1][1] == pytest.approx(first.nats)
    assert found[2][1] == pytest.approx(second.nats.sum())
    assert found[2][1] != pytest.approx(chunks(TEXT, STILL)[2][1], rel=1e-4)


@pytest.mark.parametrize("lines", [False, True])
def test_what_a_chunk_counts_depends_on_nothing_after_it(lines):
    whole = chunks(TEXT, lines=lines)
    cut = chunks(TEXT[:40] + "#" * 30 + "\n", lines=lines)
    same = sum(a == b for a, b in zip(whole, cut, strict=False))
    assert 1 < same < len(cut)
    assert whole[:same] == cut[:same]


def test_the_chunks_of_lines_are_whole_lines_long_enough():
    texts = [text for text, _ in chunks("and\nthe crow\n\nfox\nfox and crow", lines=True)]
    assert texts == ["and\nthe crow\n", "\nfox\nfox and crow\n"]


@pytest.fixture
def short_stretches(monkeypatch):
    monkeypatch.setattr(adaptation, "SHORTEST", 10)


@hypothesis_settings(max_examples=50, deadline=None)
@given(length=st.integers(0, 5 * SHORTEST), streams=st.integers(1, 9))
def test_stretches_are_the_text_and_no_shorter_than_they_may_be(length, streams):
    columns = side_by_side(np.arange(length), streams)
    assert columns.T[columns.T != -1].tolist() == list(range(length))
    assert 1 <= columns.shape[1] <= streams
    assert columns.shape[1] == 1 or len(columns) >= SHORTEST
    assert (columns[:, :-1] != -1).all()
    assert (columns[:, -1] == -1).sum() < columns.shape[1]


def test_several_streams_are_counted_before_they_are_learned_together(short_stretches):
    text = TEXT[:33]  # stretches of 11, 11 and 11
    settings = FAST.replace(streams=3)
    columns = side_by_side(KNOWN.encode(text).astype(np.int32), 3)
    engine, step = an_engine(KNOWN), StepSettings(learning_rate=0.02, beta1=0.0, beta2=0.999)
    first = engine.train_step(columns[:6], columns[1:7], engine.zero_state(3), step)
    second = engine.surprisal(columns[6:10], columns[7:11], first.state)
    found = chunks(text, settings)
    assert [len(piece) for piece, _ in found] == [3, 18, 12]
    assert sorted("".join(piece for piece, _ in found)) == sorted(text)
    assert found[0] == (text[0] + text[11] + text[22], pytest.approx(3 * np.log(KNOWN.size)))
    assert found[1][1] == pytest.approx(first.nats)
    assert found[2][1] == pytest.approx(second.nats.sum())


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_no_character_tells_of_itself_or_of_what_is_read_later(short_stretches, streams):
    """Each is changed in turn: what was counted before its own chunk stays, to the last bit."""
    settings, text = FAST.replace(streams=streams), TEXT[:47]
    whole = chunks(text, settings)
    places = adaptation.side_by_side(np.arange(len(text)), streams)
    for changed in range(len(text)):
        (row,) = np.flatnonzero((places == changed).any(axis=1))
        chunk = 0 if row == 0 else 1 + row // settings.sequence_length
        other = chunks(
            text[:changed] + "x" * (text[changed] != "x") + text[changed + 1 :], settings
        )
        if text[changed] != "x":
            assert other[:chunk] == whole[:chunk]
            assert other[chunk] != whole[chunk]


def test_streams_that_hardly_learn_count_each_stretch_as_a_text_of_its_own(short_stretches):
    found = sum(nats for _, nats in chunks(TEXT, STILL.replace(streams=4)))
    length = -(-len(TEXT) // 4)
    halves = [TEXT[at : at + length] for at in range(0, len(TEXT), length)]
    assert found == pytest.approx(sum(nats for part in halves for _, nats in chunks(part, STILL)))


@pytest.mark.parametrize("streams", [1, 3])
def test_a_text_longer_than_memory_is_read_in_windows(short_stretches, monkeypatch, streams):
    """One stream goes on from one to the next; several begin anew, with weights that learned."""
    settings = FAST.replace(streams=streams)
    whole = chunks(TEXT, settings)
    monkeypatch.setattr(adaptation, "_WINDOW", 64)  # 9 chunks of 7
    found = chunks(TEXT, settings)
    if streams == 1:
        assert found == whole
        return
    assert sorted("".join(piece for piece, _ in found)) == sorted(TEXT)
    assert found[:2] == chunks(TEXT[:63], settings)[:2]
    after = next(n for n, (piece, _) in enumerate(found) if n and len(piece) == streams)
    assert found[after][0] == TEXT[63] + TEXT[83] + TEXT[103]
    assert found[after + 1][1] != chunks(TEXT[63:], settings)[1][1]


def test_chunks_of_lines_hold_as_much_as_those_of_all_streams():
    text = "and\nthe crow\n\nfox\nfox and crow"
    (only,) = chunks(text, FAST.replace(streams=3), lines=True)
    assert only[0] == text + "\n"


def test_the_pieces_of_a_text_do_not_matter():
    model = a_model()
    whole = model.evaluate(TEXT, adapt=FAST)
    assert model.evaluate(iter([TEXT[:3], "", TEXT[3:50], TEXT[50:]]), adapt=FAST) == whole
    by_line = a_model(batches="lines")
    assert by_line.evaluate([TEXT[:30], TEXT[30:]], adapt=FAST) == by_line.evaluate(
        TEXT, adapt=FAST
    )


def test_a_text_that_repeats_itself_is_learned():
    model = a_model()
    text = "the crow and the fox\n" * 60
    static = model.evaluate(text, exact=True).bits_per_character
    assert model.evaluate(text, adapt=FAST).bits_per_character < static / 2


def test_the_model_does_not_change():
    model = a_model()
    before = model.evaluate(TEXT)
    weights = {name: values.copy() for name, values in model.weights.items()}
    first = model.evaluate(TEXT, adapt=FAST)
    assert model.evaluate(TEXT) == before
    assert model.evaluate(TEXT, adapt=FAST) == first
    assert all((model.weights[name] == values).all() for name, values in weights.items())


def test_an_unknown_character_counts_in_full_and_is_named():
    with warned("Ω"):
        adapted = a_model().evaluate("the Ω", adapt=STILL)
    assert adapted.unknown_characters == 1
    assert adapted.nats > KNOWN.unknown_nats
    with pytest.raises(UnknownCharacterError, match="Ω"):
        fox_model().evaluate("the Ω", adapt=FAST)


def test_a_model_rounded_to_8_bits_cannot_learn():
    model = Model(SHAPE, KNOWN, initial_weights(SHAPE, KNOWN.size, seed=1), precision="int8")
    with pytest.raises(SettingsError, match="int8 was given; training needs float32"):
        model.evaluate(TEXT, adapt=FAST)


def test_an_empty_text_has_no_chunks():
    learner = predictor(an_engine(KNOWN), KNOWN)
    assert evaluate_adapting(learner, [], FAST).nats == 0
    assert chunks("") == chunks("", lines=True) == []
