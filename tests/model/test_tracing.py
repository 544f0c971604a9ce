"""The trace: it is the computation itself, and the blog's equations hold in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from messages import messages, warned
from numpy.testing import assert_allclose, assert_array_equal
from predictors import predictor

from charloom.engines.base import State
from charloom.engines.native import NativeEngine, available_kernels
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.reference.products import sigmoid
from charloom.engines.weights import initial_weights
from charloom.errors import TextError, UnknownCharacterError
from charloom.model.model import Model
from charloom.model.storage.provenance import Provenance
from charloom.model.tracing import QUANTITIES, joined, trace_pieces
from charloom.settings import ModelSettings, TrainingSettings
from charloom.text.vocabulary import Vocabulary

TEXT = "One bright morning as the Fox was following his sharp nose through the wood\n" * 3


def make(*, lines: bool = False, vocabulary=None, scale: float = 3, **shape) -> Model:
    """A model, by default with weights so large that its gates open and close."""
    settings = ModelSettings(**{"hidden_size": 21, "num_layers": 2, **shape})
    vocabulary = vocabulary or Vocabulary.of(TEXT, unknown=True)
    weights = initial_weights(settings, vocabulary.size, seed=1)
    weights = {name: np.float32(scale) * weight for name, weight in weights.items()}
    training = TrainingSettings(batches="lines") if lines else None
    provenance = Provenance(training=training)
    return Model(settings, vocabulary, weights, provenance, precision="float32")


def traced(engine, vocabulary: Vocabulary, **options):
    return joined(list(trace_pieces(predictor(engine, vocabulary), [TEXT], **options)))


def engines(model: Model):
    """The native engine on every instruction set in each precision, and the reference."""
    shape = (model.settings, model.vocabulary.size, model.weights)
    for kernels in available_kernels():
        yield NativeEngine(*shape, kernels=kernels, precision="float32")
        yield NativeEngine(*shape, kernels=kernels, precision="bfloat16")
    yield ReferenceEngine(*shape)


@pytest.mark.parametrize("embedding_size", [0, 5])
def test_the_article_is_what_was_kept_and_what_was_added_to_the_last_bit(embedding_size: int):
    model = make(embedding_size=embedding_size)
    for engine in engines(model):
        found = traced(engine, model.vocabulary)
        assert found.C_t.dtype == np.float32
        assert_array_equal(found.C_t, found.fC_t + found.gi_t)
        assert_array_equal(found.fC_t, found.f_t * found.C_before)
        assert_array_equal(found.gi_t, found.i_t * found.g_t)
        assert_array_equal(found.C_before[1:], found.C_t[:-1])
        assert not found.C_before[0].any()
        rounding = 2e-6 if engine.precision == "bfloat16" else 3e-7  # squash_roughly in simd.h
        assert_allclose(found.h_t, found.o_t * np.tanh(found.C_t), rtol=0, atol=rounding)


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("embedding_size", [0, 5])
def test_every_quantity_is_the_references_on_every_instruction_set(kernels, embedding_size: int):
    model = make(embedding_size=embedding_size, scale=1)
    shape = (model.settings, model.vocabulary.size, model.weights)
    ours = traced(NativeEngine(*shape, kernels=kernels, precision="float32"), model.vocabulary)
    theirs = traced(ReferenceEngine(*shape, dtype=np.float64), model.vocabulary)
    for name in QUANTITIES:
        assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-6)
    assert_allclose(ours.log_probability, theirs.log_probability, atol=1e-6)
    assert_array_equal(ours.rank, theirs.rank)


def test_states_are_those_of_the_kernel_that_trains_to_the_last_bit():
    model = make()
    ids = model.vocabulary.encode(TEXT).astype(np.int32)[:, None]
    for engine in engines(model):
        found = traced(engine, model.vocabulary)
        _, after = engine.logits(ids, State.zeros(model.settings, 1))
        assert_array_equal(found.h_t[-1], after.hidden[:, 0])
        assert_array_equal(found.C_t[-1], after.cell[:, 0])
        _, halfway = engine.logits(ids[:100], State.zeros(model.settings, 1))
        assert_array_equal(found.C_t[99], halfway.cell[:, 0])


def test_gates_are_the_sigmoids_of_the_sums_in_the_blogs_formula():
    model = make(num_layers=1)
    w, found = model.weights, model.trace(TEXT)
    H = model.settings.hidden_size
    sums = w["lstm.weight_ih_l0"].T[found.ids] + found.h_before[:, 0] @ w["lstm.weight_hh_l0"].T
    sums = (sums + w["lstm.bias_l0"]).astype(np.float64)
    for number, (name, squeeze) in enumerate(
        [("i_t", sigmoid), ("f_t", sigmoid), ("g_t", np.tanh), ("o_t", sigmoid)]
    ):
        expected = squeeze(sums[:, number * H : (number + 1) * H])
        assert_allclose(getattr(found, name)[:, 0], expected, atol=2e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_pieces_of_any_size_are_the_same_trace(cell: str, lines: bool, steps: int):
    model = make(cell=cell, lines=lines)
    whole = model.trace(TEXT)
    pieces = list(model.trace_pieces(iter([TEXT[:50], "", TEXT[50:]]), steps=steps))
    assert max(map(len, pieces)) <= steps
    assert [piece.start for piece in pieces[:2]] == [0, min(steps, 50)]
    again = joined(pieces)
    for name in (*whole.quantities, "C_before", "h_before", "ids", "log_probability", "rank"):
        assert_array_equal(getattr(again, name), getattr(whole, name))
    assert_array_equal(again.expected, whole.expected)
    assert_array_equal(again.expected_log_probability, whole.expected_log_probability)
    assert again.symbols == whole.symbols == tuple(TEXT)


@pytest.mark.parametrize("lines", [False, True])
def test_log_probabilities_and_ranks_are_those_that_score_charges(lines: bool):
    model = make(lines=lines)
    text = TEXT + "a line with § and Ж, never seen\n"
    with warned("§"):
        found = model.trace(text)
    with messages():
        parts = list(model.score(text))
    assert_allclose(-found.log_probability, [part.nats for part in parts], atol=1e-5)
    assert found.rank.tolist() == [part.rank or 0 for part in parts]
    assert_allclose(found.bits.sum(), sum(part.bits for part in parts), atol=1e-3)
    assert (found.rank[0] == 0) == (not lines)


def test_the_first_character_of_a_stream_costs_a_blind_guess():
    model = make()
    found = model.trace("the")
    assert found.log_probability[0] == pytest.approx(-math.log(model.vocabulary.size))
    assert found.rank[0] == 0
    assert_allclose([share for _, share in found.alternatives(0)], 1 / model.vocabulary.size)


def test_a_line_is_read_after_a_line_feed_as_if_nothing_stood_before_it():
    model = make(lines=True)
    found = model.trace("the fox\nthe wood\n")
    assert not found.C_before[7].any()  # the line feed that ends the first line begins the next
    assert_array_equal(found.C_t[8:12], found.C_t[0:4])
    assert_array_equal(found.log_probability[8:12], found.log_probability[0:4])
    assert found.C_before[0].any()


def test_alternatives_are_the_likeliest_first_and_the_rank_finds_the_character_among_them():
    model = make()
    found = model.trace("the fox", alternatives=99)
    V = model.vocabulary.size
    assert found.expected.shape == (8, V)  # no more than there are
    for step in range(8):
        shares = [share for _, share in found.alternatives(step)]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)
    for step in range(1, 7):
        symbol, share = found.alternatives(step)[found.rank[step] - 1]
        assert symbol == "the fox"[step]
        assert share == pytest.approx(math.exp(found.log_probability[step]))
    assert model.trace("the fox", alternatives=3).expected.shape == (8, 3)


def test_what_is_expected_next_is_what_the_model_generates_at_temperature_0():
    model = make()
    written = "".join(model.generate("the", length=5, temperature=0))
    found = model.trace("the" + written)
    assert written == "".join(found.alternatives(3 + n)[0][0] for n in range(5))


def test_a_plain_rnn_has_headlines_and_nothing_else():
    found = make(cell="rnn").trace("the fox")
    assert set(found.quantities) == {"h_t"}
    assert found.h_t.shape == (7, 2, 21)
    assert found.C_before.shape == (7, 2, 0)
    with pytest.raises(AttributeError, match="C_t"):
        found.C_t  # noqa: B018


def test_bytes_have_a_step_each():
    model = make(vocabulary=Vocabulary.bytes())
    found = model.trace("é!")
    assert found.symbols == ("C3", "A9", "!")
    assert len(found) == 3


def test_symbols_are_the_text_itself_and_halves_of_characters_are_refused():
    with warned("§"):
        assert make().trace(iter(["a§"])).symbols == ("a", "§")
    with pytest.raises(TextError, match=r"character 2 .* half a surrogate pair"):
        make().trace(iter(["a§\ud800"]))


def test_a_text_of_nothing_and_a_character_without_an_id_are_refused():
    with pytest.raises(TextError, match="empty"):
        make().trace("")
    with pytest.raises(TextError, match="empty"):
        make().trace(iter([]))
    with pytest.raises(UnknownCharacterError, match="position 3"):
        make(vocabulary=Vocabulary.of(TEXT)).trace("the§")


def test_a_long_text_is_traced_without_holding_it_all():
    model = make(hidden_size=256)
    pieces = model.trace_pieces(iter([TEXT * 20]))
    first = next(pieces)
    assert len(first) <= 1024 < len(TEXT * 20)
    assert sum(map(len, pieces)) + len(first) == len(TEXT * 20)
