"""A run's log as CSV: a row for each step, validations in columns of their own."""

from __future__ import annotations

import csv

import pytest

import charloom
from charloom.cli.main import main
from charloom.errors import ModelFileError
from charloom.inspection.logs import export_log
from charloom.training.log import read_log


@pytest.fixture
def folder(tmp_path):
    run = charloom.train(
        charloom.InMemory("the cat sat on the mat. " * 20),
        output=tmp_path / "my run",
        model=charloom.ModelSettings(hidden_size=4, num_layers=1),
        training=charloom.TrainingSettings(steps=6, validate_every=3),
    )
    run.finish()
    return tmp_path / "my run"


def test_the_csv_has_the_numbers_of_the_log(folder, tmp_path):
    assert export_log(folder, tmp_path / "log.csv") == 6
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    entries = list(read_log(folder / "log.jsonl"))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for row, entry in zip(rows, entries, strict=True):
        assert float(row["nats"]) == entry.nats
        assert float(row["learning_rate"]) == entry.learning_rate
        measured = row["validation_bits_per_character"]
        assert bool(measured) == (entry.validation is not None)
        if entry.validation is not None:
            assert float(measured) == entry.validation.bits_per_character


def test_the_command_line_writes_the_same_file(folder, tmp_path, capsys):
    export_log(folder, tmp_path / "a.csv")
    assert main(["export-log", str(folder), "-o", str(tmp_path / "b.csv")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/b.csv  6 steps\n"
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_line_that_is_being_written_is_left_out_and_no_run_is_refused(folder, tmp_path):
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"step": 7, "na')
    assert export_log(folder, tmp_path / "log.csv") == 6
    with pytest.raises(ModelFileError, match="not the folder of a run"):
        export_log(tmp_path, tmp_path / "log.csv")
