"""Flags: made from settings, named in errors as the user typed them, refused without effect."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import charloom
from charloom.cli.flags import as_flags, flag, help_of
from charloom.cli.lazy import app, asked_for, prepare
from charloom.cli.main import main
from charloom.cli.verbs import VERBS
from charloom.errors import CharloomError, SettingsError, TextError

SOURCE = Path(charloom.__file__).parent
NAMED = re.compile(r"`(\w+)(?:=[^`]*)?`")
COMMANDS: dict[str, Any] = vars(get_command(app()))["commands"]


def flags_of(verb: str) -> set[str]:
    return {o for p in COMMANDS[verb].params for o in (*p.opts, *p.secondary_opts) if o[0] == "-"}


ARGUMENTS = {p.name for verb in COMMANDS.values() for p in verb.params if p.opts[0][0] != "-"}
ALL_FLAGS = set().union(*map(flags_of, COMMANDS))


def test_an_error_carries_the_names_of_its_settings():
    error = SettingsError("`steps` and `minutes` were given; give one of them", "steps", "minutes")
    assert error.settings == ("steps", "minutes")
    assert as_flags(error) == "--steps and --minutes were given; give one of them"
    assert str(error).startswith("`steps`")
    assert SettingsError("layer: 9 was given").settings == ("layer",)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (SettingsError("steps: 0 was given; more steps: 1"), "--steps: 0 was given; more steps: 1"),
        (TextError("steps: there is no such file"), "steps: there is no such file"),
        (TextError("`steps`: there is no such file"), "`steps`: there is no such file"),
        (TextError("a: use `errors='replace'`", "errors"), "a: use --errors replace"),
        (TextError("errors: use `errors`", "errors"), "errors: use --errors"),
        (SettingsError("`unknown=False`, `steps_x`", "unknown"), "--no-unknown, `steps_x`"),
        (SettingsError("selections: 1:9 was given"), "--select: 1:9 was given"),
    ],
)
def test_only_what_an_error_names_as_a_setting_becomes_a_flag(error: CharloomError, shown: str):
    assert as_flags(error) == shown


def raised() -> list[tuple[str, ast.Call]]:
    """Every call in the library that makes an error."""
    found = []
    for file in SOURCE.rglob("*.py"):
        if "cli" in file.relative_to(SOURCE).parts or file.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name.endswith("Error") and isinstance(node, ast.Call) and node.args:
                found.append((f"{file.name}:{node.lineno}", node))
    return found


def test_errors_of_the_library_name_settings_in_backquotes_and_list_them():
    calls = raised()
    assert len(calls) > 80
    for where, call in calls:
        parts = [n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)]
        text = "".join(part for part in parts if isinstance(part, str))
        assert not re.search(r"(?<![\w-])--?[a-z]", text.replace("pip install --upgrade", "")), (
            where
        )
        listed = [n.value for n in call.args[1:] if isinstance(n, ast.Constant)]
        named = [n for n in NAMED.findall(text) if n != "InMemory"]
        assert set(named) == {n for n in listed if isinstance(n, str)}, where
        for name in named:
            assert flag(name) in ALL_FLAGS, where


def test_what_an_error_begins_with_is_a_flag_or_an_argument():
    begins = []
    for where, call in raised():
        if call.func.id == "SettingsError":  # pyright: ignore[reportAttributeAccessIssue]
            first = (
                call.args[0].values[0] if isinstance(call.args[0], ast.JoinedStr) else call.args[0]
            )
            text = getattr(first, "value", "")
            if begun := isinstance(text, str) and re.match(r"([A-Za-z]\w*): ", text):
                begins.append((where, begun[1]))
    assert len(begins) > 50
    known = {*ARGUMENTS, "module", "rule", "verb"}  # those three are of Python alone
    assert [(w, n) for w, n in begins if flag(n) not in ALL_FLAGS and n not in known] == []


def test_every_flag_has_help_and_the_bounds_of_its_setting():
    for verb, command in COMMANDS.items():
        for parameter in command.params:
            assert parameter.help, (verb, parameter.name)
    shown = help_of(charloom.ModelSettings.model_fields["hidden_size"])
    assert shown.endswith("(at least 1, at most 65536)")


def test_a_flag_without_effect_is_refused(tmp_path, capsys):
    for name, value in (("--quantity", "h_t"), ("--layer", "1")):
        arguments = ["inspect", "any.run", "--text", "a", "--npz", str(tmp_path / "a"), name, value]
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"charloom: {name}: is for --png, which was not given; leave it out"
    for verb, foreign in (("recall", "--places"), ("context", "--steps"), ("plot", "--threads")):
        assert foreign not in flags_of(verb)


FOREIGN = re.compile(r"(?i)\binput\b|unable|\bvalid\b|pydantic|value error|\.$")


@pytest.mark.parametrize("verb", VERBS)
def test_a_value_of_the_wrong_kind_is_told_with_its_flag(verb: str, capsys):
    """Of numbers and choices: a text can be anything."""
    for parameter in COMMANDS[verb].params:
        kind = str(parameter.type_descriptor.annotation)
        if parameter.opts[0][0] == "-" and re.search(r"int|float|Literal", kind):
            name = parameter.opts[-1]
            assert main([verb, name, "%"]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith(f"charloom: {name}: '%' was given; it must be "), line
            assert not FOREIGN.search(line), line


def test_what_is_missing_or_unknown_is_told_with_the_next_step(capsys):
    for arguments, known in (
        (["export", "a.run"], "'--output'"),
        (["generate"], "'MODEL'"),
        (["generate", "a.run", "--lenght", "3"], "--length"),
        (["generate", "a.run", "--prompt"], "'--prompt'"),
        (["frobnicate"], "'frobnicate'"),
    ):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert known in line
        assert re.search(r"; see charloom( \w+)? --help$", line), line


@pytest.mark.parametrize(
    "settings", [getattr(charloom, name) for name in dir(charloom) if name.endswith("Settings")]
)
def test_a_setting_of_the_wrong_kind_is_told_in_our_words(settings):
    for name in settings.model_fields:
        for value in (object(), [1], "%", 1.5, 10**400, float("nan"), b"\xff"):
            try:
                settings(**{name: value})
            except SettingsError as error:
                complaint = str(error)
                assert not FOREIGN.search(complaint)


def test_a_command_line_loads_its_own_verb_alone():
    assert asked_for(["info", "x"]) == ["info"]
    assert list(asked_for(["--help"])) == list(VERBS)
    assert list(asked_for([])) == list(VERBS)
    prepare()
    assert set(COMMANDS) == set(VERBS)
