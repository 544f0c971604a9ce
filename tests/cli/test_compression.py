"""`compress` and `decompress`, as they are typed."""

from __future__ import annotations

import json

import pytest

import charloom
from charloom.cli import compression
from charloom.cli.main import main

TEXT = "the fox and the crow\r\n" * 30


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_bytes(TEXT.encode())
    model = charloom.Model.untrained(
        charloom.ModelSettings(hidden_size=8), charloom.Vocabulary.of(TEXT), seed=1
    )
    model.save("fox.safetensors")
    return tmp_path


def complaint(capsys, command: list[str]) -> str:
    assert main(command) in (1, 2)
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("model", [[], ["fox.safetensors"]])
def test_a_file_comes_back(place, capsys, model):
    assert main(["compress", *model, "book.txt", "--json"]) == 0
    out, error = capsys.readouterr()
    told = json.loads(out)
    assert error == ""
    assert told["archive_bytes"] == (place / "book.txt.loom").stat().st_size
    assert told["bytes"] == told["characters"] == len(TEXT)
    assert main(["decompress", *model, "book.txt.loom", "-o", "back.txt"]) == 0
    assert capsys.readouterr().out == ""
    assert (place / "back.txt").read_bytes() == TEXT.encode()


def test_flags_reach_the_library(place, capsys):
    command = ["compress", "fox.safetensors", "book.txt", "-o", "a.loom"]
    assert main([*command, "--json"]) == 0
    static = json.loads(capsys.readouterr().out)["code_bytes"]
    adapting = ["--adapt", "--learning-rate", "0.01", "--sequence-length", "16", "--inside"]
    assert main([*command, *adapting, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code_bytes"] < static
    assert main(["decompress", "a.loom", "-o", "back.txt"]) == 0
    assert (place / "back.txt").read_bytes() == TEXT.encode()


def test_wrong_use_is_one_line(place, capsys):
    assert main(["compress", "book.txt"]) == 0
    capsys.readouterr()
    assert "give -o FILE" in complaint(capsys, ["decompress", "book.txt.loom"])
    assert "--adapt: is for a model" in complaint(capsys, ["compress", "book.txt", "--adapt"])
    assert "--inside: is for a model" in complaint(capsys, ["compress", "book.txt", "--inside"])
    command = ["compress", "fox.safetensors", "book.txt", "--learning-rate", "0.1"]
    assert "no effect without --adapt" in complaint(capsys, command)
    assert "too many names (3)" in complaint(capsys, ["compress", "a", "b", "c"])
    assert "no-such" in complaint(capsys, ["compress", "no-such"])
    for folder in (".", "..", "/", str(place)):
        for command in (["compress", folder], ["compress", "fox.safetensors", folder]):
            assert f"{folder}: Is a directory" in complaint(capsys, command)
        command = ["decompress", "book.txt.loom", "-o", folder]
        assert "cannot be written" in complaint(capsys, command)
    assert "is not an archive" in complaint(capsys, ["decompress", "book.txt", "-o", "x"])
    assert not (place / "x").exists()
    assert compression.compress.__doc__
