"""Recipes that need no other package: they run, and what they count is what they say."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from recipes import ROOT, recipe

import charloom


def test_every_recipe_has_a_page_and_every_page_a_recipe_and_a_place_in_the_navigation():
    programs = {path.stem for path in (ROOT / "examples" / "recipes").glob("*.py")}
    pages = {path.stem for path in (ROOT / "docs" / "recipes").glob("*.md")}
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    overview = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    assert programs == pages
    for name in programs:
        assert f"recipes/{name}.md" in navigation
        assert f"(recipes/{name}.md)" in overview


def test_log_lines_on_a_small_cut(run_recipe):
    run_recipe("log_lines")


def test_a_line_of_the_log_keeps_every_rule_and_each_kind_of_damage_breaks_one():
    log_lines = recipe("log_lines")
    assert not any(map(log_lines.wrong, log_lines.log(2000, seed=5)))
    right = '10.0.0.7 - ada [01/Mar/2026:06:00:05 +0000] "GET /logo.png HTTP/1.1" 200 20480'
    assert log_lines.wrong(right) is None
    for before, after, rule in (
        ("GET", "GTE", "form"),
        ("10.0.0.7", "10.0.0.12", "address"),
        ("ada", "-", "address"),
        ("01/Mar", "31/Feb", "time"),
        ("06:00", "24:00", "time"),
        ("20480", "5120", "path"),
        ("200 ", "304 ", "path"),
        ("GET", "POST", "path"),
        ("GET", "HEAD", "path"),
        ("/logo.png", "/logo.jpg", "path"),
    ):
        assert log_lines.wrong(right.replace(before, after)).startswith(rule), after
    dice = random.Random(6)
    damaged = [log_lines.damaged(line, dice) for line in log_lines.log(600, seed=7)]
    assert sum(map(bool, map(log_lines.wrong, damaged))) > 400


def test_source_code_on_a_small_cut(run_recipe):
    run_recipe("source_code")


def test_what_compiles_and_which_names_are_known():
    code = recipe("source_code")
    assert code.compiles("def f(x):\n    return x")
    assert not code.compiles("def f(x):\nreturn x")
    assert not code.compiles("x = 1")
    text = "def f(x):\n    y = os.fspath(x)\n    for z in y:\n        print(z, unheard)\n"
    assert code.undefined(text) == {"unheard"}


def test_persian_verse_on_a_small_cut(run_recipe):
    dice = random.Random(8)
    words = ["دل", "جان", "گل", "می", "شب", "یار", "غم", "باد"]
    poems = [
        [
            " ".join(dice.choices(words, k=4)) + (" را" if half % 2 or not half else "")
            for half in range(8)
        ]
        for _ in range(60)
    ]
    assert recipe("persian_verse").share(poems) == "100%"
    run_recipe("persian_verse", poems=poems)


def test_a_rhyme_is_an_even_line_that_ends_as_the_second_does():
    rhymes = recipe("persian_verse").rhymes
    assert rhymes(["x", "a bc", "x", "d bc", "bc", "e b c", "x", "f cb"]) == [True, True, False]
    assert rhymes([]) == rhymes(["ab", "ab", "ab"]) == []


def test_guess_numbers_are_those_of_counting_every_password():
    model = charloom.train(
        charloom.InMemory("ab\nb\nabb\naa\n" * 30),
        text=charloom.TextSettings(unknown=False),  # which is never generated
        model=charloom.ModelSettings(hidden_size=8, num_layers=1),
        training=charloom.TrainingSettings(batches="lines", steps=60, learning_rate=0.02),
    ).finish()
    passwords = recipe("passwords")
    every = ["".join(letters) for n in range(11) for letters in itertools.product("ab", repeat=n)]
    nats = passwords.nats(model, every)
    assert math.isclose(float(np.exp(-nats).sum()), 1, abs_tol=0.01)  # hardly any is longer
    exact = np.argsort(np.argsort(nats))
    strength = passwords.Strength(model, count=10_000)
    some = [n for n in range(len(every)) if 3 <= exact[n] <= 60]
    assert strength([every[n] for n in some]) == pytest.approx(exact[some], rel=0.25, abs=1.5)
