"""The checkpoints of a run: taken when they are due, with the steps fitted to the time.

In a group of processes all have to take a checkpoint after the same step, and no two clocks
agree. So at each one process 0 says after which step the next one will be, and what the plan is.
"""

from __future__ import annotations

from ..errors import TrainingError
from .best import Best
from .plan import Plan
from .position import Position
from .saving import Interval, Saving
from .trainer import Trainer


class Checkpoints:
    """Takes the checkpoints; a run without a folder only plans anew where it would take one."""

    def __init__(self, plan: Plan, trainer: Trainer, best: Best, saving: Saving | None) -> None:
        self._plan, self._trainer, self._best, self._saving = plan, trainer, best, saving
        self._group = trainer.group
        self._interval = Interval(trainer.start)
        self._next = trainer.start.step + 1  # in a group

    @property
    def last(self) -> int:
        """Steps done at the last one."""
        return self._interval.last.step

    def are_due(self, position: Position) -> bool:
        """Whether it is time for the next one."""
        if self._group.size > 1:
            return position.step >= self._next
        return self._interval.is_due(position)

    def take(self, position: Position) -> Position:
        """Take one; the position, planned anew where the time is what is given.

        TrainingError, and the last one stays, if there is too little memory.
        """
        plan = self._plan
        if plan.training.minutes is not None and not position.is_last(plan.training.patience):
            first, most = self._interval.first, plan.most_steps
            position = position.planned_anew(plan.training.minutes, first, most)
        position = self._group.same(position)
        self._interval.begin()
        if self._saving is not None:
            try:
                best = self._best.model(position) if position.is_best else None
                self._saving.save(self._trainer.checkpoint(position), best)
            except MemoryError:
                raise self.no_memory(position) from None
        self._interval.end(position)
        self._next = self._group.same(self._interval.next_step())
        return position

    def no_memory(self, position: Position) -> TrainingError:
        """What is said where there is too little memory to go on from a position."""
        return TrainingError(
            f"step {position.step}: not enough memory; the last checkpoint, of step "
            f"{self.last}, is whole, so free some memory and resume, or start with a smaller "
            "hidden_size, batch_size or sequence_length"
        )
