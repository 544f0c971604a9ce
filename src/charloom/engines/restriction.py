"""Which ids may be drawn: tables of states, one for each text that follows a rule.

    classes[v]                the class of id v: ids that every state treats alike
    following[s, classes[v]]  the state after id v in state s; below 0, v may not come
    distance[s]               the fewest ids from state s to one where the text may end

In state s, with n ids left to draw, v may be drawn if there is a state after it and the text
can end within the n - 1 ids then left. Where nothing may be drawn, the text has ended: what is
drawn there is drawn freely, belongs to nobody, and leads to the state -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .weights import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """The states of a rule, and the ids that lead from one to another.

    >>> table = Table(  # an "a", or more, and a "b"
    ...     following=np.array([[1, -1], [1, 2], [-1, -1]], np.int32),
    ...     distance=np.array([2, 1, 0], np.int32),
    ...     classes=np.array([0, 1], np.int32),
    ... )
    >>> table.allowed(1, left=9), table.allowed(1, left=1), table.allowed(2, left=9)
    (array([ True,  True]), array([False,  True]), array([False, False]))
    >>> table.final
    array([False, False,  True])
    """

    following: Array
    """(S, C) int32"""
    distance: Array
    """(S,) int32"""
    classes: Array
    """(V,) int32"""

    def __post_init__(self) -> None:
        for values in (self.following, self.distance, self.classes):
            assert values.dtype == np.int32 and values.flags.c_contiguous

    @classmethod
    def of_mask(cls, mask: Array) -> Table:
        """The ids that a mask (V,) allows, whatever comes after: for one id, then ask again.

        >>> Table.of_mask(np.array([True, False, True])).allowed(0, left=1)
        array([ True, False,  True])
        """
        return cls(following=_NO_OR_YES, distance=_NEAR, classes=mask.astype(np.int32))

    @cached_property
    def final(self) -> Array:
        """(S,) bool Where nothing may follow, so that the text has ended."""
        return np.all(self.following < 0, axis=1)

    def allowed(self, state: int, left: int) -> Array:
        """(V,) bool Which ids may come next, where so many may still be drawn."""
        after = self.following[state]
        return ((after >= 0) & (self.distance[after] < left))[self.classes]


_NO_OR_YES = np.array([[-1, 0]], np.int32)
_NEAR = np.zeros(1, np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Restriction:
    """The tables of the B streams of a call to `Engine.generate`, and where each of them is."""

    tables: Sequence[Table | None]
    """B of them; None where everything may be drawn. Streams may share a table."""
    states: Array
    """(length + 1, B) int32 The first row is given, and `generate` writes the others: the state
    after every id that was drawn."""
    left: Array
    """(B,) int64 How many ids may still be drawn, at the first row."""

    @classmethod
    def starting(
        cls, tables: Sequence[Table | None], states: Sequence[int], left: Sequence[int], length: int
    ) -> Restriction:
        """Of streams that are in some states, for a call that draws `length` ids."""
        rows = np.full((length + 1, len(tables)), -1, np.int32)
        rows[0] = states
        return cls(tables=tables, states=rows, left=np.array(left, np.int64))

    def masks(self, n: int) -> list[Array | None]:
        """(V,) bool each: which ids may be the n-th; None where every one may."""
        found: list[Array | None] = []
        for table, state, left in zip(self.tables, self.states[n], self.left, strict=True):
            mask = None if table is None or state < 0 else table.allowed(state, left - n)
            found.append(mask if mask is not None and mask.any() else None)
        return found

    def move(self, n: int, ids: Array, masks: Sequence[Array | None]) -> None:
        """Write the states after the n-th ids (B,), which were drawn by these masks."""
        for b, (table, mask) in enumerate(zip(self.tables, masks, strict=True)):
            if table is not None and mask is not None:
                self.states[n + 1, b] = table.following[self.states[n, b], table.classes[ids[b]]]
