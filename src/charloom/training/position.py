"""The position of a run: with weights, optimizer and carried state it decides what follows.

Steps, batches and validations are counted, so that a resumed run takes the next step that
the run would have taken. Only the seconds are measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import ConfigDict, Field

from ..errors import SettingsError
from ..model.scoring import Score
from ..model.storage.provenance import Count, Measured
from .schedule import steps_that_fit


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run is.

    >>> position = Position(steps=10).after_batch(batches_in_epoch=1)
    >>> position.step, position.epoch, position.index
    (1, 1, 0)
    >>> position.after_validation(Score(nats=3.0, characters=2)).best_step
    1
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    step: Count = 0
    """Optimizer steps done."""
    epoch: Count = 0
    index: Count = 0
    """Of the next batch in its epoch."""
    steps: Count
    """Planned in total."""
    best_step: Count | None = None
    best: Measured | None = None
    """The best validation, which followed `best_step`."""
    worse: Count = 0
    """Validations since the best one."""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Time the run has taken, over all its parts."""

    def is_last(self, patience: int) -> bool:
        """Whether all steps are done, or as many validations as `patience` were not better."""
        return self.step >= self.steps or 0 < patience <= self.worse

    @property
    def is_best(self) -> bool:
        """Whether the best model is the network as it is now; so it is before a validation."""
        return self.best_step in (None, self.step)

    def after_batch(self, batches_in_epoch: int) -> Position:
        """The position after one more step."""
        last = self.index + 1 >= batches_in_epoch
        return replace(
            self,
            step=self.step + 1,
            epoch=self.epoch + last,
            index=0 if last else self.index + 1,
        )

    def after_validation(self, score: Score) -> Position:
        """The position after a validation: better than all before it, or one more without."""
        if score.nats < (self.best.nats if self.best else math.inf):
            return replace(self, best_step=self.step, best=score, worse=0)
        return replace(self, worse=self.worse + 1)

    def longer(self, steps: int) -> Position:
        """With another number of steps in total; SettingsError if they are done already."""
        if steps == self.steps:
            return self
        if steps <= self.step:
            raise SettingsError(
                f"steps: {steps} was given, but {self.step} are done; give more than that"
            )
        return replace(self, steps=steps, worse=0)

    def planned_anew(self, minutes: float, since: Position, most: int | None = None) -> Position:
        """With as many steps as fit into `minutes` at the speed since an earlier position."""
        done = self.step - since.step
        if not done:
            return self
        speed = done / max(self.seconds - since.seconds, 1e-6)
        steps = steps_that_fit(60 * minutes - self.seconds, self.step, speed)
        return replace(self, steps=max(min(steps, most or steps), self.step))
