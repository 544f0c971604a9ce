"""The reference core: by hand, by slope, and by splitting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from charloom.engines.base import State, StepSettings
from charloom.engines.cell import CELLS
from charloom.engines.reference import gru, lstm, rnn
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.reference.products import add_rows, sigmoid
from charloom.engines.weights import weight_shapes
from charloom.settings import ModelSettings
from charloom.text.batches import NOT_COUNTED

FORWARD = {"lstm": lstm.forward, "gru": gru.forward, "rnn": rnn.forward}
BACKWARD = {"lstm": lstm.backward, "gru": gru.backward, "rnn": rnn.backward}


def unequal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random numbers of which no two are alike, so that nothing can be exchanged unseen."""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, shape)


def layer(cell: str, inputs: int = 3, hidden: int = 4, streams: int = 2) -> dict:
    gates = CELLS[cell].gate_rows(hidden)
    return {
        "hidden": unequal((streams, hidden), 1),
        "cell": unequal((streams, hidden), 2),
        "weight_ih": unequal((gates, inputs), 3),
        "weight_hh": unequal((gates, hidden), 4),
        "bias": unequal((CELLS[cell].bias_rows(hidden),), 5),
    }


def test_one_unit_takes_one_step_of_the_textbook_lstm():
    x, h, c = 0.7, -0.4, 0.6
    out, hidden, cell, tape = lstm.forward(
        np.array([[[x]]]),
        hidden=np.array([[h]]),
        cell=np.array([[c]]),
        weight_ih=np.array([[0.5], [-0.3], [0.8], [0.2]]),
        weight_hh=np.array([[0.1], [0.9], [-0.6], [0.4]]),
        bias=np.array([0.05, 1.0, -0.2, 0.3]),
    )
    i_t = 1 / (1 + math.exp(-(0.5 * x + 0.1 * h + 0.05)))
    f_t = 1 / (1 + math.exp(-(-0.3 * x + 0.9 * h + 1.0)))
    g_t = math.tanh(0.8 * x - 0.6 * h - 0.2)
    o_t = 1 / (1 + math.exp(-(0.2 * x + 0.4 * h + 0.3)))
    fC_t, gi_t = f_t * c, g_t * i_t
    C_t = fC_t + gi_t
    h_t = o_t * math.tanh(C_t)

    assert out[0, 0, 0] == hidden[0, 0] == pytest.approx(h_t, rel=1e-15)
    assert cell[0, 0] == pytest.approx(C_t, rel=1e-15)
    on_tape = [tape.f, tape.fC, tape.i, tape.g, tape.gi, tape.C[1:], tape.o, tape.h[1:]]
    by_hand = [f_t, fC_t, i_t, g_t, gi_t, C_t, o_t, h_t]
    assert [float(value[0, 0, 0]) for value in on_tape] == pytest.approx(by_hand, rel=1e-15)


def test_one_unit_takes_one_step_of_pytorchs_gru():
    x, h = 0.7, -0.4
    out, hidden, cell, tape = gru.forward(
        np.array([[[x]]]),
        hidden=np.array([[h]]),
        cell=np.array([[0.6]]),
        weight_ih=np.array([[0.5], [-0.3], [0.8]]),
        weight_hh=np.array([[0.1], [0.9], [-0.6]]),
        bias=np.array([0.05, 1.0, -0.2, 0.3]),
    )
    r_t = 1 / (1 + math.exp(-(0.5 * x + 0.1 * h + 0.05)))
    z_t = 1 / (1 + math.exp(-(-0.3 * x + 0.9 * h + 1.0)))
    n_t = math.tanh(0.8 * x - 0.2 + r_t * (-0.6 * h + 0.3))
    h_t = (1 - z_t) * n_t + z_t * h

    assert out[0, 0, 0] == hidden[0, 0] == pytest.approx(h_t, rel=1e-15)
    assert cell[0, 0] == 0.6  # a gru has no cell: it is handed on
    by_hand = {"r_t": r_t, "z_t": z_t, "n_t": n_t, "h_t": h_t}
    assert tape.traced.keys() == by_hand.keys()
    for name, values in tape.traced.items():
        assert values[0, 0, 0] == pytest.approx(by_hand[name], rel=1e-15)


def test_one_unit_takes_one_step_of_the_textbook_rnn():
    out, hidden, cell, _ = rnn.forward(
        np.array([[[0.7]]]),
        hidden=np.array([[-0.4]]),
        cell=np.array([[0.6]]),
        weight_ih=np.array([[0.5]]),
        weight_hh=np.array([[0.3]]),
        bias=np.array([0.1]),
    )
    by_hand = math.tanh(0.5 * 0.7 + 0.3 * -0.4 + 0.1)
    assert out[0, 0, 0] == hidden[0, 0] == pytest.approx(by_hand, rel=1e-15)
    assert cell[0, 0] == 0.6  # an rnn has no cell: it is handed on


@pytest.mark.parametrize("cell", CELLS)
def test_an_id_is_read_like_the_one_hot_vector_it_stands_for(cell: str):
    ids = np.array([[0, 2], [1, 1], [2, 0]])
    by_id, *_, id_tape = FORWARD[cell](ids, **layer(cell))
    by_vector, *_, vector_tape = FORWARD[cell](np.eye(3)[ids], **layer(cell))
    assert_allclose(by_id, by_vector, rtol=1e-14)

    weights = {name: layer(cell)[name] for name in ("weight_ih", "weight_hh")}
    d_out = unequal(by_id.shape, 6)
    from_ids = BACKWARD[cell](d_out, id_tape, **weights)
    from_vectors = BACKWARD[cell](d_out, vector_tape, **weights)
    assert from_ids.x.shape == (3, 2, 0)
    assert_allclose(from_ids.weight_ih, from_vectors.weight_ih, rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_two_halves_with_the_state_carried_equal_the_whole(cell: str):
    x, given = unequal((6, 2, 3)), layer(cell)
    whole, *end, _ = FORWARD[cell](x, **given)
    first, hidden, memory, _ = FORWARD[cell](x[:2], **given)
    given |= {"hidden": hidden, "cell": memory}
    second, *second_end, _ = FORWARD[cell](x[2:], **given)
    assert_array_equal(np.concatenate([first, second]), whole)
    assert_array_equal(second_end, end)


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_the_slope_in_all_that_goes_into_a_layer(cell: str):
    given = {"x": unequal((3, 2, 3))} | layer(cell)
    d_out = unequal((3, 2, 4), 6)

    def total() -> float:
        x, *_ = FORWARD[cell](given["x"], **{k: v for k, v in given.items() if k != "x"})
        return float((x * d_out).sum())

    *_, tape = FORWARD[cell](given["x"], **{k: v for k, v in given.items() if k != "x"})
    found = BACKWARD[cell](d_out, tape, weight_ih=given["weight_ih"], weight_hh=given["weight_hh"])
    for name, values in given.items():
        gradient = getattr(found, name)
        assert gradient.shape == values.shape
        assert_allclose(gradient, slopes(total, values), rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("embedding_size", [0, 3])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_of_every_weight_is_the_slope_of_the_mean_loss(
    cell: str, num_layers: int, embedding_size: int, dropout: float
):
    settings = ModelSettings(
        cell=cell, hidden_size=3, num_layers=num_layers, embedding_size=embedding_size
    )
    shapes = weight_shapes(settings, 5).items()
    weights = {name: unequal(shape, seed) for seed, (name, shape) in enumerate(shapes)}
    engine = ReferenceEngine(settings, 5, weights, dtype=np.float64)
    before = State(hidden=unequal((num_layers, 2, 3), 20), cell=unequal((num_layers, 2, 3), 21))
    inputs = np.array([[0, 3], [1, 4], [1, 2], [0, 0]])
    targets = np.array([[1, 4], [2, NOT_COUNTED], [0, 2], [NOT_COUNTED, 3]])
    step = StepSettings(learning_rate=1.0, dropout=dropout, dropout_key=7)

    def mean() -> float:
        engine.load(weights)
        nats, characters, _, _ = engine.gradients(inputs, targets, before, step)
        return nats / characters

    _, characters, gradients, _ = engine.gradients(inputs, targets, before, step)
    assert characters == 6
    for name, values in weights.items():
        by_difference = slopes(mean, values)
        assert np.abs(by_difference).max() > 1e-4, f"{name} would be tested with nothing"
        assert_allclose(gradients[name], by_difference, rtol=1e-6, atol=1e-9, err_msg=name)


def slopes(loss, values: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences, one value after the other, changed in place and put back."""
    found = np.empty_like(values)
    for at in np.ndindex(values.shape):
        value = values[at]
        values[at] = value + step
        above = loss()
        values[at] = value - step
        below = loss()
        values[at] = value
        found[at] = (above - below) / (2 * step)
    return found


def test_rows_of_one_id_are_added_up_in_any_number_of_axes():
    ids, rows = np.array([[4, 1], [1, 1]]), np.arange(8.0).reshape(2, 2, 2)
    expected = np.zeros((5, 2))
    expected[4] = rows[0, 0]
    expected[1] = rows[0, 1] + rows[1, 0] + rows[1, 1]
    assert_array_equal(add_rows(ids, rows, 5), expected)


def test_a_sigmoid_neither_overflows_nor_loses_its_tail():
    assert_array_equal(sigmoid(np.array([-1000.0, 0.0, 1000.0])), [0.0, 0.5, 1.0])
    assert sigmoid(np.array(-40.0)) == pytest.approx(math.exp(-40), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_computes_in_the_type_of_its_weights(cell: str, dtype: type):
    given = {name: value.astype(dtype) for name, value in layer(cell).items()}
    out, hidden, memory, tape = FORWARD[cell](np.array([[0, 2], [1, 1]]), **given)
    weights = {name: given[name] for name in ("weight_ih", "weight_hh")}
    found = BACKWARD[cell](np.ones_like(out), tape, **weights)
    arrays = [out, hidden, memory, found.hidden, found.cell, found.weight_ih, found.bias]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
