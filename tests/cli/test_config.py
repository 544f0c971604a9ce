"""run.toml: a run is repeated from the file in its folder; flags go before it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import charloom
from charloom.cli import config
from charloom.cli.main import main

TEXT = "".join(f"The fox saw {n} crows on the limb of a tree.\n" for n in range(60))
QUICK = ["--steps", "6", "--hidden-size", "8", "--batch-size", "4", "--sequence-length", "8"]


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys) -> Path:
    monkeypatch.chdir(tmp_path)
    Path('a "book".txt').write_text(TEXT)
    Path("other.txt").write_text(TEXT[:500])
    flags = ["--validation", "other.txt", "--seed", "7", "--no-unknown", "--unknown-share", "0"]
    assert main(["train", 'a "book".txt', "-o", "first run", *QUICK, *flags]) == 0
    capsys.readouterr()
    return tmp_path / "first run"


def test_a_run_is_repeated_from_the_file_in_its_folder(folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["train", "--config", str(folder / "run.toml"), "-o", "again"]) == 0
    for name in ("model.safetensors", "text.ids", "validation.ids", "run.toml"):
        assert Path("again", name).read_bytes() == (folder / name).read_bytes(), name


def test_every_setting_is_in_the_file(folder):
    kept = config.read(folder / "run.toml")
    plan = charloom.resume(folder).plan
    for settings in (plan.text, plan.model, plan.training):
        for name, value in settings.model_dump().items():
            assert kept.get(name) == value
    assert kept["text"] == [str(folder.parent / 'a "book".txt')]


def test_a_run_of_minutes_says_which_steps_repeat_it(folder):
    assert "\n# Minutes" not in (folder / "run.toml").read_text()
    assert main(["train", "other.txt", "-o", "timed", "--minutes", "0.01", *QUICK[2:]]) == 0
    kept = Path("timed/run.toml").read_text()
    steps = re.search(r"\n# (steps = (\d+)) in the place of minutes\.\n", kept)
    Path("again.toml").write_text(kept.replace("minutes = 0.01", steps[1]))
    assert main(["train", "--config", "again.toml", "-o", "again"]) == 0
    assert charloom.resume("again").steps == int(steps[2])


def test_flags_go_before_what_the_file_says(folder):
    command = ["train", "--config", str(folder / "run.toml"), "-o", "other", "--hidden-size", "9"]
    assert main([*command, "other.txt"]) == 0
    plan = charloom.resume("other").plan
    assert (plan.model.hidden_size, plan.training.seed) == (9, 7)
    assert plan.corpus.characters == 500


def test_one_text_needs_no_brackets_and_an_empty_name_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT)
    Path("a.toml").write_text('text = "book.txt"')
    assert main(["train", "--config", "a.toml", *QUICK]) == 0
    assert Path("book.run/model.safetensors").exists()
    capsys.readouterr()
    for content in ('text = ""', 'text = [""]', 'text = "book.txt"\nvalidation = ""'):
        Path("a.toml").write_text(content)
        assert main(["train", "--config", "a.toml", "-o", "other"]) == 2
        assert "an empty name was given" in capsys.readouterr().err
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        ("hiden_size = 9", 2, "--config: run.toml: 'hiden_size' is no setting"),
        ("output = 'x'", 2, "'output' is no setting"),
        ("hidden_size = 0", 2, "--hidden-size: 0 was given"),
        ("hidden-size = 'many'", 2, "--hidden-size"),
        ("hidden_size = {a = 1}", 2, "give a string or a number"),
        ("hidden_size = ", 1, "run.toml: is no TOML"),
        ("cell = 'transformer'", 2, "--cell"),
        ("hidden_size = 99999999999999999999999", 2, "--hidden-size"),
        ("steps = inf", 2, "--steps"),
        ("learning_rate = nan", 2, "--learning-rate"),
        ("seed = 1979-05-27", 2, "give a string or a number"),
        ("a = " + "[" * 100_000, 1, "run.toml: is no TOML"),
        ("#" * 2_000_000, 1, "it has more than 1,048,576 bytes"),
        (None, 1, "run.toml: cannot be read (No such file"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line(
    content, status, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT)
    if content is not None:
        Path("run.toml").write_text(content)
    assert main(["train", "book.txt", "--config", "run.toml", "-o", "run"]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not Path("run").exists()


def test_a_folder_that_takes_no_more_files_loses_the_file_and_not_the_run(
    folder, monkeypatch, capsys
):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert main(["train", "other.txt", "-o", "run", *QUICK]) == 0
    assert "run.toml: cannot be written" in capsys.readouterr().err


def test_a_run_that_starts_from_a_model_is_repeated_from_its_file(folder, capsys):
    assert main(["train", "other.txt", "-o", "base", *QUICK]) == 0
    Path("book.txt").write_text(TEXT)
    tuning = ["--from", "base", "--steps", "3"]
    assert main(["train", "book.txt", "-o", "first", *tuning]) == 0
    assert "from base, 1 layer" in capsys.readouterr().err
    assert main(["train", "--config", "first/run.toml", "-o", "second"]) == 0
    first, second = (Path(run, "model.safetensors").read_bytes() for run in ("first", "second"))
    assert first == second
    capsys.readouterr()
    assert main(["train", "--resume", "-o", "first", "--from", "base"]) == 2
    assert "--from: was given, but a resumed run keeps" in capsys.readouterr().err
