"""Ids of other programs: in any order, and each mistake named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from charloom.errors import SettingsError, TextError
from charloom.model.storage.characters import read_characters, with_vocabulary
from charloom.text.vocabulary import Vocabulary

WEIGHTS = {
    "lstm.weight_ih_l0": np.arange(12.0).reshape(4, 3),
    "head.weight": np.arange(6.0).reshape(3, 2),
    "head.bias": np.arange(3.0),
}


@pytest.mark.parametrize("known", ["cab", ["c", "a", "b"], {"a": 1, "b": 2, "c": 0}])
def test_weights_follow_the_characters_into_their_order(known):
    vocabulary, ordered = with_vocabulary(WEIGHTS, known)
    assert vocabulary.characters == "abc"
    assert ordered["head.bias"].tolist() == [1, 2, 0]
    assert ordered["head.weight"].tolist() == [[2, 3], [4, 5], [0, 1]]
    assert ordered["lstm.weight_ih_l0"][0].tolist() == [1, 2, 0]


def test_rows_of_an_embedding_follow_too():
    embedded = {**WEIGHTS, "embedding.weight": np.arange(3.0)[:, None]}
    _, ordered = with_vocabulary(embedded, "cab")
    assert ordered["embedding.weight"].ravel().tolist() == [1, 2, 0]
    assert ordered["lstm.weight_ih_l0"] is WEIGHTS["lstm.weight_ih_l0"]


def test_a_vocabulary_is_taken_as_it_is():
    known = Vocabulary.of("ab", unknown=True)
    for given, otherwise in ((known, None), (None, known)):
        vocabulary, ordered = with_vocabulary(WEIGHTS, given, otherwise)
        assert vocabulary == known
        assert ordered is WEIGHTS


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "`characters` is missing"),
        ("ab", "2 were given, but the network has 3 ids"),
        ("aab", "'a' was given twice"),
        (["a", "b", "cd"], "'cd' was given; each must be one character"),
        ({"a": 0, "b": 1, "c": 3}, "their ids are not 0 to 2"),
    ],
)
def test_characters_that_do_not_fit_are_named(given, told):
    with pytest.raises(SettingsError, match=told):
        with_vocabulary(WEIGHTS, given)


@pytest.mark.parametrize("content", ["abc", ["a", "b", "c"], {"a": 0, "b": 1, "c": 2}])
def test_characters_are_read_from_json(tmp_path: Path, content):
    file = tmp_path / "letters.json"
    file.write_text(json.dumps(content))
    assert read_characters(file) == content
    assert with_vocabulary(WEIGHTS, file)[0].characters == "abc"


@pytest.mark.parametrize("content", ["", "{", "3", '{"a": "b"}', "[" * 99])
def test_other_json_is_one_error(tmp_path: Path, content):
    file = tmp_path / "letters.json"
    file.write_text(content)
    with pytest.raises(TextError, match=r"letters\.json"):
        read_characters(file)
    with pytest.raises(TextError, match="no-such"):
        read_characters(tmp_path / "no-such")
