"""The command odd: tables, JSON lines, marks, and a log that is followed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

import charloom
from charloom.cli import marking, odd
from charloom.cli.main import main


def log(seed: int, count: int) -> str:
    random = Random(seed)
    return "".join(
        f"{random.randrange(100):02} opened door {random.randrange(10)}\n" for _ in range(count)
    )


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    """A folder with a model of lines, a model of a stream, and texts."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "usual.txt").write_text(log(1, 200))
    (folder / "new.txt").write_text(log(2, 30) + "99 opened d\tor 7\n" + log(3, 30))
    for batches in ("lines", "streams"):
        charloom.train(
            charloom.InMemory(log(0, 1000)),
            output=folder / f"{batches}.run",
            model=charloom.ModelSettings(hidden_size=24, num_layers=1),
            training=charloom.TrainingSettings(steps=80, learning_rate=0.03, batches=batches),
            start_from=None,
        ).finish()
    return folder


def run(capsys, *arguments: object) -> tuple[str, str]:
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 0
    shown = capsys.readouterr()
    return shown.out, shown.err


def test_an_odd_line_is_shown_with_its_number_and_marked(logs, capsys):
    shown, told = run(capsys, "odd", logs / "lines.run", logs / "new.txt", "--threshold", "0.03")
    head, *rows = shown.splitlines()
    assert head.split() == ["line", "p", "bits", "text"]
    assert len(odd._HEAD) == len(rows[0].partition("99 opened d")[0]) or len(rows) > 2
    at = next(n for n, row in enumerate(rows) if "99 opened d\\tor 7" in row)
    number, p, bits = rows[at].split()[:3]
    assert number == "31"
    assert float(p) <= 0.03
    assert float(bits) > 10
    tab = rows[at].index("\\t")
    assert rows[at + 1][tab : tab + 2] == "^^"
    assert " of 61 lines odd, with a p-value of at most 0.03; of as many ordinary ones" in told
    assert "about 1.8 would be" in told
    assert "the lowest that there is" not in told


def test_how_many_ordinary_lines_would_be_printed_is_a_plain_number(logs, capsys, tmp_path):
    (tmp_path / "long.txt").write_text((logs / "new.txt").read_text() * 25)
    for threshold, expected in ((1, "1,500"), (0.3, "460"), (0.03, "46")):
        command = ("odd", logs / "lines.run", tmp_path / "long.txt", "--threshold", threshold)
        _, told = run(capsys, *command, "--format", "jsonl")
        assert "of 1,525 lines odd" in told and f"about {expected} would be" in told


def test_without_a_threshold_it_is_the_lowest_that_few_lines_allow(logs, capsys):
    shown, told = run(capsys, "odd", logs / "lines.run", logs / "new.txt")
    assert "99 opened d" in shown
    assert "0.001 needs about 20,000 lines to train on, or 2,000 for --calibrate" in told


def test_json_lines_have_every_number(logs, capsys):
    shown, _ = run(
        capsys, "odd", logs / "lines.run", logs / "new.txt", "--threshold", "1", "--format", "jsonl"
    )
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [row["number"] for row in rows] == [*range(1, 62)]
    assert rows[30]["text"] == "99 opened d\tor 7"
    assert rows[30]["p"] == min(row["p"] for row in rows)
    assert {"start", "nats", "bits", "spans", "unknown_characters"} <= rows[0].keys()
    model = charloom.Model.load(logs / "lines.run")
    for row, part in zip(rows, model.odd(logs / "new.txt", threshold=1), strict=True):
        assert row["p"] == float(f"{part.p:.2g}")  # a share of a sample
        assert row["nats"] == part.nats


def test_colors_are_there_where_they_are_asked_for(logs, capsys, monkeypatch):
    command = ["odd", logs / "lines.run", logs / "new.txt", "--threshold", "0.03", "--color"]
    shown, _ = run(capsys, *command, "always")
    assert "\x1b[1;31m" in shown
    assert "^" not in shown
    shown, _ = run(capsys, *command, "never")
    assert "\x1b" not in shown
    monkeypatch.setattr(marking, "is_terminal", lambda stream: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert marking.in_color("auto")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not marking.in_color("auto")


def test_a_model_of_a_stream_is_calibrated_by_a_text(logs, capsys):
    stream, usual, new = logs / "streams.run", logs / "usual.txt", logs / "new.txt"
    shown, _ = run(capsys, "odd", stream, new, "--calibrate", usual, "--threshold", "0.02")
    assert "99 opened d\\tor 7" in shown
    shown, told = run(
        capsys, "odd", stream, new, "--calibrate", usual, "--window", "40", "--threshold", "0.03"
    )
    assert "\\tor 7" in shown
    assert " of 26 windows odd" in told


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["lines.run", "new.txt", "--threshold", "0"], "--threshold: 0.0 was given; it must be"),
        (["lines.run", "new.txt", "--threshold", "1e-9"], "--threshold: 1e-09 was given, and of"),
        (["streams.run", "new.txt"], "--calibrate: this model holds none; give a text"),
        (["lines.run", "new.txt", "--window", "9"], "--window: is for --calibrate, which"),
        (
            ["lines.run", "new.txt", "--window", "9", "--calibrate", "usual.txt"],
            "--window: 9 was given, and this model reads each line",
        ),
        (["lines.run", "no.txt", "--threshold", "0.1"], "no.txt: there is no such file"),
    ],
)
def test_what_cannot_be_is_one_line(logs, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(logs)
    assert main(["odd", *flags]) in (1, 2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"charloom: {message}")
    assert len(shown.err.splitlines()) == 1


def test_a_log_is_followed(logs):
    """A line is judged when it has arrived, not when the log ends."""
    command = [sys.executable, "-m", "charloom", "odd", str(logs / "lines.run"), "-"]
    with subprocess.Popen(
        [*command, "--threshold", "0.03", "--format", "jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        process.stdin.write("99 opened d\tor 7\n")
        process.stdin.flush()
        row = json.loads(process.stdout.readline())  # while standard input is open
        assert (row["number"], row["text"]) == (1, "99 opened d\tor 7")
        process.stdin.write("!!!\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["number"] == 2
        _, told = process.communicate()
    assert process.returncode == 0
    assert "2 of 2 lines" in told
