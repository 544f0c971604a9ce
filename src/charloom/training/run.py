"""A training run: an iterator of Progress that resumes exactly.

    run = train("book.txt", output="book.run")
    for progress in run:                    # one optimizer step
        print(progress.step, progress.bits_per_character)
    run.best_model()

It logs its validations, as charloom.training.reports (level INFO). A notebook shows its curve,
which moves while the run trains.

A run that was stopped, or killed, and then resumed equals one that never stopped, to the
last bit. There is one exception: with `minutes`, each checkpoint plans anew how many steps
will fit, and stores that plan.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..engines.weights import parameter_count
from ..errors import TrainingError
from ..model.generation import generate
from ..model.model import Model
from ..model.scoring import Score
from ..settings import READABLE, SamplingSettings
from .best import Best
from .checkpoints import Checkpoints
from .notebook import Views, summary
from .plan import Plan
from .progress import Progress
from .reports import Reports
from .saving import Saving
from .trainer import Trainer


class Run(Iterator[Progress]):
    """A run: iterate over it to train, one Progress per optimizer step.

    Made by `train` and `resume`. When it ends, or at `stop`, the folder holds a checkpoint
    of the last step; until then, one that is at most about 15 seconds old.
    """

    def __init__(self, plan: Plan, trainer: Trainer, saving: Saving | None = None) -> None:
        self.plan = plan
        """Settings, vocabulary and facts about the texts."""
        self._trainer, self._saving = trainer, saving
        self._position = trainer.start
        self._views = Views(saving, trainer.start.step)
        self._reports = Reports(trainer, saving, self._views.curve)
        self._best = Best(plan, trainer, saving)
        self._checkpoints = Checkpoints(plan, trainer, self._best, saving)
        self._whole = True  # False while a step is being taken
        self._stopped = False

    @property
    def step(self) -> int:
        """Steps done."""
        return self._position.step

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and prints; one by itself always is."""
        return self._trainer.group.leads

    @property
    def in_group(self) -> bool:
        """Whether several processes train it together."""
        return self._trainer.group.size > 1

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return parameter_count(self.plan.model, self.plan.vocabulary.size)

    @property
    def steps(self) -> int:
        """Steps of the whole run, as planned now."""
        return self._position.steps

    @property
    def seconds(self) -> float:
        """Time the run has taken so far, what was before a stop included."""
        return self._position.seconds

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or patience has run out."""
        return self._position.is_last(self.plan.training.patience)

    @property
    def best(self) -> Score | None:
        """The best validation so far."""
        return self._position.best

    @property
    def best_step(self) -> int | None:
        """The step after which it was made."""
        return self._position.best_step

    def best_model(self) -> Model:
        """The best model so far; before the first validation, the latest.

        It is the same object until there is a better one.
        """
        return self._best.model(self._position)

    def sample(self, length: int = 100) -> str:
        """A short text by the network as it is now."""
        sampling = SamplingSettings(seed=self.step, temperature=READABLE)
        return "".join(generate(self._trainer.predictor, length=length, sampling=sampling))

    def finish(self) -> Model:
        """Train to the end; the best model."""
        for _ in self:
            pass
        return self.best_model()

    def stop(self) -> None:
        """Save where the run is, and end the iteration; `resume` goes on from here."""
        self._stopped = True
        try:
            if self._whole and self.step > self._checkpoints.last:
                self._save()
        finally:
            self._close()
            self._views.refresh(self, at_once=True)

    def __next__(self) -> Progress:
        if self._stopped or self.finished:
            self.stop()
            raise StopIteration
        if not self._whole:
            raise TrainingError(
                "this run was interrupted in the middle of a step; resume it instead"
            )
        self._whole = False
        try:
            progress = self._next()
        except MemoryError:
            self._close()
            raise self._checkpoints.no_memory(self._position) from None
        except BaseException:
            if not self._whole:
                self._close()  # nothing more can come of it, so another may go on
            raise
        self._whole = True
        return progress

    def _next(self) -> Progress:
        """Take a step, validate if it is time to, and save if it is time to."""
        try:
            self._position, progress = self._trainer.advance(self._position)
        except TrainingError:
            self._whole = self._trainer.intact  # else the last checkpoint is what is left
            self.stop()
            raise
        if progress.best:
            self._best.keep()
        self._reports.add(progress)
        self._views.refresh(self)
        due = self._checkpoints.are_due(self._position)
        if due or self.finished or progress.validation is not None:
            self._save()
        return progress

    def _save(self) -> None:
        """Take a checkpoint, once all steps before it are checked and logged."""
        self._reports.read()
        self._position = self._checkpoints.take(self._position)

    def _close(self) -> None:
        if self._saving is not None:
            self._saving.close()

    def __repr__(self) -> str:
        return summary(self)

    def _repr_html_(self) -> str:
        return self._views.html(self)

    def _ipython_display_(self) -> None:
        self._views.show(self)
