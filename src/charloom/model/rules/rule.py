"""What a rule is for generation: before each draw, the characters that each text may go on with.

    Rule         what the user gives; knows nothing of a model
    BoundRule    the same over the ids of one model, with what ends a text
    Follower     one text under the rule: where it is, and what may come next

A rule that has a table of all its states is asked now and then, and C++ looks up the table for
every character; one that finds out as it goes has `steps = 1`, and is asked before each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from copy import deepcopy

import numpy as np

from ...engines.restriction import Table
from ...engines.weights import Array
from ...errors import SettingsError
from ..predictor import Predictor


class Rule(ABC):
    """What texts may be. It is for the text after the prompt, and for all of it."""

    @abstractmethod
    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """The rule for one model, whose texts end before a stop string.

        SettingsError if no text of the model's characters fulfils it.
        """


class BoundRule(ABC):
    """A rule over the ids of one model."""

    @abstractmethod
    def begin(self, length: int) -> Follower:
        """A text of at most so many ids; SettingsError if those are too few."""


class Follower(ABC):
    """One text, as far as it is written.

    Attributes:
        table: what may come next, by the state.
        state: where the text is in the table.
        left: how many ids may still come.
        steps: how many ids the table can be used for.

    """

    table: Table
    state: int
    left: int
    steps: int

    @abstractmethod
    def take(self, ids: Array, states: Array) -> int:
        """Go on by ids (N,) that the table allowed; `states` (N,) follow each.

        Returns how many belong to the text: where it has ended, the rest do not.
        """

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether nothing may follow: the rule has ended the text."""

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more, also by the length."""
        return self.complete or self.left == 0

    def copy(self) -> Follower:
        """Another one at the same place."""
        return deepcopy(self)

    @property
    def accepts(self) -> bool:
        """Whether the text may end here."""
        return True

    @property
    def near(self) -> int:
        """How many ids lead to an end, at least, as far as is known."""
        return 0

    @property
    def key(self) -> Hashable:
        """The same for places that go on alike; None if that is not known."""
        return None

    def after(self, id: int) -> Follower:
        """Another one, after an id that may come."""
        other = self.copy()
        state = other.table.following[other.state, other.table.classes[id]]
        other.take(np.array([id], np.int32), np.array([state], np.int32))
        return other


class BoundTable(BoundRule):
    """A rule that is a table, whose first state is 0."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, length: int) -> Follower:
        """A text in state 0."""
        shortest = int(self._table.distance[0])
        if length < shortest:
            raise SettingsError(
                f"length: {length} was given; the shortest text that the rule allows has {shortest}"
            )
        return _TableFollower(self._table, length)


class _TableFollower(Follower):
    steps = 2**30

    def __init__(self, table: Table, length: int) -> None:
        self.table, self.state, self.left = table, 0, length

    def take(self, ids: Array, states: Array) -> int:
        if self.ended:
            return 0
        final = self.table.final[states].nonzero()[0]
        beyond = (states < 0).nonzero()[0]
        taken = min(len(ids), self.left, *(final[:1] + 1).tolist(), *beyond[:1].tolist())
        self.left -= taken
        if taken:
            self.state = int(states[taken - 1])
        if taken < len(ids) and not self.complete:
            self.left = 0  # the text may end here, and in what is left it cannot end elsewhere
        return taken

    @property
    def complete(self) -> bool:
        return bool(self.table.final[self.state])

    def copy(self) -> Follower:
        other = _TableFollower(self.table, self.left)
        other.state = self.state
        return other

    @property
    def accepts(self) -> bool:
        return self.near == 0

    @property
    def near(self) -> int:
        return int(self.table.distance[self.state])

    @property
    def key(self) -> Hashable:
        return self.state
