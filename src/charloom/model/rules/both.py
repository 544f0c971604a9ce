"""Two rules at once: what may come next has to lead to an end that both allow.

Each rule alone knows a way to an end of its own from every character that it allows; the two need
not agree. So a character is allowed only where a search finds a common way, within what is left
of the length. The search takes the places first from which an end seems nearest (A*), so the way
that it finds is a shortest one, and it looks at a bounded number of places: what it does not find
is not drawn. Texts share what was found. Only the character that was drawn is looked at, where
that is enough, and the way from the place before is tried first.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from copy import copy

import numpy as np

from ...engines.restriction import Table
from ...engines.weights import Array
from ...errors import SettingsError, counted
from ..predictor import Predictor
from .rule import BoundRule, Follower, Rule, Searching, check_is_rule

FIRST_SEARCH, LATER_SEARCH = 20_000, 2000
"""Places that are looked at for a way: from the first character, from another."""
_MOST_KEPT = 100_000

_Way = tuple[int, ...]
"""Ids that lead to an end."""


class Both(Rule):
    """Texts that two rules allow.

    >>> from charloom import Both, CopyIndex, Model, ModelSettings, NoCopies, Pattern, Vocabulary
    >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("abc"))
    >>> rule = Both(Pattern("[ab]{2}c"), NoCopies(CopyIndex.of(["aab bbc"]), 2))
    >>> set(model.generate_many(count=50, seed=1, rule=rule))
    {'bac'}
    """

    def __init__(self, first: Rule, second: Rule) -> None:
        for rule in (first, second):
            check_is_rule(rule)
        self.rules = first, second

    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """Both over the ids of one model."""
        return _BoundBoth([rule.bound(predictor, stops) for rule in self.rules])


class _BoundBoth(BoundRule):
    def __init__(self, rules: Sequence[BoundRule]) -> None:
        self._rules = rules
        self._first: _BothFollower | None = None

    def begin(self, length: int) -> Follower:
        """A text that nothing is written of."""
        if self._first is None or self._first.left != length:
            place = _Place([rule.begin(length) for rule in self._rules])
            way = place.way(FIRST_SEARCH)
            if way is None:
                raise SettingsError(
                    "rule: no text was found that fulfils both rules in at most "
                    f"{counted(length, 'character')}"
                )
            self._first = _BothFollower(place, way, {})
            self._first.settle()
        return self._first.copy()


class _Place:
    """How far a text has come in both rules."""

    def __init__(self, followers: Sequence[Follower]) -> None:
        self.followers = followers

    def after(self, id: int) -> _Place | None:
        """Where an id leads to that both allow; None if one of them knows of no end after it."""
        followers = [one.after(id) for one in self.followers]
        return None if None in followers else _Place([one for one in followers if one])

    def allowed(self) -> Array:
        """(V,) bool What each of them allows."""
        first, second = (one.table.allowed(one.state, one.left) for one in self.followers)
        return first & second

    def ends_by(self, way: _Way) -> bool:
        """Whether these ids may follow, and the text end after them."""
        place: _Place | None = self
        for id in way:
            place = place.after(id) if place.allowed()[id] else None
            if place is None:
                return False
        return place.accepts

    @property
    def accepts(self) -> bool:
        """Whether the text may end here."""
        return all(one.accepts for one in self.followers)

    @property
    def near(self) -> int:
        """No fewer ids lead to an end."""
        return max(one.near for one in self.followers)

    @property
    def key(self) -> Hashable:
        """The same for places that go on alike; None if that is not known."""
        keys = tuple(one.key for one in self.followers)
        return None if None in keys else keys

    def way(self, most: int) -> _Way | None:
        """A shortest way to an end, if one is found among so many places."""
        waiting: list[tuple[int, int, int, _Way, _Place]] = [(self.near, 0, 0, (), self)]
        seen: set[Hashable] = {self.key}
        looked = 0
        while waiting and looked < most:
            _, _, _, way, place = heapq.heappop(waiting)
            if place.accepts:
                return way
            for id in np.flatnonzero(place.allowed()).tolist():
                after = place.after(id)
                if after is None:
                    continue
                key = after.key
                if key is not None:
                    if key in seen:
                        continue
                    seen.add(key)
                looked += 1
                near = after.near
                heapq.heappush(waiting, (len(way) + 1 + near, near, looked, (*way, id), after))
        return None


class _BothFollower(Searching[tuple[_Place, _Way]]):
    def __init__(
        self, place: _Place, way: _Way, kept: dict[Hashable, tuple[_Way | None, int]]
    ) -> None:
        super().__init__(place.followers[0].left)
        self._place, self._way, self._kept = place, way, kept
        self._moved(Table.of_mask(place.allowed()))

    def copy(self) -> _BothFollower:
        """Another one at the same place."""
        other = copy(self)
        other._tried = dict(self._tried)
        return other

    def take(self, ids: Array, states: Array) -> int:
        """Go on by one id, or by none where the text has ended."""
        if self.ended or not len(ids):
            return 0
        found = self._found(int(ids[0]))
        assert found is not None, "an id that leads to no end"
        self._place, self._way = found
        self.left -= 1
        self._moved(Table.of_mask(self._place.allowed()))
        return 1

    def _search(self, id: int) -> tuple[_Place, _Way] | None:
        after = self._place.after(id)
        if after is None:
            return None
        rest = self._way[1:]
        if self._way[:1] == (id,) or (len(rest) < self.left and after.ends_by(rest)):
            return after, rest
        way = self._way_from(after)
        return None if way is None else (after, way)

    def _way_from(self, place: _Place) -> _Way | None:
        if place.accepts:
            return ()
        left, key = self.left - 1, place.key
        if key is not None and key in self._kept:
            way, most = self._kept[key]
            if way is not None:
                return way if len(way) <= left else None
            if left <= most:
                return None
        way = place.way(LATER_SEARCH)
        if key is not None:
            if len(self._kept) > _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = way, left
        return way

    @property
    def complete(self) -> bool:
        return not self.table.classes.any() and self.accepts

    @property
    def accepts(self) -> bool:
        return self._place.accepts

    @property
    def near(self) -> int:
        return self._place.near

    @property
    def key(self) -> Hashable:
        return self._place.key
