"""The command line: results, pipes, signals, and one line for every error."""

from __future__ import annotations

import errno
import gzip
import importlib.util
import io
import json
import math
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import PATIENCE, wait_until

import charloom
from charloom.cli.main import main

TEXT = "".join(f"The fox saw {n} crows on the limb of a tree.\n" for n in range(60))
QUICK = [
    "--steps",
    "20",
    "--hidden-size",
    "8",
    "--batch-size",
    "4",
    "--sequence-length",
    "8",
]


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "book.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory, book) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "book.run"
    assert main(["train", str(book), "-o", str(folder), *QUICK]) == 0
    return folder


@pytest.fixture
def lines_run(tmp_path, book) -> Path:
    folder = tmp_path / "lines.run"
    assert main(["train", str(book), "-o", str(folder), "--batches", "lines", *QUICK]) == 0
    return folder


def complaint(capsys, arguments: list[object], status: int) -> str:
    """The one line that a command prints when it fails, without its beginning."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("charloom: ")
    return lines[0].removeprefix("charloom: ")


def shell(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "charloom", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=60, check=False, **options
    )


# Training


def test_two_networks_are_trained_where_no_flag_describes_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("numbers.txt").write_text("".join(f"{n * n} " for n in range(2000)))
    for more, found in (
        ([], "2 networks side by side, together 1 layer of 896 units"),
        (["--hidden-size", "64"], "1 layer of 64 units"),
    ):
        assert main(["train", "numbers.txt", "-o", f"{len(more)}.run", "--steps", "1", *more]) == 0
        assert found in capsys.readouterr().err


def test_a_run_is_named_after_its_text_and_never_overwritten(tmp_path, monkeypatch, book, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(book), *QUICK]) == 0
    shown = capsys.readouterr()
    numbers = r"\d\.\d+ bits \(\d\.\d+ nats\)"
    last = rf"book\.run  {numbers} per character held out, at step \d+ of 20\n"
    assert re.fullmatch(last, shown.out)
    assert "2,367 characters to train on" in shown.err.splitlines()[0]
    before = (tmp_path / "book.run/model.safetensors").read_bytes()
    message = complaint(capsys, ["train", book, *QUICK], 1)
    assert "book.run" in message
    assert "go on with --resume, or choose another folder" in message
    assert (tmp_path / "book.run/model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("a/book.txt", "book.run"),
        ("book.txt.gz", "book.run"),
        ("my.book", "my.book.run"),
        ("books/", "books.run"),
        ("books/*.md", "text.run"),
        ("-", "stdin.run"),
    ],
)
def test_folders_are_named_after_texts(text, folder):
    from charloom.cli.training import _folder_for

    assert _folder_for(text, resume=False) == Path(folder)


def test_standard_input_and_compressed_texts_train(tmp_path, book):
    with gzip.open(tmp_path / "book.txt.gz", "wb") as file:
        file.write(book.read_bytes())
    done = shell("train", "-", *QUICK, input=TEXT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert main(["train", str(tmp_path / "book.txt.gz"), "-o", str(tmp_path / "gz"), *QUICK]) == 0
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("stdin.run", "gz"))
    assert a == b


def test_resuming_may_repeat_the_command_but_not_change_it(tmp_path, book, capsys):
    command = ["train", book, "-o", tmp_path / "run", *QUICK]
    assert main([str(a) for a in command]) == 0
    before = (tmp_path / "run/model.safetensors").read_bytes()
    for again in (
        [*command, "--resume"],
        ["train", "--resume", "-o", tmp_path / "run"],
        ["train", "--resume", tmp_path / "run"],
    ):
        capsys.readouterr()
        assert main([str(a) for a in again]) == 0
        assert "at step 20 of 20" in capsys.readouterr().out
    changed = ["train", "--resume", "-o", tmp_path / "run", "--hidden-size", "9"]
    assert "--hidden-size: 9 was given, but this run has 8" in complaint(capsys, changed, 2)
    (tmp_path / "other.txt").write_text(TEXT + "!")
    other = ["train", tmp_path / "other.txt", "--resume", "-o", tmp_path / "run"]
    assert "another text" in complaint(capsys, other, 2)
    assert (tmp_path / "run/model.safetensors").read_bytes() == before
    longer = ["train", "--resume", "-o", tmp_path / "run", "--steps", "24", "--threads", "1"]
    assert main([str(a) for a in longer]) == 0
    assert "of 24\n" in capsys.readouterr().out
    assert charloom.resume(tmp_path / "run").step == 24


def test_a_validation_text_of_its_own(tmp_path, book, capsys):
    (tmp_path / "other.txt").write_text("A fox in a tree.\n")
    command = [
        "train",
        book,
        "--validation",
        tmp_path / "other.txt",
        "-o",
        tmp_path / "run",
    ]
    assert main([*map(str, command), *QUICK]) == 0
    assert charloom.Model.load(tmp_path / "run").provenance.validation.characters == 17


@contextmanager
def killed_at_last(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A test that fails must not wait for a process that has much to do."""
    try:
        yield
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_step_saves_and_says_how_to_go_on(tmp_path, book, number):
    folder = tmp_path / "run"
    command = ["train", book, "-o", folder, *QUICK, "--steps", 10**6, "--validate-every", 20]
    arguments = [sys.executable, "-m", "charloom", *map(str, command)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    with process, killed_at_last(process):
        wait_until((folder / "checkpoint.safetensors").exists)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert out == b""
    last = err.decode().splitlines()[-1]
    assert f"go on with: charloom train --resume -o {folder}" in last
    assert "Traceback" not in err.decode()
    resumed = charloom.resume(folder)
    resumed.stop()
    log = (folder / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == list(range(1, resumed.step + 1))
    assert f"after step {resumed.step:,}" in last
    assert shell("generate", folder, "--length", 9).returncode == 0


def test_a_narrow_terminal_shows_a_run(tmp_path, book):
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm"}
    command = ["train", book, "-o", tmp_path / "run", *QUICK, "--steps", "200"]
    process = subprocess.Popen(
        [sys.executable, "-m", "charloom", *map(str, command)],
        stderr=follower,
        stdout=subprocess.PIPE,
        env=environment,
    )
    os.close(follower)
    shown = b""
    with process:
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        assert process.stdout is not None
        out = process.stdout.read().decode()
    os.close(leader)
    assert process.returncode == 0
    assert "held out" in out
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "validation" in text
    assert "characters/s" in text
    drawn = [line for line in re.split(r"[\r\n]+", text) if "━" in line]
    assert drawn
    assert max(map(len, drawn)) <= 40


# Results


def test_generate_goes_on_with_the_prompt_and_streams(run, capsys):
    command = ["generate", str(run), "--prompt", "The fox", "--length", "30"]
    assert main(command) == 0
    first = capsys.readouterr()
    assert first.out.startswith("The fox")
    assert len(first.out) == 7 + 30 + 1
    (seed,) = re.fullmatch(r"seed (\d+), temperature 0\.7\n", first.err).groups()
    assert main(command) == 0
    assert capsys.readouterr().out != first.out
    assert main([*command, "--seed", seed]) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (first.out, "")
    assert main([*command, "--seed", seed, "--temperature", "0.7"]) == 0
    assert capsys.readouterr() == (first.out, "")
    assert main([*command, "--temperature", "1"]) == 0
    assert re.fullmatch(r"seed \d+\n", capsys.readouterr().err)


def test_a_prompt_comes_from_a_file_or_standard_input(run, tmp_path, capsys, monkeypatch):
    (tmp_path / "prompt.txt").write_bytes(b"\xef\xbb\xbfThe\r\nfox")
    command = ["generate", str(run), "--length", "5", "--seed", "1"]
    shown = []
    for arguments in (["--prompt", "The\r\nfox"], ["--prompt-file", str(tmp_path / "prompt.txt")]):
        assert main([*command, *arguments]) == 0
        shown.append(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"The\nfox")))
    assert main([*command, "--prompt-file", "-"]) == 0
    shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2]
    assert shown[0].startswith("The\nfox")
    assert "not both" in complaint(capsys, [*command, "--prompt", "a", "--prompt-file", "b"], 2)


def test_generate_makes_one_line_per_text_of_a_model_of_lines(lines_run, capsys):
    capsys.readouterr()
    assert main(["generate", str(lines_run), "--count", "5"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_texts_of_several_lines_are_set_apart(run, capsys):
    options = ["--prompt", "a\nb", "--seed", "1", "--length", "5"]
    assert main(["generate", str(run), *options, "--count", "3"]) == 0
    texts = capsys.readouterr().out.split("\n---\n")
    assert [text[:3] for text in texts] == ["a\nb"] * 3


def test_json_lines_have_each_text_and_what_it_was_drawn_with(run, lines_run, tmp_path, capsys):
    capsys.readouterr()
    for path, count in ((run, 1), (run, 3), (lines_run, 3)):
        command = ["generate", str(path), "--prompt", "The fox\n", "--count", str(count)]
        command += ["--length", "9", "--top-k", "5"]
        assert main([*command, "--format", "jsonl"]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        rows = [json.loads(line) for line in shown.out.splitlines()]
        model = charloom.Model.load(path)
        options = {"temperature": 0.7, "top_k": 5, "top_p": 1.0, "seed": rows[0]["seed"]}
        texts = model.generate_many("The fox\n", count=count, length=9, **options)
        drawn = options | model.computed_with
        assert rows == [
            {"number": n, "prompt": "The fox\n", "text": text} | drawn
            for n, text in enumerate(texts)
        ]
    state = tmp_path / "state"
    assert main(["generate", str(run), "--state-out", str(state), "--format", "jsonl"]) == 0
    text = json.loads(capsys.readouterr().out)["text"]
    assert charloom.TextState.load(state).drawn == len(text)
    command = ["generate", str(run), "--validate", "true", "--count", "2", "--format", "jsonl"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert [json.loads(line)["number"] for line in shown.out.splitlines()] == [0, 1]
    assert shown.err.startswith("2 of 2 texts accepted")


def test_generate_stops_where_it_is_told(run, capsys):
    assert main(["generate", str(run), "--stop", "e", "--stop", " ", "--temperature", "2"]) == 0
    assert not set(capsys.readouterr().out) & set("e ")


def test_evaluate_prints_a_table_and_json_with_the_same_numbers(run, book, capsys):
    assert main(["evaluate", str(run), str(book), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["characters"] == facts["utf8_bytes"] == len(TEXT)
    assert facts["unknown_characters"] == 0
    bits = facts["nats"] / facts["characters"] / math.log(2)
    assert facts["bits_per_character"] == pytest.approx(bits)
    assert facts["perplexity"] == pytest.approx(2**bits)
    assert main(["evaluate", str(run), str(book)]) == 0
    table = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert table.keys() == facts.keys() >= {"precision", "kernels"}
    assert float(table["bits_per_character"]) == pytest.approx(bits, rel=1e-5)
    assert main(["evaluate", str(run), str(book), "--json", "--exact"]) == 0
    exact = json.loads(capsys.readouterr().out)
    assert exact["nats"] == pytest.approx(facts["nats"], rel=1e-2)


def test_evaluate_keeps_the_adapted_numbers_apart(run, book, capsys):
    assert main(["evaluate", str(run), str(book), "--json"]) == 0
    static = json.loads(capsys.readouterr().out)
    flags = ["--adapt", "--learning-rate", "0.01", "--sequence-length", "20"]
    assert main(["evaluate", str(run), str(book), "--json", *flags]) == 0
    both = json.loads(capsys.readouterr().out)
    adapted = both.pop("adapted")
    assert both == static
    assert adapted["bits_per_character"] < static["bits_per_character"]
    assert (adapted["learning_rate"], adapted["sequence_length"]) == (0.01, 20)
    assert main(["evaluate", str(run), str(book), *flags]) == 0
    assert "adapted.bits_per_character" in capsys.readouterr().out


def test_compare_prints_both_models_and_where_they_differ(run, book, tmp_path, capsys):
    other = tmp_path / "other.run"
    assert main(["train", str(book), "-o", str(other), "--seed", "5", *QUICK]) == 0
    capsys.readouterr()
    command = ["compare", str(run), str(other), str(book), "--places", "2"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["a"]["characters"] == found["b"]["characters"] == len(TEXT)
    assert found["interval"][0] < found["difference"] < found["interval"][1]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert f"B less A              {found['difference']:+.4f}" in shown
    assert "95 % interval" in shown
    rows = [line for line in shown.splitlines() if re.match(r" +[\d,]+ +[\d.]+ +[\d.]+  ", line)]
    assert len(rows) == len(found["a_better"]) + len(found["b_better"])
    assert "places: -1 was given" in complaint(capsys, [*command[:-1], "-1"], 2)


def test_a_flag_of_adapting_needs_adapt(run, book, capsys):
    command = ["evaluate", str(run), str(book), "--learning-rate", "0.01"]
    assert "--learning-rate: has no effect without --adapt" in complaint(capsys, command, 2)


def test_evaluate_says_what_int8_costs(run, book, capsys, monkeypatch):
    bits = {}
    for precision in ("float32", "int8"):
        assert main(["evaluate", str(run), str(book), "--json", "--precision", precision]) == 0
        facts = json.loads(capsys.readouterr().out)
        bits[precision] = facts["bits_per_character"]
        assert facts["precision"] == precision
        assert facts["kernels"].startswith("native ")
    cost = facts["int8_costs_bits_per_character"]
    assert cost == pytest.approx(bits["int8"] - bits["float32"]) != 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert main(["evaluate", str(run), "-", "--json", "--precision", "int8"]) == 0
    assert json.loads(capsys.readouterr().out)["int8_costs_bits_per_character"] == cost


@pytest.mark.parametrize("by", ["character", "word", "line"])
def test_the_parts_of_a_score_add_up_in_every_form(run, book, by, capsys):
    assert main(["evaluate", str(run), str(book), "--json", "--exact"]) == 0
    nats = json.loads(capsys.readouterr().out)["nats"]
    assert main(["score", str(run), str(book), "--by", by, "--format", "json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert "".join(part["text"] for part in scored["parts"]) == TEXT
    assert sum(part["nats"] for part in scored["parts"]) == scored["total"]["nats"] == nats
    assert main(["score", str(run), str(book), "--by", by, "--format", "jsonl"]) == 0
    *parts, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert parts == scored["parts"]
    assert last == {"total": scored["total"]}
    assert main(["score", str(run), str(book), "--by", by]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[len(parts) + 1] == ""
    assert len(rows) == 1 + len(parts) + 1 + len(last["total"])


def test_a_score_reads_standard_input_and_counts_unknown_characters(run):
    done = shell("score", run, "-", "--format", "json", input="The fox ψ\n")
    assert done.returncode == 0
    assert json.loads(done.stdout)["total"]["unknown_characters"] == 1
    assert len(done.stderr.splitlines()) == 1
    assert "ψ" in done.stderr
    assert done.stderr.startswith("charloom: warning: ")


def test_info_tells_of_a_model_in_two_forms(run, capsys):
    assert main(["info", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == charloom.Model.load(run).describe()
    assert facts["record"]["corpus"]["characters"] == len(TEXT)
    assert main(["info", str(run / "model.safetensors")]) == 0
    shown = capsys.readouterr().out
    assert "settings.hidden_size" in shown
    assert r"\n" in next(line for line in shown.splitlines() if "vocabulary.characters" in line)


def test_demo_tells_its_story(capsys):
    assert main(["demo"]) == 0
    assert "One bright morning as the Fox" in capsys.readouterr().out


def test_output_is_utf8_whatever_the_locale(tmp_path):
    (tmp_path / "greek.txt").write_text("ψυχή " * 50, encoding="utf-8")
    folder = tmp_path / "run"
    assert main(["train", str(tmp_path / "greek.txt"), "-o", str(folder), *QUICK]) == 0
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = shell("generate", folder, "--prompt", "ψ", "--length", 20, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ψ")


def test_a_closed_pipe_is_quiet_and_the_status_that_of_other_programs(run, tmp_path):
    (tmp_path / "long.txt").write_text(TEXT * 4)
    python = f"'{sys.executable}' -m charloom"
    for command, reader in (
        (f"{python} generate '{run}' --length 20000 --seed 0", "head -c 1"),
        (f"{python} score '{run}' '{tmp_path}/long.txt' --by character", "head -n 1"),
        ("yes", "head -n 1"),
    ):
        line = f"{{ {command}; echo $? >&2; }} | {reader}"
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stderr == "141\n"


# Help


def test_help_and_version_are_quick_and_load_no_numpy(tmp_path):
    code = (
        "import sys; from charloom.cli.main import main; "
        "status = main(sys.argv[1:]); assert 'numpy' not in sys.modules; sys.exit(status)"
    )
    for arguments in (["--version"], ["--help"], ["train", "--help"], []):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "charloom" in done.stdout


def test_every_setting_is_a_flag_with_its_help_and_bounds(capsys):
    assert main(["train", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for group in (charloom.TextSettings, charloom.ModelSettings, charloom.TrainingSettings):
        for name, field in group.model_fields.items():
            assert f"--{name.replace('_', '-')} " in shown
            assert str(field.description) in shown.replace("- ", "-")
    assert "(at least 1, at most 64)" in shown


def test_help_fits_a_narrow_terminal_without_cutting_flags(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["train", "--help"]) == 0
    assert "--final-learning-rate" in capsys.readouterr().out


def test_the_manual_is_what_the_commands_say():
    path = Path(__file__).parents[2] / "scripts" / "make_cli_docs.py"
    spec = importlib.util.spec_from_file_location("make_cli_docs", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    stale = "docs/cli.md is stale: run python scripts/make_cli_docs.py"
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), stale


# Errors


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "trian"),
        (["train"], "TEXT is missing"),
        (["generate"], "MODEL"),
        (
            ["train", "BOOK", "--hidden-size", "0"],
            "--hidden-size: 0 was given; it must be at",
        ),
        (["train", "BOOK", "--hidden-size", "many"], "--hidden-size"),
        (["train", "BOOK", "--learning-rate", "10"], "--learning-rate: 10.0 was given"),
        (["train", "BOOK", "--cell", "mgu"], "lstm"),
        (["train", "BOOK", "--steps", "5", "--minutes", "1"], "give one of them"),
        (["train", "BOOK", "--minimum-count", "2", "--no-unknown"], "--minimum-count is 2"),
        (["train", "BOOK", "--encoding", "klingon"], "--encoding: 'klingon' was given"),
        (["train", "BOOK", "--speed", "9"], "--speed"),
        (["generate", "RUN", "--temperature", "-1"], "--temperature: -1.0 was given"),
        (["generate", "RUN", "--top-p", "0"], "--top-p: 0.0 was given"),
        (["generate", "RUN", "--count", "0"], "count"),
        (["generate", "RUN", "--length", "-1"], "length"),
        (["generate", "RUN", "--threads", "-1"], "--threads: -1 was given"),
        (["score", "RUN", "BOOK", "--by", "page"], "page"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    tmp_path, monkeypatch, capsys, book, run, arguments, expected
):
    monkeypatch.chdir(tmp_path)
    names = {"BOOK": str(book), "RUN": str(run)}
    message = complaint(capsys, [names.get(a, a) for a in arguments], 2)
    assert expected in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no such file"),
        (b"", "empty"),
        (b"PK\x03\x04\x00\x00\x00\x00binary", "zip archive"),
        (b"a line\nand a \x00", "byte 13 .* is NUL.*--errors replace"),
        (b"a", r"too short to train on \(1 character\)"),
        (b"caf\xe9 au lait", "byte 3.*--encoding.*--errors replace"),
    ],
    ids=["missing", "empty", "binary", "stray NUL", "too short", "undecodable"],
)
def test_a_text_that_cannot_be_used_is_one_line_and_leaves_no_folder(
    tmp_path, capsys, content, expected
):
    text = tmp_path / "book.txt"
    if content is not None:
        text.write_bytes(content)
    message = complaint(capsys, ["train", text, "-o", tmp_path / "run", *QUICK], 1)
    assert re.search(expected, message)
    assert not (tmp_path / "run").exists()


def test_an_encoding_or_replacement_reads_what_utf8_does_not(tmp_path, capsys, run):
    text = tmp_path / "book.txt"
    text.write_bytes(b"caf\xe9 au lait\n" * 20)
    for number, flags in enumerate((["--encoding", "latin-1"], ["--errors", "replace"])):
        folder = tmp_path / f"run {number}"
        assert main(["train", str(text), "-o", str(folder), *QUICK, *flags]) == 0
        assert main(["evaluate", str(folder), str(text)]) == 0
        capsys.readouterr()
        assert main(["evaluate", str(run), str(text), *flags]) == 0
        assert "warning" in capsys.readouterr().err


def test_a_text_shorter_than_one_window_is_one_line(tmp_path, capsys):
    (tmp_path / "book.txt").write_text("short")
    command = [
        "train",
        tmp_path / "book.txt",
        "-o",
        tmp_path / "run",
        "--batches",
        "windows",
    ]
    assert "window" in complaint(capsys, command, 1)


def test_a_validation_smaller_than_a_batch_is_handled(tmp_path, capsys):
    (tmp_path / "book.txt").write_text("to be or not to be, that is it")
    command = ["train", tmp_path / "book.txt", "-o", tmp_path / "run", "--steps", "3"]
    assert main([*map(str, command), "--hidden-size", "8"]) == 0
    assert "held out" in capsys.readouterr().out


def damaged(data: bytes, how: str) -> bytes:
    match how:
        case "truncated":
            return data[:-10]
        case "foreign":
            return b"\x89PNG\r\n\x1a\n" + b"\x00" * 100
        case "damaged":
            middle = len(data) // 2
            return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        case "empty":
            return b""
    raise AssertionError(how)


@pytest.mark.parametrize("verb", ["generate", "evaluate", "score", "info"])
@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "foreign", "damaged", "newer"])
def test_a_model_that_cannot_be_used_is_one_line(
    tmp_path, monkeypatch, capsys, book, run, verb, how
):
    path = tmp_path / "model.safetensors"
    if how == "newer":
        from charloom.model.storage import container

        model = charloom.Model.load(run)
        with monkeypatch.context() as patch:
            patch.setattr(container, "FORMAT", container.FORMAT_8_BITS + 1)
            model.save(path)
    elif how != "missing":
        path.write_bytes(damaged((run / "model.safetensors").read_bytes(), how))
    texts = [book] if verb in ("evaluate", "score") else []
    message = complaint(capsys, [verb, path, *texts], 1)
    assert str(path) in message
    expected = {"missing": "no such file", "newer": "upgrade", "foreign": "not a charloom"}
    assert expected.get(how, how) in message


def test_a_folder_without_a_model_or_a_run_is_one_line(tmp_path, capsys):
    assert "holds no model.safetensors" in complaint(capsys, ["info", tmp_path], 1)
    assert "not the folder of a run" in complaint(capsys, ["train", "--resume", tmp_path], 1)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch, capsys, book):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = complaint(capsys, ["train", book, "-o", tmp_path / "run", *QUICK], 1)
    assert "No space left" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_results_that_cannot_be_written_are_one_line(run):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "charloom", "info", str(run)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "charloom: output: No space left on device\n"


def test_a_folder_that_may_not_be_written_to_is_one_line(tmp_path, monkeypatch, capsys, book):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    message = complaint(capsys, ["train", book, "-o", tmp_path / "run", *QUICK], 1)
    assert "Permission denied" in message
    assert "-o" in message


def test_an_unknown_character_where_it_is_refused_is_one_line(tmp_path, capsys, book):
    folder = tmp_path / "run"
    assert main(["train", str(book), "-o", str(folder), "--no-unknown", *QUICK]) == 0
    (tmp_path / "other.txt").write_text("The fox €")
    for command in (
        ["score", folder, tmp_path / "other.txt"],
        ["evaluate", folder, tmp_path / "other.txt"],
        ["generate", folder, "--prompt", "The fox €", "--seed", "0"],
    ):
        capsys.readouterr()
        assert main([*map(str, command)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "'€' (U+20AC) at position 8" in line


def test_a_loss_that_is_not_finite_is_one_line(tmp_path, monkeypatch, capsys, book):
    def explode(self):
        raise charloom.CharloomError("step 3: the loss is not finite")

    monkeypatch.setattr(charloom.Run, "__next__", explode)
    assert main(["train", str(book), "-o", str(tmp_path / "run"), *QUICK]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == ("charloom: step 3: the loss is not finite")


def test_too_large_a_network_for_the_memory_is_one_line(monkeypatch, tmp_path, capsys, book):
    from charloom.training import trainer

    def huge(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(trainer, "initial_weights", huge)
    message = complaint(capsys, ["train", book, "-o", tmp_path / "run", "--hidden-size", "8"], 1)
    assert "not enough memory" in message
    assert not (tmp_path / "run").exists()
