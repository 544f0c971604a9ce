"""The command copied: its table, marked samples, JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

import charloom
from charloom.cli import copied
from charloom.cli.main import main

BOOK = " ".join(Random(0).choices(["the", "fox", "and", "crow", "saw", "a", "dog"], k=900))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("copied")
    (folder / "book.txt").write_text(BOOK)
    (folder / "samples.txt").write_text("no\n" + BOOK[100:140] + "\nno")
    charloom.train(
        folder / "book.txt",
        output=folder / "book.run",
        model=charloom.ModelSettings(hidden_size=8, num_layers=1),
        training=charloom.TrainingSettings(steps=10, batches="streams"),
        start_from=None,
    ).finish()
    return folder


def run(capsys, *arguments: object) -> str:
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 0
    shown = capsys.readouterr()
    assert "warning: the model has never seen" in shown.err or shown.err == ""
    return shown.out


def test_shares_and_spans_are_shown_for_samples_and_held_out_text(folder, capsys):
    shown = run(
        capsys,
        *("copied", folder / "book.run", folder / "book.txt", folder / "samples.txt"),
        *("--size", "3", "--size", "40", "--spans", "1"),
    )
    lines = shown.splitlines()
    assert lines[0].split() == ["samples", "held", "out"]
    assert lines[1].split() == ["characters", "46", "46"]
    assert lines[3].split()[0] == "3"
    assert lines[4].split()[0] == "40"
    assert "longest spans of the samples" in lines
    assert f"          40  {BOOK[100:140]}" in lines
    assert "longest spans of held-out text" in lines
    at = lines.index("sample 1")
    assert lines[at + 1 : at + 5] == ["no", BOOK[100:140], "^" * 40, "no"]


def test_colors_and_json_are_there_where_they_are_asked_for(folder, capsys):
    files = (folder / "book.run", folder / "book.txt", folder / "samples.txt")
    assert f"\x1b[1;31m{BOOK[100:140]}\x1b[0m" in run(capsys, "copied", *files, "--color", "always")
    facts = json.loads(run(capsys, "copied", *files, "--json"))
    assert facts["samples_longest"][0] == {"number": 1, "start": 3, "text": BOOK[100:140]}
    assert [row["n"] for row in facts["new_ngrams"]] == [5, 10, 15, 20, 30, 50]


def test_of_a_long_span_the_beginning_is_shown(folder, capsys):
    files = (folder / "book.run", folder / "book.txt", folder / "book.txt")
    part = run(capsys, "copied", *files, "--show", "0", "--spans", "1").splitlines()
    (row,) = [line for line in part if BOOK[:20] in line]
    size = json.loads(run(capsys, "copied", *files, "--json"))["samples_longest"][0]["text"]
    assert row == f"{len(size):12,}  {BOOK[:297]}..."


def test_the_model_generates_samples(folder, capsys):
    files = (folder / "book.run", folder / "book.txt")
    shown = run(capsys, "copied", *files, "--count", "2", "--length", "60", "--show", "2")
    assert shown.splitlines()[0] == "samples drawn at temperature 0.7"
    assert shown.splitlines()[2].split() == ["characters", "120", "120"]
    assert "sample 2" in shown
    model = charloom.Model.load(folder / "book.run")
    assert model.generate_many(count=2, length=60, temperature=0.7)[1] in shown


def test_a_span_over_several_lines_is_marked_in_each():
    assert copied._lines("ab\ncd\n", [(1, 5)]) == [("ab", [(1, 2)]), ("cd", [(0, 2)]), ("", [])]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["samples.txt", "--count", "3"], "--count: is for samples that the model generates"),
        (["--mark", "0"], "--mark: 0 was given; it must be at least 1"),
        (["--spans", "-1"], "--spans: -1 was given; it must be at least 0"),
        (["--size", "0"], "--size: 0 was given; it must be at least 1"),
        (["no.txt"], "no.txt: there is no such file"),
    ],
)
def test_what_cannot_be_is_one_line(folder, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(folder)
    assert main(["copied", "book.run", "book.txt", *flags]) in (1, 2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"charloom: {message}")
    assert len(shown.err.splitlines()) == 1


def test_generate_writes_without_copied_spans(folder, capsys):
    command = [
        "generate",
        folder / "book.run",
        "--length",
        "150",
        "--seed",
        "1",
        "--prompt",
        "th",
    ]
    free = run(capsys, *command)
    made = run(capsys, *command, "--no-copies", "4", "--training-text", folder / "book.txt")
    spans = [[text[i : i + 4] in BOOK for i in range(len(text) - 4)] for text in (free, made)]
    assert any(spans[0])
    assert not any(spans[1])
    assert len(made) == 2 + 150 + 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--no-copies", "9"], "--no-copies and --training-text go together; give both"),
        (["--training-text", "book.txt"], "--no-copies and --training-text go together"),
        (["--no-copies", "1", "--training-text", "book.txt"], "--no-copies: 1 was given; it must"),
        (["--no-copies", "9", "--training-text", "no.txt"], "no.txt: there is no such file"),
        (["--grammar", "book.txt", "--pattern", "a+"], "--pattern and --grammar were given"),
    ],
)
def test_a_rule_against_copies_that_cannot_be_is_one_line(
    folder, capsys, monkeypatch, flags, message
):
    monkeypatch.chdir(folder)
    assert main(["generate", "book.run", *flags]) in (1, 2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"charloom: {message}")
    assert len(shown.err.splitlines()) == 1
