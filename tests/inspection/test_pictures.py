"""Pictures: a run's curve and a heat map of a trace, as PNG files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from models import FOX, fox_model, short_run
from numpy.testing import assert_allclose

from charloom import InMemory, TrainingSettings, train
from charloom.engines.cell import CELLS, Cell
from charloom.errors import ModelFileError, SettingsError
from charloom.inspection import pictures


def is_a_picture(path: Path) -> bool:
    data = path.read_bytes()
    return data.startswith(b"\x89PNG") and len(data) > 5000


def test_a_heat_map_is_drawn_for_any_quantity(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    model = fox_model()
    for name in ("C_t", "f_t"):
        pictures.plot_trace(tmp_path / "a.png", model.trace_pieces(FOX), quantity=name, layer=1)
        assert is_a_picture(tmp_path / "a.png")
    with pytest.raises(SettingsError, match="this model has f_t, fC_t"):
        pictures.plot_trace(tmp_path / "a.png", model.trace_pieces(FOX), quantity="c")
    with pytest.raises(SettingsError, match="layers 1 to 2"):
        pictures.plot_trace(tmp_path / "a.png", model.trace_pieces(FOX), layer=3)
    with pytest.raises(SettingsError, match=r"this model has h_t$"):
        pieces = fox_model(cell="rnn").trace_pieces(FOX)
        pictures.plot_trace(tmp_path / "a.png", pieces, quantity="C_t")


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
def test_a_heat_map_shows_what_a_cell_carries_unless_another_quantity_is_named(cell: Cell):
    trace = fox_model(cell=cell.name).trace(FOX)
    found, values, *_ = pictures._gathered(iter([trace]), None, None)
    assert found == cell.carried
    assert (values == trace.quantities[cell.carried][:, -1].T).all()


def test_a_heat_map_takes_only_the_start_of_a_long_text():
    _, values, symbols, bits = pictures._gathered(
        fox_model().trace_pieces(FOX * 30, steps=64), "h_t", 2
    )
    assert values.shape == (7, pictures.WIDEST)
    assert len(symbols) == len(bits) == pictures.WIDEST


def test_a_runs_curve_is_drawn_in_its_folder(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    short_run(tmp_path / "fox.run")
    drawn = pictures.plot(tmp_path / "fox.run")
    assert drawn == tmp_path / "fox.run" / "curve.png"
    assert is_a_picture(drawn)
    with pytest.raises(ModelFileError, match="not the folder of a run"):
        pictures.plot(tmp_path)


def test_a_smoothed_curve_keeps_its_length_and_a_straight_line():
    for count in (1, 2, 49, 50, 1000):
        assert len(pictures._smooth(np.ones(count))) == count
        assert_allclose(pictures._smooth(np.ones(count)), 1)


def test_without_matplotlib_a_picture_names_the_pip_command(tmp_path, monkeypatch):
    settings = TrainingSettings(steps=1)
    train(InMemory(FOX * 9), output=tmp_path / "run", training=settings).finish()
    for name in [n for n in sys.modules if n.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: pictures.plot_trace(tmp_path / "a.png", fox_model().trace_pieces(FOX)),
        lambda: pictures.plot(tmp_path / "run"),
    ):
        with pytest.raises(SettingsError, match=r"pip install 'charloom\[plot\]'"):
            draw()
