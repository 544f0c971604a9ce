"""The processes that train one network together, as `torchrun` starts them.

Each has some of the streams of every batch. Process 0 leads: it alone reads the clock, writes
and prints, and the others are told what it has decided. A process by itself is a group of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class Group:
    """A group of one; pytorch/group.py has larger ones.

    >>> Group().same(3), Group().leads, Group().share(8)
    (3, True, slice(0, 8, None))
    """

    rank = 0
    """Of this process."""
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def share(self, streams: int) -> slice:
        """Which streams of a batch are this process's; none where there are too few."""
        return slice(self.rank * streams // self.size, (self.rank + 1) * streams // self.size)

    def same(self, value: Value) -> Value:
        """The value that process 0 has, in all of them."""
        return value

    def lead(self, work: Callable[[], Value]) -> Value | None:
        """What comes of work that process 0 alone does, and None in the others.

        They wait for it; if it fails they have a GroupError, and process 0 the error itself.
        """
        return work()


ALONE = Group()
