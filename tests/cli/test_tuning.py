"""The command tune: what it tells, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from runs import TEXT

from charloom.cli import tuning
from charloom.cli.main import main


def test_the_command_tells_each_trial_and_the_best(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT)
    command = ["tune", "book.txt", "-o", "study", "--trials", "2", "--steps", "4"]
    command += ["--space", "dropout=0:0.5", "--hidden-size", "4"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("study  ")
    assert "trial 0: " in shown.err
    assert "trial 1: " in shown.err
    assert main([*command[:-2], "--space", "speed=1:2"]) == 2
    assert "--space: 'speed' cannot be searched" in capsys.readouterr().err


def test_the_command_says_what_a_trial_started_from(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text("The fox saw a crow on the limb of a tree, and said so.\n" * 20)
    command = ["tune", "book.txt", "--trials", "2", "--steps", "2", "--batches", "streams"]
    assert main([*command, "-o", "study"]) == 0
    told = capsys.readouterr().err
    assert re.search(r"trial 0: [\d.]+ bits  from english, learning_rate 0.003, dropout 0.2", told)
    assert re.search(r"trial 1: [\d.]+ bits  from english, learning_rate .*, batch_size ", told)
    few = ["--space", "clip_norm=0.5,1", "--hidden-size", "4", "--from", "none"]
    assert main([*command, *few, "-o", "other"]) == 0
    assert "from" not in capsys.readouterr().err
    assert main([*command, "--space", "num_layers=1,2", "--from", "english", "-o", "third"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("charloom: --space: num_layers cannot be searched, because every trial")
    assert not Path("third").exists()


def test_values_are_shown_short():
    assert tuning._short(0.0123456) == "0.01235"
    assert tuning._short("lstm") == "lstm"
