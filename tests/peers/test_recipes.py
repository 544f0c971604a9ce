"""Recipes that need packages of other people: they run, and what they count is what they say."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from recipes import recipe

MILTON = """Of Mans First Disobedience, and the Fruit
Of that Forbidden Tree, whose mortal tast
Brought Death into the World, and all our woe,
With loss of Eden, till one greater Man
Restore us, and regain the blissful Seat,
Sing Heav'nly Muse, that on the secret top
"""


def test_names_on_a_small_cut(run_recipe):
    run_recipe("names")


def test_the_language_of_a_name_is_the_one_with_the_least_surprising_line():
    class Rules:
        """Expects k in Turkish and z in Spanish."""

        def score(self, text: str, *, by: str):
            assert by == "line"
            for line in text.splitlines():
                language, name = line.split(" ")
                yield SimpleNamespace(
                    nats=2 - {"tr": name.count("k"), "es": "z" in name}.get(language, 0.5)
                )

    assert recipe("names").language_of(Rules(), ["kk", "z", "a"]) == ["tr", "es", "de"]


def test_verse_on_a_small_cut(run_recipe):
    run_recipe("verse", text=MILTON * 60)


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("Shall I compare thee to a summer's day?", True),
        ("To be, or not to be, that is the question", True),  # an eleventh, weak syllable
        ("Over the mountain and the silent sea", True),  # the first foot turned around
        ("The woods are lovely, dark and deep", False),  # eight syllables
        ("Whose woods these are I think I know they are not", False),  # the eleventh is strong
        ("A silent mountain and over the sea", False),  # o-ver falls on a weak place
        ("Shall I compare thee to a summer's day today", False),
        ("", False),
    ],
)
def test_a_line_scans_if_its_words_can_be_said_as_a_pentameter(line, right):
    assert recipe("verse").scans(line) is right


def test_most_lines_of_milton_scan_and_fewer_with_their_words_shuffled():
    verse, dice = recipe("verse"), random.Random(1)
    lines = MILTON.splitlines()
    shuffled = [" ".join(dice.sample(line.split(), len(line.split()))) for line in lines * 10]
    assert sum(map(verse.scans, lines)) >= 5
    assert sum(map(verse.scans, shuffled)) < 40


def test_molecules_on_a_small_cut(run_recipe):
    rings = ["c1ccccc1", "C1CCCC1", "c1ccncc1", "C1CCOCC1", "c1ccsc1"]
    chains = ["C", "CC", "CO", "CN", "CC(=O)N", "NC(=O)", "OC", "CCO", "C(=O)O", "S(=O)(=O)N"]
    lines = [left + ring + right for left in chains for ring in rings for right in chains]
    run_recipe("molecules", lines=lines, rounds=1)


def test_a_molecule_has_one_form_or_none():
    canonical = recipe("molecules").canonical
    assert canonical("OCC") == canonical("C(C)O") == "CCO"
    assert canonical("C1CC") is canonical("") is canonical("c1cccc1") is None


def test_tunes_on_a_small_cut(run_recipe):
    run_recipe("tunes")


def test_a_tune_is_sound_if_its_inner_bars_are_full():
    tunes, head = recipe("tunes"), "T:A Reel\nM:4/4\nL:1/8\nK:D\n"
    eight = "D2 FA dAFA|" * 3 + "d2 fd cABc:|\n" + "f2 fe d2 AF|" * 3 + "D2 FA d4:|\n"
    assert tunes.sound(head + eight)
    assert tunes.sound(head + "A|" + eight.replace("cABc:", "cAB:"))  # a pickup
    assert not tunes.sound(head + eight.replace("D2 FA dAFA", "D2 FA dAF", 2))
    assert not tunes.sound(head + "D2 FA dAFA|d4 d4|]\n")  # two bars are no tune


def test_a_tune_is_drawn(tmp_path):
    recipe("tunes").draw("T:A Reel\nM:4/4\nL:1/8\nK:D\nD2 FA dAFA|d8|]\n", tmp_path / "tune.svg")
    picture = (tmp_path / "tune.svg").read_text("utf-8")
    assert picture.startswith("<svg") and picture.count('class="note"') == 8


def test_passwords_on_a_small_cut(run_recipe):
    run_recipe("passwords", passwords=["monkey12"])
