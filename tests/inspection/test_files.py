"""Traces and runs as files: what is read back is what was traced."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from charloom import InMemory, TrainingSettings, train
from charloom.cli.main import main
from charloom.engines.weights import initial_weights
from charloom.errors import ModelFileError, OutputError, SettingsError, TextError
from charloom.inspection import files, pictures
from charloom.model.model import Model
from charloom.model.tracing import QUANTITIES
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

TEXT = "the fox said:\t«€»\n" * 4


def make(vocabulary: Vocabulary | None = None, **shape) -> Model:
    settings = ModelSettings(**{"hidden_size": 7, "num_layers": 2, **shape})
    vocabulary = vocabulary or Vocabulary.of(TEXT)
    return Model(settings, vocabulary, initial_weights(settings, vocabulary.size, seed=0))


@pytest.fixture
def model_file(tmp_path) -> Path:
    make().save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("vocabulary", [None, Vocabulary.bytes()])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_an_npz_holds_the_trace(tmp_path, cell: str, vocabulary):
    model = make(vocabulary, cell=cell)
    trace = model.trace(TEXT)
    files.write_npz(tmp_path / "a.npz", model.trace_pieces(TEXT, steps=10))
    with np.load(tmp_path / "a.npz") as stored:
        assert set(QUANTITIES) & set(stored) == set(trace.quantities)
        for name, values in trace.quantities.items():
            assert_array_equal(stored[name], values)
        for name in ("ids", "log_probability", "rank", "expected", "expected_log_probability"):
            assert_array_equal(stored[name], getattr(trace, name))
        assert tuple(stored["symbols"].tolist()) == trace.symbols
        characters = stored["characters"][stored["expected"][5]].tolist()
    assert characters == [symbol for symbol, _ in trace.alternatives(5)]


def test_equal_traces_make_equal_files_however_they_were_cut(tmp_path):
    model = make()
    for name, steps in (("a", 10), ("b", 1000)):
        for suffix in (".npz", ".json"):
            pieces = model.trace_pieces(TEXT, steps=steps)
            files.WRITERS[suffix](tmp_path / f"{name}{suffix}", pieces)
    for suffix in (".npz", ".json"):
        first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
        assert first == second


def test_json_has_an_object_for_each_step_and_every_float32_survives(tmp_path):
    model = make()
    trace = model.trace(TEXT)
    files.write_json(tmp_path / "a.json", model.trace_pieces(TEXT, steps=10))
    stored = json.loads((tmp_path / "a.json").read_text())
    assert [step["symbol"] for step in stored["steps"]] == list(TEXT)
    assert [step["step"] for step in stored["steps"]] == list(range(len(TEXT)))
    for name in QUANTITIES:
        values = np.array([step[name] for step in stored["steps"]], np.float32)
        assert_array_equal(values, getattr(trace, name))
    assert [step["rank"] for step in stored["steps"]] == trace.rank.tolist()
    likeliest = stored["next"]["alternatives"][0]
    symbol, share = trace.alternatives(len(TEXT))[0]
    assert likeliest["symbol"] == symbol
    assert np.exp(likeliest["log_probability"]) == pytest.approx(share)


def test_parquet_has_a_row_for_each_step_and_layer(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra `parquet`")
    model = make()
    trace = model.trace(TEXT)
    files.write_parquet(tmp_path / "a.parquet", model.trace_pieces(TEXT, steps=10))
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.num_rows == 2 * len(TEXT)
    assert "".join(table["symbol"].to_pylist()[::2]) == TEXT
    assert table["layer"].to_pylist()[:4] == [0, 1, 0, 1]
    assert table["step"].to_pylist()[-1] == len(TEXT) - 1
    for name in QUANTITIES:
        values = np.array(table[name].to_pylist(), np.float32)
        assert_array_equal(values.reshape(trace.C_t.shape), getattr(trace, name))
    row = table.slice(11, 1).to_pylist()[0]
    assert row["alternatives"] == [symbol for symbol, _ in trace.alternatives(5)]
    shares = np.exp(row["alternative_log_probabilities"])
    assert_allclose(shares, [share for _, share in trace.alternatives(5)])


def test_a_trace_that_breaks_off_leaves_no_file(tmp_path):
    def broken():
        yield from make().trace_pieces(TEXT, steps=10)
        raise OutputError("stop")

    for write in (files.write_npz, files.write_json):
        with pytest.raises(OutputError):
            write(tmp_path / "a", broken())
        with pytest.raises(TextError, match="empty"):
            write(tmp_path / "a", iter([]))
    assert list(tmp_path.iterdir()) == []


def missing(monkeypatch, package: str) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_without_its_extra_a_file_names_the_pip_command(tmp_path, monkeypatch):
    for package in ("pyarrow", "matplotlib"):
        missing(monkeypatch, package)
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[parquet\]'"):
        files.write_parquet(tmp_path / "a.parquet", make().trace_pieces(TEXT))
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[plot\]'"):
        pictures.plot_trace(tmp_path / "a.png", make().trace_pieces(TEXT))
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[plot\]'"):
        pictures.plot_run(tmp_path)


def is_a_picture(path: Path) -> bool:
    data = path.read_bytes()
    return data.startswith(b"\x89PNG") and len(data) > 5000


def test_a_heat_map_is_drawn_for_any_quantity(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    model = make()
    for name in ("C_t", "f_t"):
        pictures.plot_trace(tmp_path / "a.png", model.trace_pieces(TEXT), quantity=name, layer=1)
        assert is_a_picture(tmp_path / "a.png")
    with pytest.raises(SettingsError, match="one of f_t"):
        pictures.plot_trace(tmp_path / "a.png", model.trace_pieces(TEXT), quantity="c")
    with pytest.raises(SettingsError, match="layers 1 to 2"):
        pictures.plot_trace(tmp_path / "a.png", model.trace_pieces(TEXT), layer=3)
    with pytest.raises(SettingsError, match="h_t alone"):
        pictures.plot_trace(tmp_path / "a.png", make(cell="rnn").trace_pieces(TEXT))


def test_a_heat_map_takes_only_the_start_of_a_long_text():
    values, symbols, bits = pictures._gathered(make().trace_pieces(TEXT * 30, steps=64), "h_t", 2)
    assert values.shape == (7, pictures.WIDEST)
    assert len(symbols) == len(bits) == pictures.WIDEST


def test_a_runs_curve_is_drawn_in_its_folder(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    run = train(
        InMemory("the fox and the crow. " * 30),
        output=tmp_path / "fox.run",
        model=ModelSettings(hidden_size=4, num_layers=1),
        training=TrainingSettings(steps=20, batch_size=2, sequence_length=8),
    )
    run.finish()
    assert main(["plot", str(tmp_path / "fox.run")]) == 0
    assert is_a_picture(tmp_path / "fox.run" / "curve.png")
    with pytest.raises(ModelFileError, match="not the folder of a run"):
        pictures.plot_run(tmp_path)


def test_a_smoothed_curve_keeps_its_length_and_a_straight_line():
    for count in (1, 2, 49, 50, 1000):
        assert len(pictures._smooth(np.ones(count))) == count
        assert_allclose(pictures._smooth(np.ones(count)), 1)


# The commands


def test_inspect_writes_every_file_that_is_named(model_file, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    npz, as_json = tmp_path / "a.npz", tmp_path / "a.json"
    arguments = ["inspect", str(model_file), str(text), "--npz", str(npz), "--json", str(as_json)]
    assert main(arguments) == 0
    with np.load(npz) as stored:
        assert len(stored["ids"]) == len(TEXT)
    assert len(json.loads(as_json.read_text())["steps"]) == len(TEXT)


def test_inspect_wants_to_know_what_to_write(model_file, capsys):
    assert main(["inspect", str(model_file), "--text", "the"]) == 2
    assert "--npz" in capsys.readouterr().err
    assert main(["explain", str(model_file)]) == 2
    assert "--text STRING" in capsys.readouterr().err


def test_explain_tells_a_text_a_step_and_a_unit(model_file, capsys):
    assert main(["explain", str(model_file), "--text", "the fox"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 7
    assert main(["explain", str(model_file), "--text", "the fox", "--at", "-1"]) == 0
    assert "Step 6 reads 'x'" in capsys.readouterr().out
    one = ["explain", str(model_file), "--text", "the fox", "--unit", "2", "--layer", "1"]
    assert main(one) == 0
    assert "Unit 2 of layer 1" in capsys.readouterr().out
    assert main([*one, "--at", "3"]) == 0
    assert "f_t = sigmoid(" in capsys.readouterr().out
    assert main([*one, "--at", "7"]) == 2
    assert "there is no step 7" in capsys.readouterr().err


def test_memory_trains_without_a_model_and_measures_one_that_is_given(model_file, tmp_path, capsys):
    small = ["--hidden-size", "4", "--steps", "2", "--distance", "2"]
    assert main(["memory", *small]) == 0
    assert "RNN, as many weights" in capsys.readouterr().out
    assert main(["memory", *small, "--json"]) == 0
    names = [json.loads(line)["cell"] for line in capsys.readouterr().out.splitlines()]
    assert names == ["lstm", "rnn", "rnn"]
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    assert main(["memory", str(model_file), str(text), "--distance", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["distance"] for step in found["by_distance"]] == [1, 2, 4]
    assert main(["memory", str(model_file)]) == 2
    assert "TEXT is missing" in capsys.readouterr().err


def test_units_reports_in_a_table_or_as_json(model_file, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text(TEXT * 4, encoding="utf-8")
    command = ["units", str(model_file), str(text), "--shuffles", "20", "--pattern", "fox"]
    assert main(command) == 0
    assert "matches fox" in capsys.readouterr().out
    assert main([*command, "--json", "--select", "3:40", "--select", "150:190"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "the selection" in [claim["label"] for claim in found["best"]]
    assert main([*command, "--select", "3-40"]) == 2
    assert "START:STOP" in capsys.readouterr().err


def test_commands_that_look_inside_load_nothing_heavy_for_their_help():
    code = (
        "import sys; from charloom.cli.main import main; main(['explain', '--help']);"
        "print(*{'numpy', 'matplotlib', 'pyarrow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
