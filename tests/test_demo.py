"""The blog's program: what its text shows, and what it stops short of."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import charloom
from charloom.demo import RAW_TEXT, one_hot, tell
from charloom.text.batches import windows
from charloom.text.vocabulary import Vocabulary

BLOG_MAPPING = (
    "{' ': 0, ',': 1, '.': 2, 'C': 3, 'F': 4, 'O': 5, 'a': 6, 'b': 7, 'c': 8, 'd': 9, "
    "'e': 10, 'f': 11, 'g': 12, 'h': 13, 'i': 14, 'l': 15, 'm': 16, 'n': 17, 'o': 18, "
    "'p': 19, 'r': 20, 's': 21, 't': 22, 'u': 23, 'v': 24, 'w': 25, 'x': 26}"
)
BLOG_ROWS = [
    [5, 17, 10, 0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14],
    [17, 10, 0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17],
    [10, 0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17, 12],
    [0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17, 12, 0],
    [7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17, 12, 0, 6],
]


def test_the_text_becomes_the_numbers_that_the_blog_prints():
    vocabulary = Vocabulary.of(RAW_TEXT)
    encoded = windows(vocabulary.encode(RAW_TEXT), 15)
    assert len(RAW_TEXT) == 149
    assert str(vocabulary.mapping) == BLOG_MAPPING
    assert encoded.shape == (134, 16)
    assert encoded[:5].tolist() == BLOG_ROWS
    assert [vocabulary.decode(row) for row in encoded[:3]] == [
        "One bright morni", "ne bright mornin", "e bright morning",
    ]  # fmt: skip


def test_one_hot_has_a_single_one_in_the_column_of_the_character():
    X = windows(Vocabulary.of(RAW_TEXT).encode(RAW_TEXT), 15)[:, :-1]
    hot = one_hot(X, 27)
    assert hot.shape == (134, 15, 27)
    np.testing.assert_array_equal(hot.argmax(axis=-1), X)
    np.testing.assert_array_equal(hot.sum(axis=-1), 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_falls_and_the_sentence_is_written_back(seed):
    told = list(tell(seed))
    losses = [float(line.split()[-1]) for line in told if "loss" in line and "epoch" in line]
    assert losses[0] == pytest.approx(np.log(27), abs=0.1)
    assert losses[-1] < 0.1
    assert told[-1] == f"  {RAW_TEXT}"
    assert BLOG_MAPPING in "\n".join(told)


def test_the_example_does_what_the_demo_tells(capsys):
    runpy.run_path(str(Path(__file__).parents[1] / "examples" / "fox_and_crow.py"))
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == RAW_TEXT
    told = [line.split()[-1] for line in tell() if "epoch 100" in line]
    assert printed[-2].split()[-1] == told[0]


def test_the_example_uses_public_names_only():
    source = (Path(__file__).parents[1] / "examples" / "fox_and_crow.py").read_text("utf-8")
    imported = [
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)
    ]
    assert [ast.unparse(node) for node in imported] == ["import numpy as np", "import charloom"]
    used = set(re.findall(r"charloom\.(\w+)", source.replace("charloom.py", "")))
    assert used and used <= set(dir(charloom))
