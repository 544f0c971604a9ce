"""The command tune: what it tells, and what it refuses."""

from __future__ import annotations

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


def test_values_are_shown_short():
    assert tuning._short(0.0123456) == "0.01235"
    assert tuning._short("lstm") == "lstm"
