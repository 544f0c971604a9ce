r"""Texts that match a regular expression, from its automaton to a table of a model's ids.

    automaton   states and classes of characters                 automaton.py
    endings     what ends a text: a stop string, after a match   endings.py
    table       ids in place of characters                       here; utf8.py for bytes

Only states that lead to an end are kept, over characters that the model knows, so a text under
a pattern never comes to a place where it cannot go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...engines.restriction import Table
from ...errors import SettingsError, counted, short_repr, shown
from ...settings import check_kind
from ...text.vocabulary import Vocabulary
from ..predictor import Predictor
from .automaton import Automaton, automaton_of
from .endings import pruned, with_stops
from .rule import BoundRule, BoundTable, Rule
from .utf8 import bytes_of

LARGEST = 2**24
"""States times classes of a table; 64 MB."""

_NO_CLASS = -1  # of the unknown: no state goes on with it


@dataclass(frozen=True)
class Pattern(Rule):
    r"""Texts that match a regular expression, from their first character to their last.

    Of Python's `re`, with the flag re.ASCII; without lookarounds, \b and references to groups.

    >>> from charloom import Model, ModelSettings, Vocabulary
    >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("abc 123"))
    >>> texts = model.generate_many(count=9, seed=1, rule=Pattern("[a-c] (1|23)"))
    >>> set(texts) <= {"a 1", "b 1", "c 1", "a 23", "b 23", "c 23"}
    True
    >>> model.generate_many(count=1, rule=Pattern("x+"))
    Traceback (most recent call last):
        ...
    charloom.errors.SettingsError: pattern: 'x+' was given; no text matches ...
    """

    __repr__ = short_repr

    pattern: str

    def __post_init__(self) -> None:
        check_kind("pattern", self.pattern, str, "a str")

    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """The pattern over the ids of one model."""
        return BoundTable(_table(self.pattern, predictor.vocabulary, tuple(stops)))


@lru_cache(maxsize=8)
def _table(pattern: str, vocabulary: Vocabulary, stops: tuple[str, ...]) -> Table:
    automaton = automaton_of(pattern)
    possible = pruned(automaton, _known(automaton, vocabulary))
    if possible is not None:
        ended = with_stops(possible, stops)
        possible = pruned(ended, _known(ended, vocabulary))
    if possible is None:
        unknown = [repr(c) for c in sorted(automaton.classes) if c not in vocabulary.mapping]
        why = f" (it does not know {', '.join(unknown)})" if unknown else ""
        raise SettingsError(
            f"pattern: {shown(repr(pattern), 60)} was given; no text matches it in the characters "
            f"of this model{shown(why, 80)}"
        )
    return table_of(possible, vocabulary)


def _known(automaton: Automaton, vocabulary: Vocabulary) -> set[int]:
    """The classes of the characters of a vocabulary."""
    if vocabulary.kind == "bytes":
        return {*automaton.classes.values(), automaton.other}
    return {automaton.class_of(character) for character in vocabulary.characters}


def table_of(automaton: Automaton, vocabulary: Vocabulary) -> Table:
    """The table of ids for an automaton of characters; SettingsError if it is too large.

    For a model of bytes a character is several ids.
    """
    following, classes = automaton.following, list(range(256))
    if vocabulary.kind == "bytes":
        following = bytes_of(automaton)
    else:
        classes = [automaton.class_of(character) for character in vocabulary.characters]
        classes += [_NO_CLASS] * vocabulary.has_unknown
    used, columns = np.unique(np.array(classes, np.int32), return_inverse=True)
    if len(following) * len(used) > LARGEST:
        raise SettingsError(
            f"pattern: it has {counted(len(following), 'state')}, which is too many; simplify it"
        )
    table = np.full((len(following), len(used)), -1, np.int32)
    for state, after in enumerate(following):
        table[state] = [after.get(key, -1) for key in used.tolist()]
    distance = _distances(table, automaton.accepting)
    return Table(
        following=table, distance=distance, classes=np.ascontiguousarray(columns, np.int32)
    )


def _distances(table: np.ndarray, accepting: Sequence[bool]) -> np.ndarray:
    """(S,) int32 The fewest ids from each state to one that accepts; -1 where there is no way.

    >>> _distances(np.array([[1], [2], [-1], [-1]], np.int32), [False, False, True, False])
    array([ 2,  1,  0, -1], dtype=int32)
    """
    before: list[set[int]] = [set() for _ in table]
    for state, row in enumerate(table):
        for after in set(row[row >= 0].tolist()):
            before[after].add(state)
    distance = np.full(len(table), -1, np.int32)
    near = [state for state, ends in enumerate(accepting) if ends]
    steps = 0
    while near:
        distance[near] = steps
        near = list({s for state in near for s in before[state] if distance[s] < 0})
        steps += 1
    return distance
