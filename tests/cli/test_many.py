"""The flag -o of score, evaluate and generate: what it tells, its status, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from models import FOX, fox_model

from charloom import Vocabulary
from charloom.cli import many
from charloom.cli.main import main


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a model and a folder of texts, that is the working directory."""
    fox_model(Vocabulary.of(FOX, unknown=True)).save(tmp_path / "fox.safetensors")
    (tmp_path / "texts").mkdir()
    for n in range(3):
        (tmp_path / "texts" / f"{n}.txt").write_text("the fox said")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_flags_are_those_of_the_settings():
    @many.many_flags
    def command(**values): ...

    assert {"workers", "column", "parts"} <= set(command.__signature__.parameters)


def test_the_command_says_what_it_did_and_its_status_is_that_of_the_files(place, capsys):
    command = ["evaluate", "fox.safetensors", "texts", "-o", "out", "--workers", "1"]
    assert main(command) == 0
    assert capsys.readouterr().out == "out  3 parts made, 3 rows\n"
    Path("texts/bad.txt").write_bytes(b"\xff")
    assert main(command) == 1
    shown = capsys.readouterr()
    assert shown.out == "out  0 parts made, 0 rows, 3 there before\n"
    assert "an error in 1 file, told in out/errors.jsonl" in shown.err


def test_what_is_wrong_with_a_file_is_told_with_the_flags_that_mend_it(place, capsys):
    Path("texts/utf16.txt").write_bytes("\ufeffthe fox".encode("utf-16-le"))
    Path("a.jsonl").write_text('{"body": "the fox"}\n')
    command = ["evaluate", "fox.safetensors", "texts", "a.jsonl", "-o", "out", "--workers", "1"]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert "utf16.txt: seems to be utf-16; read it with --encoding utf-16" in told
    assert "name the --column that holds the text" in told


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["evaluate", "M", "texts", "--workers", "2"], "--workers: is for many files, with -o"),
        (["generate", "M", "texts/a.txt"], "TEXT is a file of prompts for -o FOLDER"),
        (["generate", "M", "-o", "out"], "TEXT is missing"),
        (["generate", "M", "texts", "-o", "out", "--prompt", "a"], "leave out --prompt"),
        (["score", "M", "texts", "-o", "out", "--format", "json"], "--format is for one text"),
        (
            ["generate", "M", "texts", "-o", "out", "--format", "jsonl"],
            "is for one prompt",
        ),
        (["evaluate", "M", "texts", "-o", "out", "--json"], "--json is for one text"),
        (["score", "M", "texts", "-o", "o", "--address", "x"], "--address was given, which is for"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(place, capsys, command, complaint):
    assert main([word.replace("M", "fox.safetensors") for word in command]) == 2
    assert complaint in capsys.readouterr().err


def test_a_corpus_is_prepared_and_trained_on(place, capsys):
    assert main(["prepare", "texts", "-o", "corpus", "--workers", "1"]) == 0
    assert capsys.readouterr().out == "corpus  38 characters in 1 shard\n"
    command = ["train", "corpus", "-o", "run", "--steps", "2", "--hidden-size", "4"]
    assert main([*command, "--sequence-length", "4", "--patience", "0"]) == 0
