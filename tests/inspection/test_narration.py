"""Narrations: each cell told in its own terms, and any cell by the names of its quantities."""

from __future__ import annotations

import pytest
from models import SPOKEN, spoken_model
from numpy.testing import assert_allclose

from charloom.engines.cell import CELLS
from charloom.inspection import story
from charloom.inspection.narration import cells, lstm
from charloom.inspection.narration.moment import LARGEST, Moment


def test_shares_are_what_was_struck_out_written_and_shown():
    trace = spoken_model().trace(SPOKEN)
    assert (lstm.struck_out(trace)[0] == 0).all()  # a blank article has nothing to strike out
    assert_allclose(lstm.written(trace)[0], 1)
    t, layer = 7, 1
    before, kept = trace.C_before[t, layer], trace.fC_t[t, layer]
    struck = sum(abs(b - k) for b, k in zip(before, kept, strict=True)) / sum(abs(before))
    assert lstm.struck_out(trace)[t, layer] == pytest.approx(struck, rel=1e-5)
    for share in (lstm.struck_out(trace), lstm.written(trace), lstm.shown(trace)):
        assert ((share >= 0) & (share <= 1 + 1e-6)).all()


def test_a_cell_without_a_narration_is_told_by_its_gates_and_quantities(monkeypatch):
    monkeypatch.delitem(cells.NARRATIONS, "lstm")
    model, cell = spoken_model(), CELLS["lstm"]
    trace = model.trace(SPOKEN)
    opening, head, *lines = story.tell_text(model, iter([trace]))
    assert opening == "Layer 2 of 2, as means over its units:"
    assert head.split() == ["step", "reads", "bits", *cell.fractions, "|h_t|"]
    assert len(lines) == len(SPOKEN)
    assert f"{trace.f_t[8, 1].mean():.0%}" in lines[8]
    step = list(story.tell_step(model, trace, 9, unit=4))
    told = next(line for line in step if line.startswith("   unit 4    f_t = "))
    for name in cell.quantities:
        assert f"{name} = {round(float(trace.quantities[name][9, 1, 4]), 3) + 0.0:.3f}" in told
    whole = list(story.tell_step(model, trace, 9))
    assert len([line for line in whole if line.startswith("   unit ")]) == LARGEST
    assert any(line.startswith("   it speaks for") for line in whole)


@pytest.mark.parametrize("cell", CELLS)
def test_the_sums_of_a_moment_are_products_of_the_weights(cell: str):
    model = spoken_model(cell=cell, num_layers=1)
    trace = model.trace(SPOKEN)
    moment = Moment(model=model, trace=trace, at=5, layer=0, unit=None)
    for row, (gate, sums) in enumerate(moment.sums(3).items()):
        assert gate == CELLS[cell].gates[row]
        recurrent = model.weights[f"{cell}.weight_hh_l0"][row * 9 + 3]
        assert sums[0] == model.weights[f"{cell}.weight_ih_l0"][row * 9 + 3, trace.ids[5]]
        assert sums[1] == pytest.approx(float(recurrent @ trace.h_t[4, 0]), abs=1e-5)
        assert sums[2] == model.weights[f"{cell}.bias_l0"][row * 9 + 3]
