"""Saving a run: when a checkpoint is due, and the order of the writes.

    log.jsonl, synced   ->   checkpoint.safetensors   ->   model.safetensors, if it is better

Whatever comes last is whole, and the run goes on from it (folder.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

from ..errors import ModelFileError
from ..model.model import Model
from .checkpoint import Checkpoint, write_checkpoint
from .folder import RunFolder
from .lock import Lock
from .log import Entry, Log, read_log
from .plan import Plan
from .position import Position
from .progress import Progress

CHECKPOINT_SECONDS = 15.0
"""The longest time between two checkpoints, and so the most that a crash can cost."""


class Saving:
    """The files of a run that change while it trains, under the lock of its folder."""

    def __init__(self, folder: RunFolder, lock: Lock) -> None:
        self._folder, self._lock = folder, lock
        self._log = Log(folder.log)

    def begin(self, plan: Plan) -> None:
        """Write the plan of a new run."""
        self._folder.write_plan(plan)
        self._log.open(0)

    def go_on(self, step: int) -> None:
        """Cut the log back to the step of a checkpoint."""
        self._log.open(step)

    def add(self, progress: Progress) -> None:
        """Add a step to the log; it is on the disk with the next checkpoint."""
        self._log.add(progress.to_json())

    def history(self, steps: int) -> Iterator[Entry]:
        """The log as far as that step."""
        return islice(read_log(self._folder.log), steps) if steps else iter(())

    def save(self, checkpoint: Checkpoint, best: Model | None) -> None:
        """Write a checkpoint, and the best model if it is a new one.

        Raises OutputError if there is no room, TrainingError if the folder is another one.
        """
        self._lock.check()
        self._log.flush(sync=True)
        write_checkpoint(self._folder.checkpoint, checkpoint)
        if best is not None:
            self.save_model(best)

    def save_model(self, best: Model) -> None:
        """Write the best model."""
        best.save(self._folder.model)

    def best_model(self, plan: Plan, position: Position) -> Model:
        """The model that was saved; ModelFileError if it is not the best one of the run."""
        path = self._folder.model
        model = Model.load(path)
        same = (
            model.provenance.step == position.best_step
            and model.settings == plan.model
            and model.vocabulary == plan.vocabulary
        )
        if not same:
            raise ModelFileError(
                f"{path}: is not the best model of this run, that of step "
                f"{position.best_step}; put that one back"
            )
        return model

    def close(self) -> None:
        """Let others write in the folder."""
        self._log.close()
        self._lock.release()


class Following(Saving):
    """In place of Saving in the processes of a group that do not write."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def begin(self, plan: Plan) -> None:
        """Nothing; process 0 does it."""

    def go_on(self, step: int) -> None:
        """Nothing; process 0 does it."""

    def add(self, progress: Progress) -> None:
        """Nothing; process 0 does it."""

    def save(self, checkpoint: Checkpoint, best: Model | None) -> None:
        """Nothing; process 0 does it."""

    def save_model(self, best: Model) -> None:
        """Nothing; process 0 does it."""

    def close(self) -> None:
        """Nothing; process 0 does it."""


class Interval:
    """When a checkpoint is due: at intervals that grow, and further if saving is slow."""

    def __init__(self, first: Position) -> None:
        self.first = self.last = first
        """Where this part of the run began, and where the last checkpoint was taken."""
        self._began = 0.0
        self._cost = 0.0

    def is_due(self, position: Position) -> bool:
        """Whether it is time for the next checkpoint."""
        return position.seconds - self.last.seconds >= self._interval(position)

    def next_step(self) -> int:
        """The step at which the next one will be due, at the speed so far."""
        done = self.last.step - self.first.step
        speed = done / max(self.last.seconds - self.first.seconds, 1e-6)
        return self.last.step + max(int(speed * self._interval(self.last)), 1)

    def _interval(self, position: Position) -> float:
        longest = max(0.3, (position.seconds - self.first.seconds) / 2)
        return max(min(CHECKPOINT_SECONDS, longest), 20 * self._cost)

    def begin(self) -> None:
        """Begin to time a save."""
        self._began = time.monotonic()

    def end(self, position: Position) -> None:
        """A checkpoint was taken at a position."""
        self._cost = time.monotonic() - self._began
        self.last = position
