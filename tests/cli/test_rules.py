"""`generate` under a rule, `complete` and `fill`, as they are typed."""

from __future__ import annotations

import json
import re

import pytest

import charloom
from charloom.cli import completing, rules
from charloom.cli.main import main

CHARACTERS = "".join(map(chr, range(32, 127))) + "\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = charloom.Model.untrained(
        charloom.ModelSettings(hidden_size=8), charloom.Vocabulary.of(CHARACTERS), seed=1
    )
    model.save("m")
    (tmp_path / "letters").write_text('start: /[ab]/ "!"')
    (tmp_path / "number").write_text('{"type": "integer", "maximum": 999, "minimum": 100}')
    return tmp_path


def said(capsys, *command: str) -> str:
    assert main([*command]) == 0
    return capsys.readouterr().out


def complaint(capsys, *command: str) -> str:
    assert main([*command]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    return error


def test_texts_follow_the_rule_that_a_flag_gives(place, capsys):
    out = said(capsys, "generate", "m", "--prompt", "No. ", "--pattern", r"\d{3}", "--count", "5")
    assert re.fullmatch(r"(No\. \d{3}\n){5}", out)
    assert re.fullmatch(r"[ab]!\n", said(capsys, "generate", "m", "--grammar", "letters"))
    assert 100 <= int(said(capsys, "generate", "m", "--json-schema", "number")) <= 999
    one, many = (said(capsys, "generate", "m", "--pattern", "[a-z]{9}", "--seed", "3", *more)
                 for more in ([], ["--count", "2"]))  # fmt: skip
    assert many.startswith(one)
    assert said(capsys, "generate", "m", "--pattern", "") == "\n"


def test_wrong_rules_are_one_line(place, capsys):
    assert "--pattern: 'é' was given; no text matches it" in complaint(
        capsys, "generate", "m", "--pattern", "é"
    )
    both = complaint(capsys, "generate", "m", "--pattern", "a", "--grammar", "letters")
    assert both == "charloom: --pattern and --grammar were given; give one of them\n"
    short = complaint(capsys, "generate", "m", "--pattern", "a{9}", "--length", "5")
    assert "--length: 5 was given; the shortest text that the rule allows has 9" in short
    assert "--json-schema: it is no JSON" in complaint(
        capsys, "generate", "m", "--json-schema", "letters"
    )
    many = complaint(capsys, "generate", "m", "a.txt", "-o", "out", "--validate", "true")
    assert "--validate: is of one text" in many
    (place / "a.txt").write_text("a")
    for rule in (["--pattern", "é"], ["--pattern", "a", "--grammar", "letters"]):
        assert complaint(capsys, "generate", "m", "a.txt", "-o", "out", *rule)
    assert "--no-copies and --training-text go together" in complaint(
        capsys, "generate", "m", "--pattern", "a", "--no-copies", "3"
    )
    assert not (place / "out").exists()
    assert "--tries: has no effect without --validate" in complaint(
        capsys, "generate", "m", "--tries", "3"
    )
    missing = complaint(capsys, "generate", "m", "--validate", "no-such-program")
    assert "--validate: 'no-such-program' cannot be run" in missing


def test_files_of_prompts_and_rules_are_read_as_flags_say(place, capsys):
    wide = {"prompt": "See:", "rule": 'start: "ab"', "schema": '{"const": 5}', "book": "abab"}
    for name, text in wide.items():
        (place / name).write_text(text, "utf-16")
    command = ["generate", "m", "--seed", "1"]
    uses = [
        (["--prompt-file", "prompt", "--length", "0"], "See:\n"),
        (["--grammar", "rule"], "ab\n"),
        (["--json-schema", "schema"], "5\n"),
        (["--pattern", "ab|b{4}", "--no-copies", "2", "--training-text", "book"], "bbbb\n"),
    ]
    for flags, text in uses:
        assert main([*command, *flags]) == 1
        error = capsys.readouterr().err
        assert "read it with --encoding utf-16" in error
        assert said(capsys, *command, *flags, "--encoding", "utf-16") == text
    assert main([*command, "prompt", "-o", "out", "--length", "1"]) == 1
    assert "read it with --encoding utf-16" in capsys.readouterr().err
    more = ["--encoding", "utf-16", *uses[3][0]]
    assert "1 part made, 1 row" in said(capsys, *command, "prompt", "-o", "many", *more)
    assert "--encoding: is for a file" in complaint(capsys, *command, "--encoding", "utf-16")


def test_a_program_accepts_or_refuses_texts(place, capsys):
    command = ["generate", "m", "--prompt", "2", "--pattern", "[0-9]{2}", "--seed", "1"]
    odd = [*command, "--count", "4", "--validate", "grep -q '[13579]$'"]
    assert main(odd) == 0
    out, error = capsys.readouterr()
    assert re.fullmatch(r"(2\d[13579]\n){4}", out)
    told = re.fullmatch(r"4 of (\d+) texts accepted \((\d+\.\d)%\)\n", error)
    assert told and float(told[2]) == pytest.approx(400 / int(told[1]), abs=0.06)
    assert main([*command, "--validate", "false", "--tries", "5"]) == 1
    assert capsys.readouterr() == ("", "0 of 5 texts accepted (0.0%)\n")


def test_complete_names_the_likeliest(place, capsys):
    out = said(capsys, "complete", "m", "--prompt", "a", "-n", "3", "--length", "1")
    expected = charloom.Model.load("m").next("a")
    shown = [line.split("  ", 1)[1] for line in out.splitlines()[1:]]
    best = [charloom.visible(c) for c in list(expected)[:3]]
    assert [line.strip().split("  ")[-1].removesuffix("...") for line in shown] == best
    found = json.loads(said(capsys, "complete", "m", "--length", "1", "-n", "2", "--json"))
    assert found["complete"] and len(found["continuations"]) == 2


def test_complete_says_how_sure_it_is(place, capsys):
    assert main(["complete", "m", "-n", "2", "--length", "1"]) == 0
    assert "no other has more than" in capsys.readouterr().err
    assert main(["complete", "m", "-n", "2", "--length", "9", "--most", "5"]) == 0
    assert "another may have up to" in capsys.readouterr().err


def test_fill_names_what_may_stand_in_a_gap(place, capsys):
    command = ["fill", "m", "the ___ fox", "-n", "4", "--length", "2", "--seed", "1"]
    assert said(capsys, *command).count("\n") == 5
    found = json.loads(said(capsys, *command, "--json"))
    assert len(found["fills"]) == 4 and 0 < found["fills"][0]["probability"] < 1
    assert found["seed"] == 1
    assert main(["fill", "m", "a _ b", "--gap", "_"]) == 0
    seed = re.match(r"seed (\d+)\n", capsys.readouterr().err)
    assert main(["fill", "m", "a _ b", "--gap", "_", "--json", "--seed", seed[1]]) == 0
    shown = capsys.readouterr()
    assert (json.loads(shown.out)["seed"], shown.err) == (int(seed[1]), "")
    assert "--gap: '___' must stand in the text once; found: 0 x" in complaint(
        capsys, "fill", "m", "the fox"
    )
    assert completing.fill.__doc__ and rules.PatternFlag


def test_an_error_names_only_flags_and_arguments_of_its_command(place, capsys):
    (place / "book.txt").write_text("ab")
    command = [
        "generate",
        "m",
        "--pattern",
        "ab",
        "--no-copies",
        "2",
        "--training-text",
        "book.txt",
    ]
    told = "rule: no text was found that fulfils both rules in at most 500 characters"
    assert complaint(capsys, *command) == f"charloom: {told}\n"
    assert "charloom: TEXT: nothing stands after the gap" in complaint(capsys, "fill", "m", "a ___")
    assert "--length: 0 was given" in complaint(capsys, "fill", "m", "a ___ b", "--length", "0")


def test_a_pattern_and_no_copies_go_together(place, capsys):
    (place / "book.txt").write_text("aaa bbb abc")
    command = ["generate", "m", "--pattern", "[ab]{4}", "--seed", "1", "--count", "20"]
    out = said(capsys, *command, "--no-copies", "3", "--training-text", "book.txt")
    assert re.fullmatch(r"([ab]{4}\n){20}", out)
    assert "aaa" not in out and "bbb" not in out


def test_each_prompt_of_many_files_is_under_the_rules(place, capsys):
    (place / "prompts.jsonl").write_text("".join(f'{{"text": "{p}"}}\n' for p in ("aa", "bb", "x")))
    (place / "book.txt").write_text("aaa bbb")
    command = ["generate", "m", "prompts.jsonl", "-o", "out", "--seed", "2", "--count", "3"]
    rules = ["--pattern", "[ab]{4}", "--no-copies", "3", "--training-text", "book.txt"]
    assert "9 rows" in said(capsys, *command, *rules)
    (part,) = (place / "out").glob("prompts.*.jsonl")
    rows = [json.loads(line) for line in part.read_text().splitlines()]
    model = charloom.Model.load("m")
    for row in rows:
        assert re.fullmatch("[ab]{4}", row["text"])
        whole = row["prompt"] + row["text"]
        assert "aaa" not in whole and "bbb" not in whole
    alone = charloom.rule_given(
        model, pattern="[ab]{4}", no_copies=3, training_text="book.txt", prompt="aa"
    )
    assert [row["text"] for row in rows[:3]] == model.generate_many(
        "aa", count=3, seed=2, rule=alone
    )
    other = complaint(capsys, *command, "--pattern", "[ab]{5}")
    assert "whose pattern is '[ab]{4}' and not '[ab]{5}'" in other


def test_a_text_that_has_changed_is_indexed_anew(place, capsys):
    command = ["generate", "m", "--pattern", "[ab]{4}", "--seed", "1", "--count", "30"]
    for copied, other in (("aaa", "bbb"), ("bbb", "aaa")):
        (place / "book.txt").write_text(copied)
        out = said(capsys, *command, "--no-copies", "3", "--training-text", "book.txt")
        assert copied not in out and other in out
