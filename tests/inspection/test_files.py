"""Traces as files: what is read back is what was traced."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from models import FOX, fox_model
from numpy.testing import assert_allclose, assert_array_equal

from charloom.engines.cell import CELLS
from charloom.errors import OutputError, SettingsError, TextError
from charloom.inspection import files
from charloom.text.vocabulary import Vocabulary

ALL_QUANTITIES = {name for cell in CELLS.values() for name in cell.quantities}


@pytest.mark.parametrize("vocabulary", [None, Vocabulary.bytes()])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_an_npz_holds_the_trace(tmp_path, cell: str, vocabulary):
    model = fox_model(vocabulary, cell=cell)
    trace = model.trace(FOX)
    files.write_npz(tmp_path / "a.npz", model.trace_pieces(FOX, steps=10))
    with np.load(tmp_path / "a.npz") as stored:
        assert ALL_QUANTITIES & set(stored) == set(trace.quantities)
        for name, values in trace.quantities.items():
            assert_array_equal(stored[name], values)
        for name in ("ids", "log_probability", "rank", "expected", "expected_log_probability"):
            assert_array_equal(stored[name], getattr(trace, name))
        assert tuple(stored["symbols"].tolist()) == trace.symbols
        characters = stored["characters"][stored["expected"][5]].tolist()
    assert characters == [symbol for symbol, _ in trace.alternatives(5)]


def test_equal_traces_make_equal_files_however_they_were_cut(tmp_path):
    model = fox_model()
    for name, steps in (("a", 10), ("b", 1000)):
        for suffix in (".npz", ".json"):
            pieces = model.trace_pieces(FOX, steps=steps)
            files.WRITERS[suffix](tmp_path / f"{name}{suffix}", pieces)
    for suffix in (".npz", ".json"):
        first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
        assert first == second


def test_json_has_an_object_for_each_step_and_every_float32_survives(tmp_path):
    model = fox_model()
    trace = model.trace(FOX)
    files.write_json(tmp_path / "a.json", model.trace_pieces(FOX, steps=10))
    stored = json.loads((tmp_path / "a.json").read_text())
    assert [step["symbol"] for step in stored["steps"]] == list(FOX)
    assert [step["step"] for step in stored["steps"]] == list(range(len(FOX)))
    for name in CELLS["lstm"].quantities:
        values = np.array([step[name] for step in stored["steps"]], np.float32)
        assert_array_equal(values, getattr(trace, name))
    assert [step["rank"] for step in stored["steps"]] == trace.rank.tolist()
    likeliest = stored["next"]["alternatives"][0]
    symbol, share = trace.alternatives(len(FOX))[0]
    assert likeliest["symbol"] == symbol
    assert np.exp(likeliest["log_probability"]) == pytest.approx(share)


def test_parquet_has_a_row_for_each_step_and_layer(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra `parquet`")
    model = fox_model()
    trace = model.trace(FOX)
    files.write_parquet(tmp_path / "a.parquet", model.trace_pieces(FOX, steps=10))
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.num_rows == 2 * len(FOX)
    assert "".join(table["symbol"].to_pylist()[::2]) == FOX
    assert table["layer"].to_pylist()[:4] == [0, 1, 0, 1]
    assert table["step"].to_pylist()[-1] == len(FOX) - 1
    for name in CELLS["lstm"].quantities:
        values = np.array(table[name].to_pylist(), np.float32)
        assert_array_equal(values.reshape(trace.C_t.shape), getattr(trace, name))
    row = table.slice(11, 1).to_pylist()[0]
    assert row["alternatives"] == [symbol for symbol, _ in trace.alternatives(5)]
    shares = np.exp(row["alternative_log_probabilities"])
    assert_allclose(shares, [share for _, share in trace.alternatives(5)])


def test_a_trace_that_breaks_off_leaves_no_file(tmp_path):
    def broken():
        yield from fox_model().trace_pieces(FOX, steps=10)
        raise OutputError("stop")

    for write in (files.write_npz, files.write_json):
        with pytest.raises(OutputError):
            write(tmp_path / "a", broken())
        with pytest.raises(TextError, match="empty"):
            write(tmp_path / "a", iter([]))
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_parquet_names_the_pip_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[parquet\]'"):
        files.write_parquet(tmp_path / "a.parquet", fox_model().trace_pieces(FOX))
