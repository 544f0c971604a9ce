"""Narrations: each cell told in its own terms, and any cell by the names of its quantities."""

from __future__ import annotations

import numpy as np
import pytest
from models import SPOKEN, spoken_model
from numpy.testing import assert_allclose

from charloom.engines.cell import CELLS
from charloom.inspection import story
from charloom.inspection.narration import cells, gru, lstm
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
        if gate in CELLS[cell].apart:
            apart = model.weights[f"{cell}.bias_l0"][-9:][3]
            assert moment.recurrent_bias(gate, 3) == apart


def test_a_gru_is_told_as_a_headline_that_is_edited_and_its_numbers_add_up():
    model = spoken_model(cell="gru")
    trace = model.trace(SPOKEN)
    t, layer, unit = 7, 1, 4
    r, n, z, h, before = (
        float(values[t, layer, unit])
        for values in (trace.r_t, trace.n_t, trace.z_t, trace.h_t, trace.h_before)
    )
    assert h == pytest.approx(z * before + (1 - z) * n, abs=1e-6)
    told = list(story.tell_step(model, trace, t, layer=layer + 1, unit=unit))
    text = "\n".join(told)
    assert "no article" in text and "output gate" not in text
    assert f"= {z * before:.3f}, (1 - z_t) * n_t = {1 - z:.3f} * {n:.3f}" in text
    assert f" = {h:.3f}" in next(line for line in told if "h_t = z_t * h_t-1 +" in line)
    moment = Moment(model=model, trace=trace, at=t, layer=layer, unit=unit)
    x, of_h, b = moment.sums(unit)["candidate"]
    sum_n = x + b + r * (of_h + moment.recurrent_bias("candidate", unit))
    assert np.tanh(sum_n) == pytest.approx(n, abs=1e-6)


def test_the_shares_of_a_gru_are_what_was_struck_out_and_written():
    trace = spoken_model(cell="gru").trace(SPOKEN)
    assert (gru.struck_out(trace)[0] == 0).all()  # nothing was there to strike out
    assert_allclose(gru.written(trace)[0], 1)
    before, now = trace.h_before[7, 1], trace.h_t[7, 1]
    new = now - trace.z_t[7, 1] * before
    assert gru.struck_out(trace)[7, 1] == pytest.approx(
        abs(before - trace.z_t[7, 1] * before).sum() / abs(before).sum(), rel=1e-5
    )
    assert gru.written(trace)[7, 1] == pytest.approx(
        abs(new).sum() / (abs(new) + abs(now - new)).sum(), rel=1e-4
    )
