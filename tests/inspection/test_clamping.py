"""Clamping: the network with one unit held at a value, and what that costs."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from numpy.testing import assert_allclose

from charloom.engines.base import State
from charloom.engines.cell import CELLS
from charloom.engines.reference.engine import CELLS as FORWARD
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError
from charloom.inspection.units.clamping import HeldOut, bits_of_each, clamped
from charloom.model.model import Model
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TrainingSettings
from charloom.text.vocabulary import Vocabulary

TEXT = planted.text(3000, seed=1)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("layer", [0, 1])
def test_a_clamped_network_is_the_old_one_with_that_headline_overwritten(layer: int, kind: str):
    settings = ModelSettings(cell=kind, hidden_size=6, num_layers=2)
    vocabulary = Vocabulary.of("the fox")
    weights = initial_weights(settings, vocabulary.size, seed=2)
    weights = {name: 2 * values for name, values in weights.items()}
    model = Model(settings, vocabulary, weights, precision="float32")
    ids = vocabulary.encode("the fox fox").astype(np.int32)

    hidden, cell = np.zeros((2, 1, 6)), np.zeros((2, 1, 6))
    hidden[layer, 0, 4] = 0.7
    expected = []
    for id in ids:
        x = np.array([[id]])
        for level in range(2):
            out, _, cell[level], _ = FORWARD[kind].forward(
                x,
                hidden=hidden[level],
                cell=cell[level],
                weight_ih=weights[f"{kind}.weight_ih_l{level}"].astype(np.float64),
                weight_hh=weights[f"{kind}.weight_hh_l{level}"].astype(np.float64),
                bias=weights[f"{kind}.bias_l{level}"].astype(np.float64),
            )
            if level == layer:
                out[..., 4] = 0.7
            hidden[level], x = out[0], out
        expected.append(x[0, 0] @ weights["head.weight"].T + weights["head.bias"])

    other = clamped(model, layer, 4, 0.7)
    logits, _ = other.engine.logits(ids[:, None], State.zeros(settings, 1))
    assert_allclose(logits[:, 0], expected, atol=2e-5)
    assert model.weights["head.weight"][:, 4].all()  # the old one is untouched


def test_bits_of_each_add_up_to_the_score():
    model = planted.model()
    ids = model.vocabulary.encode(TEXT[:500])
    bits = bits_of_each(model, ids)
    total = model.evaluate(TEXT[:500], exact=True)
    assert bits.sum() == pytest.approx(total.bits_per_character * 500)


def test_held_out_text_read_in_blocks_costs_what_one_stream_costs():
    model = planted.model()
    ids = model.vocabulary.encode(TEXT)
    for first in (1, 777, 1501, 2995):
        found = HeldOut(model, ids, first).bits(model)
        assert_allclose(found, bits_of_each(model, ids)[first:], atol=1e-4)


def test_a_clamped_unit_starts_each_block_from_what_the_whole_model_knew():
    model = planted.model()
    ids = model.vocabulary.encode(TEXT)
    held_out = HeldOut(model, ids, 1501)
    lost = held_out.bits(clamped(model, 0, planted.SYMBOL, 0.4)) - held_out.bits(model)
    exact = bits_of_each(clamped(model, 0, planted.SYMBOL, 0.4), ids) - bits_of_each(model, ids)
    assert lost.mean() == pytest.approx(exact[1501:].mean(), rel=0.02)
    assert lost.mean() > 0.05


def test_a_model_of_lines_reads_held_out_lines_from_their_start():
    text = "abc d\n" * 50
    shape = ModelSettings(hidden_size=6, num_layers=1)
    weights = initial_weights(shape, planted.VOCABULARY.size, seed=2)
    model = Model(
        shape, planted.VOCABULARY, weights, Provenance(training=TrainingSettings(batches="lines"))
    )
    ids = model.vocabulary.encode(text)
    bits = HeldOut(model, ids, 151).bits(model)
    assert_allclose(bits, bits_of_each(model, ids)[151:])


def test_there_is_no_clamping_of_a_unit_that_is_not_there():
    for layer, unit in ((0, 12), (1, 0), (-1, 0)):
        with pytest.raises(SettingsError, match="there is no unit"):
            clamped(planted.model(), layer, unit, 0.0)
