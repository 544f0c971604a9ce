"""Weights from elsewhere, whose ids may stand for characters in any order: ours ascend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ...engines.weights import Weights
from ...errors import SettingsError, TextError, counted, shown
from ...files import read_whole
from ...text.vocabulary import Vocabulary
from .sealed import parse_json

Characters = Vocabulary | Mapping[str, int] | Iterable[str]
"""What ids stand for: a vocabulary, a mapping from character to id, or characters in the order
of their ids."""


def with_vocabulary(
    weights: Weights, characters: Characters | Path | None, otherwise: Vocabulary | None = None
) -> tuple[Vocabulary, Weights]:
    """The vocabulary of these characters, and the weights in the order of its ids.

    Where no characters are given, the vocabulary is `otherwise`. SettingsError if there is none,
    or the characters are not as many as the network's ids, or not all different.

    >>> weights = {"head.weight": np.array([[2.0], [1.0]]), "head.bias": np.array([2.0, 1.0]),
    ...            "lstm.weight_ih_l0": np.array([[2.0, 1.0]])}
    >>> vocabulary, ordered = with_vocabulary(weights, {"b": 0, "a": 1})
    >>> vocabulary.characters, ordered["head.bias"], ordered["lstm.weight_ih_l0"]
    ('ab', array([1., 2.]), array([[1., 2.]]))
    """
    if isinstance(characters, Path):
        characters = read_characters(characters)
    if characters is None:
        characters = otherwise
    if characters is None:
        raise SettingsError(
            "`characters` is missing, and the file does not say what its ids stand for; give the "
            "characters in the order of their ids",
            "characters",
        )
    size = len(weights["head.bias"])
    if isinstance(characters, Vocabulary):
        _check_size(characters.size, size)
        return characters, weights
    known = _in_order(characters)
    _check_size(len(known), size)
    order = sorted(range(size), key=known.__getitem__)
    vocabulary = Vocabulary(characters="".join(known[id] for id in order))
    ordered = dict(weights)
    for name in ("embedding.weight", "head.weight", "head.bias"):
        if name in weights:
            ordered[name] = np.ascontiguousarray(weights[name][order])
    if "embedding.weight" not in weights:  # one-hot: a column of the first layer is a character's
        (first,) = (name for name in weights if name.endswith("weight_ih_l0"))
        ordered[first] = np.ascontiguousarray(weights[first][:, order])
    return vocabulary, ordered


def read_characters(path: Path) -> Characters:
    """The characters that a JSON file gives, as a mapping, a list or a string.

    TextError if it cannot be read or is neither.
    """
    try:
        found = parse_json(read_whole(path))
    except (OSError, ValueError, RecursionError) as error:
        raise TextError(f"{path}: cannot be read as JSON ({shown(error)})") from None
    if isinstance(found, dict) and all(isinstance(id, int) for id in found.values()):
        return found
    if isinstance(found, (list, str)):
        return found
    raise TextError(
        f"{path}: is neither an object from character to id, nor a list of characters, nor a string"
    )


def _in_order(characters: Mapping[str, int] | Iterable[str]) -> list[str]:
    """The characters by id."""
    if isinstance(characters, Mapping):
        pairs = sorted((id, character) for character, id in characters.items())
        if [id for id, _ in pairs] != list(range(len(pairs))):
            raise SettingsError(
                f"characters: their ids are not 0 to {len(pairs) - 1}, each once; give every "
                "character its own"
            )
        characters = [character for _, character in pairs]
    known = list(characters)
    for character in known:
        if not isinstance(character, str) or len(character) != 1:
            raise SettingsError(
                f"characters: {shown(repr(character), 40)} was given; each must be one character"
            )
    twice = [character for character in set(known) if known.count(character) > 1]
    if twice:
        raise SettingsError(f"characters: {min(twice)!r} was given twice; each has one id")
    return known


def _check_size(given: int, size: int) -> None:
    if given != size:
        raise SettingsError(
            f"characters: {given} were given, but the network has {counted(size, 'id')}; "
            "give one character "
            "for each id, in their order"
        )
