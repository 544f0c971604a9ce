"""Training is a run that tells each of its steps, can stop at any of them, and go on.

    run = train("book.txt", output="book.run")
    for progress in run:                    # one optimizer step
        print(progress.step, progress.bits_per_character)
    run.model                               # the best so far

What a step does is a function of the seed and the step: no clock and no generator is asked.
So a run that was stopped, or killed, and then resumed equals one that never stopped, to the
last bit. There is one exception: with `minutes`, each checkpoint plans anew how many steps
will fit, and stores that plan.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.base import OptimizerState, Outcome, State, StepSettings
from ..engines.selection import open_engine
from ..engines.weights import initial_weights
from ..errors import SettingsError, TrainingError
from ..model.file import read_model
from ..model.generation import generate
from ..model.model import Model
from ..model.predictor import Predictor
from ..model.scoring import Score, evaluate
from ..settings import ModelSettings, SamplingSettings, TextSettings, TrainingSettings
from ..text.batches import make_batches, with_unknowns
from ..text.corpus import Corpus, Ids, build_corpus
from ..text.reading import Sources
from ..text.splitting import Part, Split, split
from .checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from .folder import Log, Plan, RunFolder
from .progress import Place, Progress, figures
from .schedule import learning_rate, planned_steps, steps_that_fit, validation_is_due

CHECKPOINT_SECONDS = 15.0
"""The longest time between two checkpoints, and so the most that a crash can cost."""

MOST_UNREAD = 1000
"""Steps after which the numbers that a device keeps are read, at the latest."""


def train(
    sources: Sources,
    *,
    output: str | Path | None = None,
    validation: Sources | None = None,
    text: TextSettings | None = None,
    model: ModelSettings | None = None,
    training: TrainingSettings | None = None,
) -> Run:
    """A new run over a text, ready to be iterated.

    `sources` is one or more files, folders, globs, "-" (standard input) or `InMemory`
    texts; `validation`, given likewise, is held out instead of the end of the text. The run
    is kept in the folder `output`; without one, in memory, where it cannot be resumed.

    Raises TextError for a text that cannot be used, SettingsError for settings that do not
    go together, OutputError if `output` holds a run already or cannot be written.

    >>> from charloom import InMemory, ModelSettings, TrainingSettings, train
    >>> run = train(
    ...     InMemory("the cat sat on the mat. " * 20),
    ...     model=ModelSettings(hidden_size=16, num_layers=1),
    ...     training=TrainingSettings(steps=60, learning_rate=0.03),
    ... )
    >>> losses = [progress.bits_per_character for progress in run]
    >>> losses[0] > 3 > 2 > losses[-1]
    True
    >>> "the" in "".join(run.model.generate(length=100))
    True
    """
    text, training = text or TextSettings(), training or TrainingSettings()
    folder = None if output is None else RunFolder(output)
    if folder is not None:
        folder.create()
    try:
        corpus = build_corpus(sources, text, ids_path=folder and folder.ids)
        held_out = None
        if validation is not None:
            held_out = build_corpus(
                validation,
                text,
                ids_path=folder and folder.validation_ids,
                vocabulary=corpus.vocabulary,
            )
        parts = split(corpus, text, held_out, lines=training.batches == "lines")
        plan = Plan(
            text=text,
            model=model or ModelSettings(),
            training=training,
            vocabulary=corpus.vocabulary,
            corpus=corpus.facts(),
            validation=held_out and held_out.facts(),
            split={
                "training": _facts(parts.training),
                "validation": _facts(parts.validation),
            },
        )
        run = Run(plan, parts, folder)
        if folder is not None:
            folder.write_plan(plan)
    except BaseException:
        if folder is not None:
            folder.discard()
        raise
    if folder is not None:
        run._log = Log(folder.log)
        run._log.cut(0)
    return run


def resume(folder: str | Path) -> Run:
    """The run in a folder, ready to go on from its last checkpoint.

    What follows equals, to the last bit, what would have followed without the stop. Raises
    ModelFileError if the folder holds no run or its files are damaged, and TrainingError if
    another process is training it.
    """
    place = RunFolder(folder)
    plan = place.read_plan()
    log = Log(place.log)
    corpus = Corpus.open(place.ids, plan.vocabulary, plan.corpus)
    held_out = None
    if plan.validation is not None:
        held_out = Corpus.open(place.validation_ids, plan.vocabulary, plan.validation)
    parts = split(corpus, plan.text, held_out, lines=plan.training.batches == "lines")
    # without a checkpoint it was killed before the first one, and starts where it started
    checkpoint = read_checkpoint(place.checkpoint) if place.checkpoint.exists() else None
    run = Run(plan, parts, place, checkpoint)
    log.cut(run.step)
    run._log = log
    return run


def _facts(part: Part) -> dict[str, Any]:
    return {"start": part.start, "stop": part.stop, "sha256": part.sha256}


class Run(Iterator[Progress]):
    """A run: iterate over it to train, one Progress per optimizer step.

    Made by `train` and `resume`. When it ends, or at `stop`, the folder holds a checkpoint
    of the last step; until then, one that is at most about 15 seconds old.
    """

    def __init__(
        self,
        plan: Plan,
        parts: Split,
        folder: RunFolder | None = None,
        start: Checkpoint | None = None,
    ) -> None:
        self.plan = plan
        """Settings, vocabulary and facts about the texts."""
        settings = plan.training
        self._folder = folder
        self._log: Log | None = None
        self._held_out = _measurable(parts.validation.ids, settings)
        self._batches = make_batches(settings, parts.training.ids, plan.vocabulary)
        self._unread: list[Progress] = []  # steps whose numbers are still on a device
        self._whole = True  # False while a step is being taken
        self._stopped = False
        self._zero: float | None = None  # on the clock, when the run would have begun
        self._saving_seconds = 0.0

        fresh = start is None
        start = start or self._beginning()
        self._state, self._best_weights = start.state, start.weights
        self._place = self._saved = self._first = Place(**start.progress["place"])
        self._engine = open_engine(
            plan.model,
            plan.vocabulary.size,
            start.weights,
            precision=start.progress["precision"],
            threads=settings.threads,
            engine=settings.engine,
            device=settings.device,
        )
        self._engine.load(start.weights, start.optimizer)
        self._predictor = Predictor(
            engine=self._engine, vocabulary=plan.vocabulary, lines=settings.batches == "lines"
        )
        if folder is not None and not fresh:
            _warn_of_other_kernels(start.progress["kernels"], self._engine.kernels)
            if self._model_is_here:
                self.model.save(folder.model)  # perhaps it was killed before this was done
            else:
                self._best_weights = read_model(folder.model).weights

    def _beginning(self) -> Checkpoint:
        """The checkpoint of no steps."""
        plan, settings = self.plan, self.plan.training
        weights = initial_weights(plan.model, plan.vocabulary.size, settings.seed)
        zeros = {name: np.zeros_like(weight) for name, weight in weights.items()}
        steps = planned_steps(settings, self._batches.batches_in(0))
        return Checkpoint(
            weights=weights,
            optimizer=OptimizerState(steps=0, mean=zeros, mean_square=zeros),
            state=State.zeros(plan.model, self._batches.batch_size),
            progress={"place": asdict(Place(steps=steps)), "precision": settings.precision},
        )

    @property
    def step(self) -> int:
        """Steps done."""
        return self._place.step

    @property
    def steps(self) -> int:
        """Steps of the whole run, as planned now."""
        return self._place.steps

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or patience has run out."""
        place, patience = self._place, self.plan.training.patience
        return place.step >= place.steps or 0 < patience <= place.worse

    @property
    def best(self) -> Score | None:
        """The best validation so far."""
        return Score(**self._place.best) if self._place.best else None

    @property
    def model(self) -> Model:
        """The best model so far; before the first validation, the latest."""
        plan, place = self.plan, self._place
        record = {
            "step": place.step if place.best_step is None else place.best_step,
            "steps": place.steps,
            "validation": self.best and figures(self.best),
            "precision": self._engine.precision,
            "kernels": self._engine.kernels,
            "text": plan.text.model_dump(),
            "training": plan.training.model_dump(),
            "corpus": plan.corpus,
            "split": plan.split,
        }
        return Model(
            plan.model,
            plan.vocabulary,
            self._engine.weights() if place.best_step is None else self._best_weights,
            record,
            precision=self._engine.precision,
            threads=plan.training.threads,
            engine=plan.training.engine,
            device=plan.training.device,
        )

    def sample(self, length: int = 100) -> str:
        """A short text by the network as it is now."""
        pieces = generate(self._predictor, length=length, sampling=SamplingSettings(seed=self.step))
        return "".join(pieces)

    def finish(self) -> Model:
        """Train to the end; the best model."""
        for _ in self:
            pass
        return self.model

    def stop(self) -> None:
        """Save where the run is, and end the iteration; `resume` goes on from here."""
        self._stopped = True
        if self._whole and self._place.step > self._saved.step:
            self._save()
        if self._log is not None:
            self._log.close()

    def __next__(self) -> Progress:
        if self._stopped or self.finished:
            self.stop()
            raise StopIteration
        if not self._whole:
            raise TrainingError(
                "this run was interrupted in the middle of a step; resume it instead"
            )
        self._whole = False
        if self._zero is None:
            self._zero = time.monotonic() - self._place.seconds
        progress = self._step(self._zero)
        self._unread.append(progress)
        if progress.outcome.ready or len(self._unread) == MOST_UNREAD:
            self._read()
        if progress.validation or self.finished or self._checkpoint_is_due():
            self._save()
        self._whole = True
        return progress

    def _read(self) -> None:
        """Check and log the steps that wait for it; TrainingError for one that is not finite.

        Nothing is saved then: the last checkpoint is from before that step.
        """
        unread, self._unread = self._unread, []
        whole, self._whole = self._whole, False
        for progress in unread:
            self._check(progress.step, progress.outcome)
            if self._log is not None:
                self._log.add(progress.to_json())
        self._whole = whole

    def _check(self, step: int, outcome: Outcome) -> None:
        if not (math.isfinite(outcome.nats) and math.isfinite(outcome.gradient_norm)):
            self.stop()
            raise TrainingError(
                f"step {step}: the loss is not finite ({outcome.nats:g}, gradient "
                f"{outcome.gradient_norm:g}); the last good model is kept; start again with "
                f"a learning_rate below {self.plan.training.learning_rate:g}, or a smaller "
                "clip_norm"
            )

    def _step(self, zero: float) -> Progress:
        """Take one step, and validate if it is time to; `zero` is the clock at second 0."""
        settings, place, vocabulary = self.plan.training, self._place, self.plan.vocabulary
        at = (place.epoch, place.index)
        batch = with_unknowns(
            self._batches.batch(*at),
            vocabulary.unknown_id,
            settings.unknown_share,
            settings.seed,
            *at,
        )
        fresh = self._engine.zero_state(batch.inputs.shape[1])
        rate = learning_rate(place.step, place.steps, settings)
        step = self._engine.train_step(
            batch.inputs,
            batch.targets,
            fresh if batch.fresh else self._state,
            StepSettings(
                learning_rate=rate,
                beta1=settings.beta1,
                beta2=settings.beta2,
                epsilon=settings.epsilon,
                clip_norm=settings.clip_norm,
                dropout=settings.dropout,
                dropout_key=_dropout_key(settings.seed, place.step),
            ),
        )
        if step.outcome.ready:
            self._whole = True  # if the check fails: the engine has changed nothing
            self._check(place.step + 1, step.outcome)
            self._whole = False
        self._state = step.state
        last = place.index + 1 == self._batches.batches_in(place.epoch)
        self._place = replace(
            place,
            step=place.step + 1,
            epoch=place.epoch + last,
            index=0 if last else place.index + 1,
        )
        validation = self._validate() if self._validation_is_due() else None
        self._place = place = replace(self._place, seconds=time.monotonic() - zero)
        return Progress(
            step=place.step,
            steps=place.steps,
            epoch=place.epoch + place.index / self._batches.batches_in(place.epoch),
            characters=step.characters,
            learning_rate=rate,
            outcome=step.outcome,
            seconds=place.seconds,
            validation=validation,
            best=validation is not None and place.best_step == place.step,
        )

    def _validate(self) -> Score:
        """Measure the network on all that is held out, and keep it if it is the best."""
        score = evaluate(self._predictor, self._held_out)
        place = self._place
        if score.nats < (place.best["nats"] if place.best else math.inf):
            self._best_weights = self._engine.weights()
            self._place = replace(place, best_step=place.step, best=asdict(score), worse=0)
        else:
            self._place = replace(place, worse=place.worse + 1)
        return score

    def _validation_is_due(self) -> bool:
        batches = self._batches
        return validation_is_due(
            self.step,
            self.steps,
            self.plan.training,
            batches.batch_size * batches.sequence_length,
            len(self._held_out),
        )

    def _plan_again(self) -> None:
        """Where the time is what is given, fit the steps to it."""
        minutes, place, first = self.plan.training.minutes, self._place, self._first
        if minutes is None or self.finished or place.step == first.step:
            return
        speed = (place.step - first.step) / max(place.seconds - first.seconds, 1e-6)
        steps = steps_that_fit(60 * minutes - place.seconds, place.step, speed)
        self._place = replace(place, steps=steps)

    def _checkpoint_is_due(self) -> bool:
        """At intervals that grow to CHECKPOINT_SECONDS, or further if saving is slow."""
        seconds = self._place.seconds
        interval = min(CHECKPOINT_SECONDS, max(0.3, (seconds - self._first.seconds) / 2))
        return seconds - self._saved.seconds >= max(interval, 20 * self._saving_seconds)

    def _save(self) -> None:
        """Take a checkpoint. The order of the writes is explained in folder.py."""
        self._read()
        self._plan_again()
        began = time.monotonic()
        if self._folder is not None and self._log is not None:
            self._log.flush(sync=True)
            checkpoint = Checkpoint(
                weights=self._engine.weights(),
                optimizer=self._engine.optimizer_state(),
                state=self._state,
                progress={
                    "place": asdict(self._place),
                    "precision": self._engine.precision,
                    "kernels": self._engine.kernels,
                },
            )
            write_checkpoint(self._folder.checkpoint, checkpoint)
            if self._model_is_here:
                self.model.save(self._folder.model)
        self._saved = self._place
        self._saving_seconds = time.monotonic() - began

    @property
    def _model_is_here(self) -> bool:
        """Whether the network as it is now is what `model` stands for."""
        return self._place.best_step in (None, self._place.step)


def _measurable(held_out: Ids, settings: TrainingSettings) -> Ids:
    """What is held out, or nothing where there is nothing to predict in it."""
    if settings.batches != "lines" and len(held_out) < 2:
        held_out = held_out[:0]
    if settings.patience and not len(held_out):
        raise SettingsError(
            f"patience: {settings.patience} was given, but nothing is held out to validate "
            "with; use 0, a larger validation_fraction, or a validation text"
        )
    return held_out


def _warn_of_other_kernels(before: str, now: str) -> None:
    if before != now:
        warnings.warn(
            f"the run was computed by {before} and goes on with {now}: its last digits "
            "will not be those of a run that was not stopped",
            stacklevel=4,
        )


def _dropout_key(seed: int, step: int) -> int:
    """32 bits that differ from step to step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
