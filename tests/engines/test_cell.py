"""The record of each cell: what it says of gates and quantities is what engines do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from charloom.engines.base import State
from charloom.engines.cell import CELLS, LSTM, RNN, Cell
from charloom.engines.native import NativeEngine
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights, weight_shapes
from charloom.settings import ModelSettings

EVERY = pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)


def test_settings_offer_exactly_the_cells_that_have_a_record():
    field = ModelSettings.model_fields["cell"].annotation
    assert set(field.__args__) == set(CELLS)


def test_the_gates_of_an_lstm_stand_in_pytorchs_order():
    assert LSTM.gates == ("input", "forget", "candidate", "output")
    assert LSTM.has_cell_state and not RNN.has_cell_state


@EVERY
def test_a_record_names_only_quantities_that_it_has(cell: Cell):
    assert {*cell.traced, *cell.products} == set(cell.quantities)
    assert set(cell.fractions) <= set(cell.quantities)
    assert set(cell.first_bias) <= set(cell.gates)


@EVERY
def test_every_engine_traces_the_quantities_of_the_record(cell: Cell):
    settings = ModelSettings(cell=cell.name, hidden_size=6, num_layers=2)
    weights = initial_weights(settings, 5, seed=0)
    assert weight_shapes(settings, 5)[f"{cell.name}.weight_hh_l1"][0] == cell.gate_rows(6)
    inputs = np.array([[0], [3], [1]], np.int32)
    for engine in (NativeEngine(settings, 5, weights), ReferenceEngine(settings, 5, weights)):
        traced = engine.trace(inputs, State.zeros(settings, 1))
        assert tuple(traced.quantities) == cell.traced
        for values in traced.quantities.values():
            assert values.shape == (2, 3, 1, 6)
        for name in cell.fractions:
            assert 0 < traced.quantities[name].min() <= traced.quantities[name].max() < 1


def test_products_are_completed_from_what_was_traced():
    values = {name: np.full(2, n + 2.0, np.float32) for n, name in enumerate(LSTM.traced)}
    whole = LSTM.complete({**values, "C_before": np.array([0.5, 10.0], np.float32)})
    assert tuple(whole) == LSTM.quantities
    assert_array_equal(whole["fC_t"], np.array([1.5, 30.0], np.float32))
    assert_array_equal(whole["gi_t"], np.array([8.0, 8.0], np.float32))
