"""`tune`: trials one after the other, by one or more processes, until there are enough.

The first trial is the run that `train` would make; what is found is never worse than that.
Where that run starts from a base, so do the others, unless sizes of a network are searched.
The others have the values that Optuna's tree-structured Parzen estimator suggests after what
is known by then, and end early if their validations are worse than the median of the others.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import OutputError, SettingsError, TrainingError
from ...model.model import Model
from ...settings import ModelSettings, TextSettings, TrainingSettings, TuningSettings
from ...text.corpus import text_sha256
from ...text.reading import Sources, lasting_sources
from ...text.sharded import is_prepared
from ...text.workers import Lost, work_on
from ..base import base_of
from ..folder import RunFolder
from ..lock import Lock
from ..plan import Plan
from ..run import Run
from ..start import resume, train
from .space import Space, default_spaces, parse_spaces, shapes_in, with_values
from .study import StudyFolder, best_trial, optuna_, trial_of, value_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """What came of one trial."""

    number: int
    bits_per_character: float | None
    """Its best validation; None if it ended before the first one."""
    pruned: bool
    values: dict[str, Any]
    """Of the settings that are searched; empty for the first trial, which chooses for itself
    values outside of the spaces."""
    run: str
    """Its folder."""
    base: str | None = None
    """The model that it started from; None where it started from nothing."""


@dataclass(frozen=True, kw_only=True)
class _Search:
    """What a process needs to know to work on a search."""

    folder: str
    sources: Any
    text: TextSettings
    model: ModelSettings
    training: TrainingSettings
    tuning: TuningSettings
    start_from: str | Path | Model | None = "auto"
    spaces: list[Space] = field(default_factory=list)
    until: float | None = None
    """On the clock that all processes of a machine share."""

    def __call__(self) -> Callable[[int], TrialOutcome | None]:
        """What works on one trial after the other; it answers None when there are no more."""
        place = StudyFolder(self.folder)
        study = place.open()
        return lambda _: self._one(place, study)

    def _one(self, place: StudyFolder, study: Any) -> TrialOutcome | None:
        while not self._over():
            number = self._dead(place, study)
            number = self._new(study) if number is None else number
            if number is None:
                break
            try:
                run, trial = self._run(place, study, number)
            except (OutputError, TrainingError):
                if not self._is_anothers(place.run(number)):
                    raise
                time.sleep(0.1)
                continue
            # Of a trial whose run this process has locked, it alone tells the end; until it has
            # the lock, another one may have.
            if _frozen(study, number).state != optuna_().trial.TrialState.RUNNING:
                run.stop()
                continue
            if self._trained(place, study, trial, run):
                place.keep_best(study)
                frozen = _frozen(study, number)
                pruned = frozen.state == optuna_().trial.TrialState.PRUNED
                return TrialOutcome(
                    number=trial.number,
                    bits_per_character=value_of(frozen),
                    pruned=pruned,
                    values=dict(frozen.params),
                    run=str(place.run(trial.number)),
                    base=_base_name(run.plan),
                )
        return None

    def _over(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until

    def _dead(self, place: StudyFolder, study: Any) -> int | None:
        """A trial that nobody works on any more."""
        running = optuna_().trial.TrialState.RUNNING
        for trial in study.get_trials(deepcopy=False, states=(running,)):
            folder = place.run(trial.number)
            if folder.exists() and not self._is_locked(folder):  # else it is just being begun
                return trial.number
        return None

    def _is_locked(self, folder: Path) -> bool:
        try:
            Lock(folder).release()
        except TrainingError:
            return True
        return False

    def _is_anothers(self, folder: Path) -> bool:
        """Whether another process has found the trial of a folder, and works on it or has done."""
        return folder.exists() and (self._is_locked(folder) or (folder / "run.json").exists())

    def _new(self, study: Any) -> int | None:
        """The next trial; None if there are enough."""
        if len(study.get_trials(deepcopy=False)) >= self.tuning.trials:
            return None
        number = study.ask().number
        if number >= self.tuning.trials:  # another process was faster
            study.tell(number, state=optuna_().trial.TrialState.FAIL)
            return None
        return number

    def _run(self, place: StudyFolder, study: Any, number: int) -> tuple[Run, Any]:
        """The run of a trial, new or gone on with, and the trial as Optuna has it."""
        folder = place.run(number)
        if (folder / "run.json").exists():
            run = resume(folder)
            return run, trial_of(study, number, self.tuning.search_seed)
        if number == 0:
            run = self._begun(folder, self.model, self.training, self.start_from)
            return run, self._recorded(study, run)
        trial = trial_of(study, number, self.tuning.search_seed)
        values = {space.name: space.suggest(trial) for space in self.spaces}
        model, training = with_values(self.model, self.training, values)
        start_from = None if shapes_in(self.spaces) else self.start_from
        return self._begun(folder, model, training, start_from), trial

    def _begun(
        self, folder: Path, model: ModelSettings, training: TrainingSettings, start_from: Any
    ) -> Run:
        return train(
            self.sources,
            output=folder,
            text=self.text,
            model=model,
            training=training,
            start_from=start_from,
        )

    def _recorded(self, study: Any, run: Run) -> Any:
        """The first trial, with the values that it has chosen, if the spaces have them."""
        plan = {**run.plan.model.model_dump(), **run.plan.training.model_dump()}
        values = {space.name: plan[space.name] for space in self.spaces}
        if not all(space.has(values[space.name]) for space in self.spaces):
            return trial_of(study, 0, self.tuning.search_seed)
        trial = trial_of(study, 0, self.tuning.search_seed, values)
        for space in self.spaces:
            space.suggest(trial)
        return trial

    def _trained(self, place: StudyFolder, study: Any, trial: Any, run: Run) -> bool:
        """Train to the end, or until it is pruned; False if the time is over before that."""
        optuna = optuna_()
        held_out = run.plan.split.validation
        if held_out.start == held_out.stop:
            raise SettingsError(
                "validation_fraction: nothing is held out to compare trials by; give a larger one, "
                "or a longer text"
            )
        seen = _frozen(study, trial.number).intermediate_values
        pruned = trial.number > 0 and bool(seen) and trial.should_prune()
        try:
            while not (run.finished or pruned or self._over()):
                progress = next(run)
                if progress.validation is not None:
                    at = max(_share(run), max(seen, default=-1) + 1)
                    bits = progress.validation.bits_per_character
                    trial.report(bits, at)
                    seen = {**seen, at: bits}
                    pruned = trial.number > 0 and trial.should_prune()
        except TrainingError as error:  # such as a loss that is not finite
            trial.set_user_attr("error", str(error))
            pruned = True
        if pruned or run.finished:
            place.keep_trial(_frozen(study, trial.number), pruned=bool(pruned))
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif run.finished:
            study.tell(trial, min(seen.values()))
        run.stop()  # and so give up the lock, now that the end is told
        return pruned or run.finished


def _frozen(study: Any, number: int) -> Any:
    """A trial as it is in the journal now."""
    return study.get_trials(deepcopy=False)[number]


def _base_name(plan: Plan) -> str | None:
    return plan.base and plan.base.name


def _share(run: Run) -> int:
    """How much of the trial is done, in percent, by which trials are compared."""
    minutes = run.plan.training.minutes
    if minutes is not None:
        return min(round(100 * run.seconds / (60 * minutes)), 100)
    return round(100 * run.step / run.steps)


def tune(
    sources: Sources,
    output: str | Path,
    *,
    spaces: tuple[str, ...] | list[str] | None = None,
    tuning: TuningSettings | None = None,
    text: TextSettings | None = None,
    model: ModelSettings | None = None,
    training: TrainingSettings | None = None,
    start_from: str | Path | Model | None = "auto",
) -> Iterator[TrialOutcome]:
    """Search for better settings on a text, and yield each trial as it ends.

    Each trial is a run in the folder `output`, which then also holds the best model of all:
    `Model.load(output)`. `spaces` say what is searched (space.py); other settings are given,
    as to `train`, and `steps`, `epochs` or `minutes` are the budget of one trial. Called
    again, also from other machines that see the folder, it goes on; several at once share
    the trials. With one worker, one seed and no budget of time, a search repeats to the last
    bit.

    Where `train` would start from a base, as by default for short English texts, or from the
    model that `start_from` names, every trial does; what is searched by default is then learning
    rate, dropout and batch size, and elsewhere learning rate, dropout and hidden size. A trial
    whose size is chosen by `spaces` starts from nothing.

    Raises SettingsError for spaces or settings that cannot be, or another search in the
    folder, and what `train` raises.

    >>> import charloom, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> trials = charloom.tune(
    ...     charloom.InMemory("the cat sat on the mat. " * 20),
    ...     folder,
    ...     spaces=["learning_rate=log:1e-2:1e-1"],
    ...     tuning=charloom.TuningSettings(trials=2, workers=1),
    ...     model=charloom.ModelSettings(hidden_size=4, num_layers=1),
    ...     training=charloom.TrainingSettings(steps=3),
    ... )
    >>> [trial.number for trial in trials]
    [0, 1]
    >>> charloom.Model.load(folder).settings.hidden_size
    4
    """
    optuna_()
    tuning, text = TuningSettings.of(tuning, "tuning"), TextSettings.of(text, "text")
    model = ModelSettings.of(model, "model")
    training = TrainingSettings.of(training, "training")
    if not is_prepared(sources):
        lasting_sources(sources)
    given = model.model_fields_set | training.model_fields_set
    parsed = parse_spaces(spaces or [])
    for space in parsed:
        if space.name in given:
            raise SettingsError(f"space: {space.name} was given a value, too; leave one out")
    base = base_of(sources, text, model, training, start_from)
    if not spaces:
        spaces = default_spaces(base is not None, given)
        parsed = parse_spaces(spaces)
    if base is not None:
        _refuse_or_warn_of_shapes(parsed, base.facts.name, asked=start_from != "auto")
    if tuning.workers > 1 and not training.threads:
        training = training.replace(threads=1)
    folder = StudyFolder(output)
    folder.begin(
        {
            "spaces": list(spaces),
            "search_seed": tuning.search_seed,
            "text_sha256": text_sha256(sources, text),
            "text": text.model_dump(exclude_unset=True),
            "model": model.model_dump(exclude_unset=True),
            "training": training.model_dump(exclude_unset=True, exclude={"threads"}),
            **({} if base is None else {"base": base.facts.model_dump()}),
        }
    )
    until = tuning.search_minutes and time.monotonic() + 60 * tuning.search_minutes
    search = _Search(
        folder=str(folder.path),
        sources=sources,
        text=text,
        model=model,
        training=training,
        tuning=tuning,
        start_from=start_from,
        spaces=parsed,
        until=until,
    )
    return _trials(folder, search, tuning.workers)


def _refuse_or_warn_of_shapes(spaces: list[Space], base: str, *, asked: bool) -> None:
    """Of spaces that describe a network: refused with a base that was asked for, else told."""
    if not (named := " and ".join(shapes_in(spaces))):
        return
    if asked:
        raise SettingsError(
            f"space: {named} cannot be searched, because every trial starts from {base}, which has "
            "its own; leave it out, or start from nothing",
        )
    logger.warning(
        "%s is searched, so all trials but the first start from nothing; the first one starts "
        "from %s, as train would",
        named,
        base,
    )


def _trials(folder: StudyFolder, search: _Search, workers: int) -> Iterator[TrialOutcome]:
    over = False
    tokens = itertools.takewhile(lambda _: not over, itertools.count())
    if workers == 1:
        done = zip(itertools.count(), map(search(), tokens))
    else:
        done = work_on(tokens, search, workers)
    for _, outcome in done:
        if isinstance(outcome, Lost):
            raise TrainingError(f"{folder.path}: {outcome}; start it again to go on")
        if outcome is None:
            over = True
            if workers == 1:
                break
        else:
            yield outcome
    folder.keep_best(folder.open())


def best_of(path: str | Path) -> TrialOutcome | None:
    """The best trial of a search so far; None if none was measured."""
    folder = StudyFolder(path)
    trial = best_trial(folder.open())
    if trial is None:
        return None
    return TrialOutcome(
        number=trial.number,
        bits_per_character=value_of(trial),
        pruned=trial.state == optuna_().trial.TrialState.PRUNED,
        values=dict(trial.params),
        run=str(folder.run(trial.number)),
        base=_base_name(RunFolder(folder.run(trial.number)).read_plan()),
    )
