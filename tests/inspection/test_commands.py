"""The commands that look into a model: inspect, explain, recall, context, units and plot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from models import FOX, fox_model, short_run

from charloom.cli.main import main


@pytest.fixture
def model_file(tmp_path) -> Path:
    fox_model().save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_inspect_writes_every_file_that_is_named(model_file, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text(FOX, encoding="utf-8")
    npz, as_json = tmp_path / "a.npz", tmp_path / "a.json"
    arguments = ["inspect", str(model_file), str(text), "--npz", str(npz), "--json", str(as_json)]
    assert main(arguments) == 0
    with np.load(npz) as stored:
        assert len(stored["ids"]) == len(FOX)
    assert len(json.loads(as_json.read_text())["steps"]) == len(FOX)


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
    assert "--at: 7 was given" in capsys.readouterr().err


def test_recall_trains_networks_and_context_measures_a_model(model_file, tmp_path, capsys):
    small = ["--hidden-size", "4", "--steps", "2", "--distance", "2"]
    assert main(["recall", *small]) == 0
    assert "RNN, as many weights" in capsys.readouterr().out
    assert main(["recall", *small, "--json"]) == 0
    names = [json.loads(line)["cell"] for line in capsys.readouterr().out.splitlines()]
    assert names == ["lstm", "rnn", "rnn"]
    text = tmp_path / "text.txt"
    text.write_text(FOX, encoding="utf-8")
    assert main(["context", str(model_file), str(text), "--distance", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["distance"] for step in found["by_distance"]] == [1, 2, 4]
    assert main(["context", str(model_file), str(text), "--distance", "4"]) == 0
    assert "places of the text" in capsys.readouterr().out
    assert main(["context", str(model_file)]) == 2
    assert "TEXT" in capsys.readouterr().err
    assert main(["recall", str(text)]) == 2


def test_units_reports_in_a_table_or_as_json(model_file, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text(FOX * 4, encoding="utf-8")
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


def test_plot_draws_the_curve_into_the_folder_of_a_run(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    short_run(tmp_path / "fox.run")
    assert main(["plot", str(tmp_path / "fox.run")]) == 0
    assert (tmp_path / "fox.run" / "curve.png").read_bytes().startswith(b"\x89PNG")
