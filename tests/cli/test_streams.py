"""Standard streams that are closed, full, replaced or gone: results, messages and runs."""

from __future__ import annotations

import ast
import fcntl
import functools
import io
import itertools
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import pytest
import typer
from waiting import PATIENCE, wait_until

import charloom
from charloom.cli import streams
from charloom.cli.formatting import quoted
from charloom.cli.lazy import app
from charloom.cli.main import main
from charloom.cli.verbs import VERBS
from charloom.engines.native import available_kernels
from charloom.model.compression.compress import compress
from charloom.settings import CompressionSettings

TEXT = "".join(f"The fox saw {n} crows on the limb of a tree.\n" for n in range(60))
SPACE = ["--space", "clip_norm=0.5,1"]
QUICK = ["--steps", "6", "--hidden-size", "8", "--batch-size", "4", "--sequence-length", "8"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    (folder / "book.txt").write_text(TEXT)
    assert main(["train", str(folder / "book.txt"), "-o", str(folder / "run"), *QUICK]) == 0
    compress(folder / "book.txt", folder / "run.loom", settings=CompressionSettings(hidden_size=4))
    return folder


def command_of(verb: str, place: Path, new: Path) -> list[str]:
    book, run = str(place / "book.txt"), str(place / "run")
    small = ["--hidden-size", "4", "--steps", "2", "--distance", "2"]
    commands = {
        "train": [book, "-o", str(new / "run"), *QUICK],
        "generate": [run, "--seed", "1", "--length", "20"],
        "evaluate": [run, book],
        "score": [run, book],
        "compare": [run, run, book],
        "complete": [run, "--prompt", "The", "-n", "2", "--length", "3", "--most", "50"],
        "fill": [run, "The ___ saw", "-n", "2", "--length", "3", "--samples", "9", "--seed", "1"],
        "odd": [run, book, "--calibrate", book, "--threshold", "1"],
        "copied": [run, book, "--spans", "1"],
        "compress": [book, "-o", str(new / "a.loom")],
        "decompress": [str(place / "run.loom"), "-o", str(new / "a.txt")],
        "tune": [book, "-o", str(new / "study"), "--trials", "1", *SPACE, *QUICK],
        "prepare": [book, "-o", str(new / "corpus")],
        "export": [run, "-o", str(new / "a.html")],
        "import": [str(place / "run" / "model.safetensors"), "-o", str(new / "a.safetensors")],
        "card": [run],
        "info": [run],
        "inspect": [run, "--text", "The fox", "--json", str(new / "a.json")],
        "explain": [run, "--text", "The fox"],
        "units": [run, book, "--shuffles", "20", "--characters", "200"],
        "context": [run, book, "--distance", "2", "--places", "9"],
        "recall": small,
        "plot": [run, "-o", str(new / "a.png")],
        "demo": [],
        "export-log": [run, "-o", str(new / "a.csv")],
    }
    return [verb, *commands[verb]]


SILENT = ("inspect", "decompress", "export", "import", "tune")  # which prints no results
EXTRAS = {"plot": "matplotlib", "copied": "pydivsufsort"}
TRIED = [verb for verb in VERBS if verb != "serve"]
WAYS = ["none", "closed", "gone", "full"]


def two_ways_each(verbs: list[str]) -> list[tuple[str, str]]:
    """Each verb with two of the ways, by turns: what a verb does of itself, it does in both."""
    return [(verb, WAYS[(n + more) % 4]) for n, verb in enumerate(verbs) for more in (0, 2)]


class Gone(io.StringIO):
    """A terminal that has gone, or a full disk."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@contextmanager
def broken(how: str) -> Iterator[IO[str] | None]:
    if how == "none":
        yield None
    elif how == "closed":
        stream = io.StringIO()
        stream.close()
        yield stream
    elif how == "gone":
        yield Gone()
    else:
        with open("/dev/full", "w") as full:  # noqa: PTH123
            yield full
            with suppress(OSError):
                full.close()


AS_JSON = sorted(
    verb
    for verb, command in typer.main.get_command(app(VERBS)).commands.items()
    if any("--json" in flag.opts and flag.is_flag for flag in command.params)
)


@pytest.mark.parametrize("verb", [verb for verb in AS_JSON if verb != "info"])  # computes nothing
def test_json_says_what_its_numbers_were_computed_with(verb, place, tmp_path, capsys):
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason="needs an extra")
    capsys.readouterr()
    assert main([*command_of(verb, place, tmp_path), "--json"]) == 0
    named = re.findall(r'"(precision|kernels)": ', capsys.readouterr().out)
    assert set(named) == {"precision", "kernels"}


@pytest.fixture(scope="module")
def usual(place, tmp_path_factory) -> Callable[[str], tuple[Path, str]]:
    """The folder that a command wrote to, and what it printed, where nothing was broken."""

    @functools.cache
    def usual(verb: str) -> tuple[Path, str]:
        folder = tmp_path_factory.mktemp(verb)
        with redirect_stdout(io.StringIO()) as shown:
            assert main(command_of(verb, place, folder)) == 0
        return folder, shown.getvalue()

    return usual


@pytest.mark.parametrize(("verb", "how"), two_ways_each(TRIED))
def test_without_standard_error_results_are_whole_and_nothing_else(
    verb, how, place, usual, tmp_path, monkeypatch, capsys
):
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason="needs an extra")
    folder, expected = usual(verb)
    capsys.readouterr()
    with broken(how) as stream, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        assert main(command_of(verb, place, tmp_path)) == 0
    assert capsys.readouterr().out == expected.replace(str(folder), str(tmp_path))
    assert sorted(os.listdir(folder)) == sorted(os.listdir(tmp_path))  # noqa: PTH208


@pytest.mark.parametrize(
    ("verb", "how"), two_ways_each([verb for verb in TRIED if verb not in SILENT])
)
def test_results_that_cannot_be_written_are_one_line_and_end_no_run(
    verb, how, place, tmp_path, monkeypatch, capsys
):
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason="needs an extra")
    with broken(how) as stream, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        status = main(command_of(verb, place, tmp_path))
    last = capsys.readouterr().err.splitlines()[-1]
    assert (status, last[:18]) == (1, "charloom: output: ")
    if verb == "train":
        run = charloom.resume(tmp_path / "run")
        assert run.finished
        run.stop()


@contextmanager
def unread() -> Iterator[IO[str]]:
    """A pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:  # noqa: PTH123
        yield pipe


@pytest.mark.parametrize("verb", [verb for verb in TRIED if verb not in SILENT] + ["--help"])
def test_where_the_reader_of_a_pipe_has_gone_a_command_ends_like_one_of_unix(
    verb, place, tmp_path, monkeypatch, capsys
):
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason="needs an extra")
    commands = [["--help"], ["--version"], ["generate", "--help"]]
    if verb != "--help":
        commands = [command_of(verb, place, tmp_path)]
    for command in commands:
        with unread() as pipe, monkeypatch.context() as patch:
            patch.setattr("sys.stdout", pipe)
            assert main(command) == 128 + signal.SIGPIPE
        assert "charloom:" not in capsys.readouterr().err
    if verb == "train":
        run = charloom.resume(tmp_path / "run")
        assert run.finished
        run.stop()


def test_a_pipe_that_is_not_standard_output_is_an_error_as_any_other(
    place, tmp_path, monkeypatch, capsys
):
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError("of a worker")

    monkeypatch.setattr(charloom, "export_model", broken)
    assert main(command_of("export", place, tmp_path)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "charloom: output: of a worker"


# Of what a run or a model was trained with, info and card tell; the others compute nothing.
WITHOUT_NUMBERS = {"train", "tune", "info", "card"}


@pytest.mark.parametrize("verb", [verb for verb in TRIED if verb not in WITHOUT_NUMBERS])
def test_the_precision_and_the_kernels_stand_beside_every_number(verb, place, tmp_path, capsys):
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason="needs an extra")
    capsys.readouterr()
    assert main(command_of(verb, place, tmp_path)) == 0
    shown = "\n".join(capsys.readouterr())
    if re.search(r"\b(bits|nats|probability|surprisal|right answers)\b", shown):
        assert "float32" in shown or "bfloat16" in shown
        assert any(kernels in shown for kernels in available_kernels())


def test_a_stream_of_the_callers_takes_the_results(place, tmp_path, monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setattr("sys.stdin", io.StringIO("The fox"))
    assert main(["generate", str(place / "run"), "--prompt-file", "-", "--length", "9"]) == 0
    assert out.getvalue().startswith("The fox")
    assert err.getvalue().startswith("seed ")


def shell(line: str, **options) -> subprocess.CompletedProcess[str]:
    python = f"'{sys.executable}' -m charloom"
    return subprocess.run(
        ["sh", "-c", line.replace("charloom", python, 1)],
        capture_output=True, text=True, check=False, timeout=120, **options,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "1>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_run_with_closed_descriptors_is_trained_and_saved_as_usual(closed, place, tmp_path):
    flags = " ".join(QUICK)
    done = shell(f"charloom train '{place}/book.txt' -o '{tmp_path}/run' {flags} {closed}")
    assert done.returncode == (1 if "1>&-" in closed or " >&-" in closed else 0), done.stderr
    for name in ("model.safetensors", "text.ids"):
        assert (tmp_path / "run" / name).read_bytes() == (place / "run" / name).read_bytes()


def test_a_server_goes_on_without_standard_output_and_warns_beyond_this_machine(place):
    command = f"exec '{sys.executable}' -m charloom serve '{place}/run' --port 0"
    for flags, closed, told in (("", ">&-", "http://127"), ("--host 0.0.0.0", "", "warning")):
        process = subprocess.Popen(
            ["sh", "-c", f"{command} {flags} {closed}"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        with process:
            try:
                line = process.stderr.readline()
                assert told in line
                if closed:
                    with urllib.request.urlopen(line.strip(), timeout=PATIENCE) as answer:
                        assert answer.status == 200
                else:
                    assert "0.0.0.0" in line
            finally:
                process.terminate()


@pytest.mark.parametrize("verb", [verb for verb in TRIED if verb not in ("demo", "recall")])
def test_an_empty_name_is_refused_wherever_a_command_takes_one(
    verb, place, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason="needs an extra")
    command = command_of(verb, place, tmp_path)
    names = [n for n, word in enumerate(command) if word.startswith((str(place), str(tmp_path)))]
    assert names
    for number in names:
        capsys.readouterr()
        assert main([*command[:number], "", *command[number + 1 :]]) == 2, command[:number]
        (line,) = capsys.readouterr().err.splitlines()
        assert "an empty name was given" in line
    assert list(tmp_path.iterdir()) == []


def test_messages_are_dropped_where_there_is_no_standard_error(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", None)
    streams.tell("a message")
    assert capsys.readouterr().out == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


HOSTILE = "\x1b[31m\x9b\u202e\x07"
FORMS = [  # of the verbs that print in several
    ["generate", "--count", "3", "--seed", "1"],
    ["generate", "--count", "3", "--format", "jsonl"],
    ["info", "--json"],
    ["complete", "--json", "--length", "3"],
    *(["score", "-", "--by", "character", "--format", form] for form in ("table", "json", "jsonl")),
    ["odd", "-", "--calibrate", "BOOK", "--threshold", "1", "--format", "jsonl"],
    ["copied", "BOOK", "--seed", "1", "--json"],
    ["explain", "--text", HOSTILE, "--at", "1"],
    ["units", "BOOK", "--shuffles", "20", "--characters", "200", "--json", "--pattern", "\x1b"],
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """What `place` has, of a text and with names that a terminal would act on."""
    folder = tmp_path_factory.mktemp("hostile") / HOSTILE
    folder.mkdir()
    book = folder / "book.txt"
    book.write_text(TEXT.replace("saw", HOSTILE), encoding="utf-8")
    assert main(["train", str(book), "-o", str(folder / "run"), *QUICK]) == 0
    compress(book, folder / "run.loom", settings=CompressionSettings(hidden_size=4))
    return folder


def on_a_terminal(command: list[str], monkeypatch) -> str:
    """What a command shows on a terminal, on both of its streams."""
    with monkeypatch.context() as patch:
        shown = Terminal()
        patch.setenv("TERM", "dumb")  # where colors and bars are none of ours
        patch.setattr("sys.stdout", shown)
        patch.setattr("sys.stderr", shown)
        patch.setattr("sys.stdin", io.StringIO(f"{HOSTILE}\n"))
        assert main(command) in (0, 1), command
        return shown.getvalue()


@pytest.mark.parametrize("verb", TRIED)  # all but serve, which prints an address
def test_what_a_terminal_would_act_on_is_spelled_out(verb, hostile, tmp_path, monkeypatch):
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason="needs an extra")
    new = tmp_path / HOSTILE
    new.mkdir()
    run, book = str(hostile / "run"), str(hostile / "book.txt")
    forms = [
        [verb, run, *(book if word == "BOOK" else word for word in words)]
        for name, *words in FORMS
        if name == verb
    ]
    for command in (command_of(verb, hostile, new), *forms):
        shown = on_a_terminal(command, monkeypatch)
        assert all(c.isprintable() or c in "\n\t" for c in shown), (command, shown)
    if verb not in ("demo", "recall"):  # which have neither a text nor a name from outside
        assert any(word for word in command_of(verb, hostile, new) if HOSTILE in word)


def test_a_file_gets_what_was_generated_and_a_terminal_what_can_be_shown(hostile, monkeypatch):
    command = ["generate", str(hostile / "run"), "--prompt", HOSTILE, "--length", "1"]
    file = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", file)
        assert main(command) == 0
    assert file.getvalue().startswith(HOSTILE)
    assert "\\x1b[31m" in on_a_terminal(command, monkeypatch)


def test_an_error_spells_out_what_its_file_is_named(capsys):
    assert main(["info", "no\x1b[31m\nfile"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line


def trained_on_a_terminal(place: Path, folder: Path, term: str, *flags: str) -> str:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "charloom", "train", str(place / "book.txt"), "-o"]
    process = subprocess.Popen(
        [*command, str(folder), *QUICK, *flags],
        stderr=follower, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": term},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    with process, suppress(OSError):  # which says that the other end is closed
        while piece := os.read(leader, 65536):
            shown += piece
    os.close(leader)
    assert process.returncode == 0
    return shown.decode()


def test_a_dumb_terminal_gets_plain_lines_and_a_better_one_a_bar(place, tmp_path):
    plain = trained_on_a_terminal(place, tmp_path / "a", "dumb")
    assert "\x1b" not in plain
    assert "step 6: validation" in plain
    drawn = trained_on_a_terminal(place, tmp_path / "b", "xterm", "--steps", "300")
    assert "━" in drawn
    assert "\x1b" in drawn


NAMES = [
    'my run\'s "best"',
    "a  b",
    "-x",
    "- x",
    "$HOME",
    "a\tb\x1b\u202e",
    "ü",
    b"\xff\n",
    "\u00a0",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_command_is_printable_and_a_shell_reads_it_as_it_is(name, tmp_path, capfd):
    name = os.fsdecode(name)
    streams.tell(f"next: ls {quoted(Path(name))}")
    line = capfd.readouterr().err
    assert line.rstrip("\n").isprintable()
    (tmp_path / name).mkdir()
    command = line.removeprefix("next: ").replace("ls", "cd", 1).rstrip("\n")
    done = subprocess.run(
        ["sh", "-c", f"{command} && pwd -P"], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout == os.fsencode(tmp_path.resolve() / name) + b"\n"


def commands_of(code: str) -> Iterator[str]:
    """What stands in the place of a name in each message that gives a command."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.JoinedStr):
            for before, value in itertools.pairwise(node.values):
                if isinstance(before, ast.Constant) and isinstance(value, ast.FormattedValue):
                    programs = rf"\b(charloom ({'|'.join(VERBS)})|tensorboard|sh|cd|rm)\b"
                    if re.search(rf"{programs}( [-\w.]+)* $", str(before.value)):
                        yield ast.unparse(value.value)


def test_every_name_in_a_command_of_a_message_is_quoted():
    found = []
    for file in Path(charloom.__file__).parent.rglob("*.py"):
        code = file.read_text(encoding="utf-8")
        for value in commands_of(code):
            assert value.startswith("quoted(") or f"{value} = quoted(" in code, (file, value)
            found.append(value)
    assert len(found) == 6  # three after a run, and one each to go on, to watch, after a search
    assert list(commands_of('tell(f"go on with: charloom train --resume -o {folder}")'))


@pytest.fixture
def in_a_shell(tmp_path, monkeypatch):
    """Runs what a message says in sh, where charloom is this one."""
    program = tmp_path / "bin" / "charloom"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charloom "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    return lambda line: subprocess.Popen(
        ["sh", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PATH": path},
    )  # fmt: skip


def test_the_commands_in_the_messages_of_a_run_are_run_as_they_are(place, tmp_path, in_a_shell):
    folder = tmp_path / NAMES[0]
    steps = [*QUICK, "--steps", "1000000", "--validate-every", "20"]
    command = [sys.executable, "-m", "charloom", "train", str(place / "book.txt"), "-o"]
    process = subprocess.Popen([*command, str(folder), *steps], stderr=subprocess.PIPE, text=True)
    try:
        wait_until((folder / "checkpoint.safetensors").exists)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    again = told.splitlines()[-1].partition("go on with: ")[2]
    run = charloom.resume(folder)
    run.stop()
    with in_a_shell(f"{again} --steps {run.step + 1}") as resumed:
        _, told = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, told
    commands = told.splitlines()[-1].removeprefix("next: ").replace(", or ", ", ").split(", ")
    plot = ["plot"] if find_spec("matplotlib") else []  # what needs more is not named without it
    assert [c.split()[1] for c in commands] == ["generate", "serve", *plot]
    for line in commands:
        serves = line.split()[1] == "serve"
        with in_a_shell(f"exec {line}{' --port 0' if serves else ''}") as done:
            if serves:
                assert done.stdout is not None
                assert done.stdout.readline().startswith("http://")
                done.terminate()
            _, told = done.communicate(timeout=PATIENCE)
        assert serves or done.returncode == 0, told


@pytest.mark.parametrize("ignored", [False, True], ids=["closed", "under nohup"])
def test_a_terminal_that_is_closed_saves_the_run_unless_hangups_are_ignored(
    ignored, place, tmp_path
):
    leader, follower = pty.openpty()

    def begin() -> None:
        os.setsid()
        fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

    folder = tmp_path / "run"
    command = [sys.executable, "-m", "charloom", "train", str(place / "book.txt"), "-o"]
    steps = [*QUICK, "--steps", "200" if ignored else "1000000"]
    steps += ["--validate-every", "20"]  # which takes a checkpoint
    process = subprocess.Popen(
        [*command, str(folder), *steps],
        stdin=follower, stdout=follower, stderr=follower, preexec_fn=begin,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(follower)
    try:
        os.set_blocking(leader, False)

        def there() -> bool:
            with suppress(OSError):
                os.read(leader, 65536)
            return (folder / "checkpoint.safetensors").exists()

        wait_until(there)
        os.close(leader)
        status = process.wait(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    run = charloom.resume(folder)
    run.stop()
    if ignored:
        assert (status, run.finished) == (1, True)  # the closing line has nowhere to go
    else:
        assert (status, run.finished) == (128 + signal.SIGHUP, False)
        assert run.step > 0
