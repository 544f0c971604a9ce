"""The network of a run while it learns: one batch, one validation, one checkpoint at a time.

What a step does is a function of the position and the seed: no generator is asked, and the
clock only for the seconds that are told.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import cast

import numpy as np

from ..engines.base import OptimizerState, Outcome, State, Step, StepSettings
from ..engines.joining import group_of
from ..engines.members import first_members
from ..engines.selection import open_engine
from ..engines.weights import Weights, initial_weights
from ..errors import ModelFileError, SettingsError, TrainingError
from ..model.oddity.calibration import Calibration, LineStrangeness
from ..model.predictor import Predictor
from ..model.scoring import Score, evaluate
from ..settings import TrainingSettings
from ..text.batches import Batches, Streams, make_batches, with_unknowns
from ..text.corpus import Ids
from ..text.splitting import Split
from .checkpoint import Checkpoint
from .plan import Plan
from .position import Position
from .progress import Progress
from .schedule import dropout, learning_rate, planned_steps, validation_is_due


class Trainer:
    """An engine, the batches it learns from, and the state carried from one to the next."""

    def __init__(
        self,
        plan: Plan,
        parts: Split,
        checkpoint: Checkpoint | None = None,
        weights: Weights | None = None,
    ) -> None:
        """Open the network of a checkpoint, or of no steps, with weights given or first values.

        Raises SettingsError or TextError if nothing can be trained or validated as planned.
        """
        settings = plan.training
        self._plan = plan
        self.group = group_of(settings.engine, settings.device)
        """The processes that train the network."""
        self._held_out = _measurable(parts.validation.ids, settings)
        self._batches = make_batches(settings, parts.training.ids, plan.vocabulary)
        if isinstance(self._batches, Streams):  # of a text in shards the others are not read
            self._batches.own = self.group.share(self._batches.batch_size)
        if checkpoint is not None:
            _check(checkpoint, self._batches)
        start = checkpoint or _beginning(plan, self._batches, weights)
        self._state = start.state
        self.engine = open_engine(
            plan.model,
            plan.vocabulary.size,
            start.weights,
            precision=start.precision,
            threads=settings.threads,
            engine=settings.engine,
            device=settings.device,
            group=self.group,
            members=settings.members,
        )
        self.engine.load(start.weights, start.optimizer)
        self.predictor = Predictor(
            engine=self.engine, vocabulary=plan.vocabulary, lines=settings.batches == "lines"
        )
        self.start = start.position
        """Where it is opened."""
        self._zero: float | None = None  # on the clock, when the run would have begun
        self._calibration: Calibration | None = None
        self._measured = False

    def weights(self) -> Weights:
        """A copy of the weights, those of members merged."""
        return self.engine.merged()

    @property
    def intact(self) -> bool:
        """Whether a step that has failed has changed nothing."""
        return self.engine.intact

    def learning_rate(self, position: Position) -> float:
        """Of the step that follows."""
        return learning_rate(position.step, position.steps, self._plan.training)

    def advance(self, before: Position) -> tuple[Position, Progress]:
        """Take a step, and validate if it is time to.

        TrainingError, and nothing changed, if the step diverges.
        """
        if self._zero is None:
            self._zero = time.monotonic() - before.seconds
        step = self.step(before)
        position = before.after_batch(self.batches_in(before.epoch))
        validation = self.validate() if self.validation_is_due(position) else None
        if validation is not None:
            position = position.after_validation(validation)
        position = replace(position, seconds=time.monotonic() - self._zero)
        progress = Progress(
            step=position.step,
            steps=position.steps,
            epoch=position.epoch + position.index / self.batches_in(position.epoch),
            outcome=step.outcome,
            characters=step.characters,
            learning_rate=self.learning_rate(before),
            seconds=position.seconds,
            validation=validation,
            best=validation is not None and position.best_step == position.step,
        )
        return position, progress

    def step(self, position: Position) -> Step:
        """Learn from the next batch; TrainingError, and nothing changed, if that diverges."""
        settings, unknown_id = self._plan.training, self._plan.vocabulary.unknown_id
        at = (position.epoch, position.index)
        batch = self._batches.batch(*at)
        batch = with_unknowns(batch, unknown_id, settings.unknown_share, settings.seed, *at)
        state = self.engine.zero_state(batch.inputs.shape[1]) if batch.fresh else self._state
        step = self.engine.train_step(
            batch.inputs,
            batch.targets,
            state,
            StepSettings(
                learning_rate=self.learning_rate(position),
                beta1=settings.beta1,
                beta2=settings.beta2,
                epsilon=settings.epsilon,
                clip_norm=settings.clip_norm,
                dropout=dropout(position.step, position.steps, settings),
                dropout_key=_dropout_key(settings.seed, position.step),
            ),
        )
        if step.outcome.ready:
            self.check(position.step + 1, step.outcome)
        self._state = step.state
        return step

    def check(self, step: int, outcome: Outcome) -> None:
        """TrainingError if what came of a step is not finite."""
        settings = self._plan.training
        if not (math.isfinite(outcome.nats) and math.isfinite(outcome.gradient_norm)):
            raise TrainingError(
                f"step {step}: the loss is not finite ({outcome.nats:g}, gradient "
                f"{outcome.gradient_norm:g}); the last good model is kept; start again with "
                f"a `learning_rate` below {settings.learning_rate:g}, or a smaller `clip_norm`",
                "learning_rate",
                "clip_norm",
            )

    def batches_in(self, epoch: int) -> int:
        """Steps of an epoch."""
        return self._batches.batches_in(epoch)

    def validation_is_due(self, position: Position) -> bool:
        """Whether a validation follows the step that led to this position."""
        batch = self._batches.batch_size * self._batches.sequence_length
        held_out = len(self._held_out)
        return validation_is_due(
            position.step, position.steps, self._plan.training, batch, held_out
        )

    def validate(self) -> Score:
        """Measure the network on all that is held out."""
        measured, calibration = None, None
        if self.group.leads and self.predictor.lines:
            lines = LineStrangeness(self.predictor.vocabulary)
            measured = evaluate(self.predictor, self._held_out, each=lines.through)
            calibration = lines.calibration()
        elif self.group.leads:
            measured = evaluate(self.predictor, self._held_out)
        measured, self._calibration = self.group.same((measured, calibration))
        self._measured = True
        return cast("Score", measured)

    def calibration(self) -> Calibration | None:
        """By the held-out lines, as the last validation found them; of lines alone."""
        if self.predictor.lines and not self._measured:
            self.validate()  # in a run that goes on from its best step
        return self._calibration

    def checkpoint(self, position: Position) -> Checkpoint:
        """A copy of all that going on from here needs."""
        return Checkpoint(
            weights=self.engine.weights(),
            optimizer=self.engine.optimizer_state(),
            state=self.engine.whole_state(self._state),
            position=position,
            precision=self.engine.precision,
            kernels=self.engine.kernels,
        )


def _beginning(plan: Plan, batches: Batches, weights: Weights | None) -> Checkpoint:
    """The checkpoint of no steps."""
    settings = plan.training
    if weights is None:
        shape, size = plan.model, plan.vocabulary.size
        first, seed = settings.first_values, settings.seed
        if settings.members > 1:
            weights = first_members(shape, size, seed, settings.members, first)
        else:
            weights = initial_weights(shape, size, seed, first_values=first)
    steps = planned_steps(settings, batches.batches_in(0), plan.steps)
    zeros = {name: np.zeros_like(weight) for name, weight in weights.items()}
    return Checkpoint(
        weights=weights,
        optimizer=OptimizerState(steps=0, mean=zeros, mean_square=zeros),
        state=State.zeros(plan.model, batches.batch_size),
        position=Position(steps=steps),
        precision=settings.precision,
        kernels="",
    )


def _check(checkpoint: Checkpoint, batches: Batches) -> None:
    """ModelFileError if a checkpoint does not fit the text."""
    position, state = checkpoint.position, checkpoint.state
    try:
        batch = batches.batch(position.epoch, position.index)
    except IndexError:
        batch = None
    carried = batch is not None and (batch.fresh or batch.inputs.shape[1] == state.streams)
    if not carried or checkpoint.optimizer.steps != position.step:
        raise ModelFileError(
            f"the checkpoint of step {position.step} does not fit the text of its run; put "
            "another copy of the folder back"
        )


def _measurable(held_out: Ids, settings: TrainingSettings) -> Ids:
    """What is held out, or nothing where there is nothing to predict in it."""
    if settings.batches != "lines" and len(held_out) < 2:
        held_out = held_out[:0]
    if settings.patience and not len(held_out):
        raise SettingsError(
            f"patience: {settings.patience} was given, but nothing is held out to validate "
            "with; use 0, a larger `validation_fraction`, or a `validation` text",
            "validation_fraction",
            "validation",
        )
    return held_out


def _dropout_key(seed: int, step: int) -> int:
    """32 bits that differ from step to step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
