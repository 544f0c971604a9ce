"""The examples: what they measure is what they say they measure."""

from __future__ import annotations

import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def near_and_far() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(EXAMPLES / "near_and_far.py")))


def test_a_line_names_the_language_of_the_country_lived_in_and_not_of_the_other(near_and_far):
    dice = random.Random(0)
    for remarks in (0, 3):
        text = near_and_far.line(dice, remarks)
        before, now, *between, answer = text.removesuffix(".").split(". ")
        assert len(between) == remarks and set(between) <= {
            remark.removesuffix(".") for remark in near_and_far.REMARKS
        }
        country, other = now.removeprefix("I live in "), before.removeprefix("I worked in ")
        assert answer == f"I speak {near_and_far.LANGUAGES[country]}" and other != country


def test_the_share_counts_the_first_letter_of_the_language_and_nothing_else(near_and_far):
    dice = random.Random(1)
    lines = [near_and_far.line(dice, n % 4) for n in range(8)]
    text = "".join(line + "\n" for line in lines)
    answers = {
        text.index(line) + line.index("speak ") + len("speak ")
        for line in lines
        if line[line.index("speak ") + len("speak ")] in "FGHI"
    }

    class Oracle:
        """Knows four of the languages, and no other character of the text."""

        def score(self, scored: str, *, by: str):
            assert (scored, by) == (text, "character")
            return [SimpleNamespace(rank=1 if at in answers else 2) for at in range(len(text))]

    assert 0 < len(answers) < len(lines)
    share = near_and_far.share_of_right_answers(Oracle(), lines)
    assert share == len(answers) / len(lines)


def test_near_and_far_prints_a_line_per_network_and_distance(near_and_far, capsys):
    near_and_far.main(steps=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines if "weights" in line] == ["LSTM", "RNN", "RNN"]
    assert sum(" between " in line for line in lines) == 15
