"""The steps of a run on their way to its log and curve: checked, in their order."""

from __future__ import annotations

import logging

from .curve import Curve
from .progress import Progress
from .saving import Saving
from .trainer import Trainer

logger = logging.getLogger(__name__)

MOST_UNREAD = 1000
"""Steps after which the numbers that a device keeps are read, at the latest."""


class Reports:
    """Steps whose numbers may still be on a device."""

    def __init__(self, trainer: Trainer, saving: Saving | None, curve: Curve) -> None:
        self._trainer, self._saving, self._curve = trainer, saving, curve
        self._unread: list[Progress] = []

    def add(self, progress: Progress) -> None:
        """Add a step, and read all if that waits for nothing; a validation is told at once."""
        self._unread.append(progress)
        if progress.validation is not None:
            logger.info(
                "step %d of %d: %.4f bits per character held out%s",
                progress.step,
                progress.steps,
                progress.validation.bits_per_character,
                ", the best so far" if progress.best else "",
            )
        if progress.outcome.ready or len(self._unread) == MOST_UNREAD:
            self.read()

    def read(self) -> None:
        """Check and log the steps that wait for it; TrainingError for one that is not finite.

        Nothing is saved then: the last checkpoint is from before that step.
        """
        unread, self._unread = self._unread, []
        for progress in unread:
            self._trainer.check(progress.step, progress.outcome)
            self._curve.add(progress)
            if self._saving is not None:
                self._saving.add(progress)
