"""Help: groups of flags, an example for each command, readable at 60 columns; completion."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from charloom.cli.flags import GROUPS
from charloom.cli.help import OWN, argument
from charloom.cli.lazy import app
from charloom.cli.main import main
from charloom.cli.verbs import VERB_GROUPS, VERBS


def shown(capsys, *arguments: str) -> str:
    assert main([*arguments, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [40, 60, 100])
@pytest.mark.parametrize("verb", VERBS)
def test_help_is_readable_in_a_narrow_terminal(verb, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(capsys, verb)
    example = text.index("For example:")
    prose = [line for line in text.splitlines() if line.strip() and "charloom " not in line]
    flags = [line for line in prose if line.lstrip().startswith("-") or "[FLAGS]" in line]
    assert max(len(line) for line in prose if line not in flags) <= max(columns, 52)
    assert "..." not in re.sub(r"[A-Z]+\.\.\.|4, \.\.\.", "", text[:example])


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_an_example_that_parses(verb, capsys):
    text = shown(capsys, verb)
    lines = [line.strip() for line in text.splitlines() if line.startswith("      charloom ")]
    assert lines
    commands = vars(get_command(app([verb])))["commands"]
    for line in lines:
        program, name, *arguments = shlex.split(line.partition(" > ")[0])
        assert (program, name) == ("charloom", verb)
        commands[verb].make_context(verb, arguments)  # which raises what it cannot read


def test_flags_stand_in_the_groups_of_their_settings(capsys):
    text = shown(capsys, "train")
    titles = [line.rstrip(":") for line in text.splitlines() if line and line[0] != " "][1:]
    assert titles == ["Arguments", OWN, "The text", "The network", "Training"]
    before, _, after = text.partition("\nThe network:\n")
    assert "  --encoding" in before
    assert "  --hidden-size" in after.partition("\nTraining:\n")[0]
    assert {t for t in titles if t not in ("Arguments", OWN)} <= set(GROUPS.values())


def test_an_argument_that_can_be_left_out_is_in_brackets(capsys):
    assert "charloom train [TEXT...] [FLAGS]" in shown(capsys, "train")
    assert "charloom score MODEL TEXT... [FLAGS]" in shown(capsys, "score")
    commands = vars(get_command(app(["info"])))["commands"]
    assert argument(commands["info"].params[0]) == "MODEL"


def test_the_manual_has_the_groups_and_examples_of_the_help(capsys):
    path = Path(__file__).parents[2] / "scripts" / "make_cli_docs.py"
    spec = importlib.util.spec_from_file_location("make_cli_docs", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.page()
    for title in VERB_GROUPS:
        assert f"\n## {title}\n" in page
    for verb in VERBS:
        assert f"\n### {verb}\n" in page
        example = next(
            x for x in shown(capsys, verb).splitlines() if x.startswith("      charloom")
        )
        assert example.strip() in page


def test_the_programs_help_has_every_verb_in_its_group(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.split("\n\nStart with:")[0].splitlines()
    found: dict[str, list[str]] = {}
    for line in lines[lines.index("Begin:") :]:
        if line.endswith(":") and line[0] != " ":
            found[line[:-1]] = verbs = []
        elif line[:3].strip():
            verbs.append(line.split()[0])
    assert found == {title: list(verbs) for title, verbs in VERB_GROUPS.items()}
    assert len(VERBS) == sum(map(len, VERB_GROUPS.values()))


def test_completion_is_on_and_completes_verbs_and_flags():
    def completed(words: str) -> str:
        environment = {
            **os.environ,
            "_CHARLOOM_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        command = [sys.executable, "-m", "charloom"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    assert completed("charloom ge").split() == ["generate"]
    assert completed("charloom generate --temp").split() == ["--temperature"]


def test_the_first_help_ends_with_the_first_commands(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main([]) == 0
    text = capsys.readouterr().out
    lines = text.partition("Start with:")[2].split("\n")
    found = [line.strip() for line in lines if line.strip().startswith("charloom ")]
    assert [line.split()[1] for line in found] == ["demo", "train", "generate"]
    assert max(len(line) for line in text.splitlines()) <= 60


def test_completion_can_be_installed(capsys):
    assert main(["--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out
