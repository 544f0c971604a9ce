"""What a rule is for generation: before each draw, the characters that each text may go on with.

    Rule         what the user gives; knows nothing of a model
    BoundRule    the same over the ids of one model, with what ends a text
    Follower     one text under the rule: where it is, and what may come next

A rule that has a table of all its states is asked now and then, and C++ looks up the table for
every character; one that finds out as it goes has `steps = 1`, and is asked before each of them.
Where finding out takes long, it is asked only about what was drawn (`Searching`): an id that leads
to no end is drawn again, from those that do. That is the same as to draw from those at once: the
first draw gives x with p(x) / p(table) and fails with 1 - p(good) / p(table), the second gives it
with p(x) / p(good), which adds up to p(x) / p(good).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from copy import deepcopy
from typing import Generic, TypeVar

import numpy as np

from ...engines.restriction import Table
from ...engines.weights import Array
from ...errors import SettingsError
from ...settings import check_kind
from ..predictor import Predictor


class Rule(ABC):
    """What texts may be. It is for the text after the prompt, and for all of it."""

    @abstractmethod
    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """The rule for one model, whose texts end before a stop string.

        SettingsError if no text of the model's characters fulfils it.
        """


def check_is_rule(given: object) -> None:
    """SettingsError for what is no rule."""
    expected = "Pattern(...), JsonSchema(...), Grammar(...) or NoCopies(...)"
    check_kind("rule", given, Rule, expected)


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
        settled: whether all that the table allows leads to an end; if not, ask `admits`.

    """

    table: Table
    state: int
    left: int
    steps: int
    settled: bool = True

    def admits(self, id: int) -> bool:
        """Whether an id that the table allows leads to an end."""
        return True

    def settle(self) -> None:
        """Leave nothing in the table but what leads to an end."""
        return

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

    def after(self, id: int) -> Follower | None:
        """Another one, after an id that the table allows; None if that leads to no end."""
        if not self.admits(id):
            return None
        other = self.copy()
        state = other.table.following[other.state, other.table.classes[id]]
        other.take(np.array([id], np.int32), np.array([state], np.int32))
        return other


_Found = TypeVar("_Found")


class Searching(Follower, Generic[_Found]):
    """A text under a rule that has to search whether an id leads to an end."""

    steps, state, settled = 1, 0, False

    def __init__(self, left: int) -> None:
        self.left = left
        self._tried: dict[int, _Found | None] = {}

    @abstractmethod
    def _search(self, id: int) -> _Found | None:
        """How an end can be reached after an id, whatever other ids were tried here; or None."""

    def _moved(self, table: Table) -> None:
        """Here is another place, with what may be tried."""
        self.table, self.settled = table, False
        self._tried = {}

    def _found(self, id: int) -> _Found | None:
        if id not in self._tried:
            self._tried[id] = self._search(id)
        return self._tried[id]

    def admits(self, id: int) -> bool:
        """Whether an id that the table allows leads to an end."""
        return self._found(id) is not None

    def settle(self) -> None:
        """Leave nothing in the table but what leads to an end."""
        if not self.settled:
            mask = self.table.allowed(0, 1)
            for id in np.flatnonzero(mask).tolist():
                mask[id] = self.admits(id)
            self.table, self.settled = Table.of_mask(mask), True


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

    def after(self, id: int) -> Follower:
        """Another one, after an id that the table allows."""
        other = _TableFollower(self.table, self.left - 1)
        other.state = int(self.table.following[self.state, self.table.classes[id]])
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
