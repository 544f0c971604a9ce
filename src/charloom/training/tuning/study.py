"""The folder of a search: what it is, its journal, a run for each trial, and the best model.

    study.json              the plan: settings, spaces, seed, the digest of the text
    journal.log             Optuna's: every trial, its values and its validations
    trials/00000/ ...       a run for each trial, which is locked while it trains
    trials/00000/trial.json what came of it, with a digest: the journal has none
    model.safetensors       the best model of all trials

Any number of processes, on one machine or several that see the folder, work on one search:
the journal is the only thing between them. A trial whose process died is known by a folder
that is not locked, and is gone on with from its last checkpoint by whoever finds it.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelFileError, OutputError, SettingsError, shown
from ...files import named, read_whole, replacing
from ...model.model import Model
from ...model.storage.container import MODEL_FILE
from ...model.storage.sealed import sealed, unsealed

PLAN_FILE, JOURNAL_FILE, TRIALS = "study.json", "journal.log", "trials"
TRIAL_FILE = "trial.json"

_NAME = "charloom"  # of the only study in the journal
_FIRST = 5  # trials drawn at random, before what they tell is used


def optuna_() -> Any:
    """Optuna; SettingsError, naming the extra, where it is missing."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise SettingsError(
            "a search needs Optuna, which is not installed; pip install 'charloom[tune]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class StudyFolder:
    """The paths of a search's files."""

    def __init__(self, path: str | Path) -> None:
        self.path = named(path)
        self.plan = self.path / PLAN_FILE
        self.journal = self.path / JOURNAL_FILE
        self.model = self.path / MODEL_FILE

    def run(self, number: int) -> Path:
        """The folder of a trial's run."""
        return self.path / TRIALS / f"{number:05}"

    def begin(self, plan: dict[str, Any]) -> None:
        """Make the folder with its plan, or see that it is of the same search."""
        plan = json.loads(json.dumps(plan))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._write_plan(plan)
            (self.path / TRIALS).mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.path}: the folder cannot be made ({error.strerror}); choose another one "
                "as `output`",
                "output",
            ) from None
        before = self.read_plan()
        if before != plan:
            name = next(n for n in {**before, **plan} if before.get(n) != plan.get(n))
            raise SettingsError(
                f"output: {self.path} holds another search, whose {name} is {before.get(name)} "
                f"and not {plan.get(name)}; choose another folder"
            )

    def _write_plan(self, plan: dict[str, Any]) -> None:
        """Write the plan, unless there is one; OutputError where other files are in the way."""
        if self.plan.exists():
            return
        for path in (self.journal, self.model, self.path / TRIALS):
            if os.path.lexists(path) and not self.plan.exists():
                raise OutputError(
                    f"{self.path}: holds {path.name}, and no search; choose another folder as "
                    "`output`",
                    "output",
                )
        with suppress(FileExistsError), replacing(self.plan, new=True) as file:
            file.write(sealed(plan, indent=1))

    def read_plan(self) -> dict[str, Any]:
        """What the search is; ModelFileError if that is missing or damaged."""
        try:
            return unsealed(read_whole(self.plan))
        except (OSError, ValueError) as error:
            raise ModelFileError(f"{self.plan}: is no plan of a search ({error})") from None

    def open(self) -> Any:
        """Optuna's study, made if it is not there yet; ModelFileError if its journal is damaged.

        A trial that has ended has to be as its own file tells it.
        """
        optuna = optuna_()
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        try:
            storage = JournalStorage(JournalFileBackend(str(self.journal)))
        except Exception as error:  # whatever Optuna's reader stumbles over
            raise ModelFileError(
                f"{self.journal}: is damaged ({shown(error)}); put another copy back, or search in "
                "another folder"
            ) from None
        study = optuna.create_study(
            study_name=_NAME,
            storage=storage,
            load_if_exists=True,
            direction="minimize",
            sampler=optuna.samplers.RandomSampler(seed=0),  # until a trial has its own
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_FIRST, n_warmup_steps=20),
        )
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                self._check(trial)
        return study

    def keep_trial(self, trial: Any, *, pruned: bool) -> None:
        """Write what came of a trial, before the journal is told."""
        validations = trial.intermediate_values
        value = min(validations.values(), default=None)
        if pruned:  # where Optuna takes the last one
            value = validations.get(trial.last_step)
        with replacing(self.run(trial.number) / TRIAL_FILE) as file:
            file.write(sealed(_facts(trial, value, pruned), indent=1))

    def _check(self, trial: Any) -> None:
        """ModelFileError unless the journal has a trial as it was written; a removed one passes."""
        path = self.run(trial.number) / TRIAL_FILE
        try:
            kept = unsealed(read_whole(path))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise ModelFileError(
                f"{path}: is damaged ({shown(error)}); put another copy back, or search in another "
                "folder"
            ) from None
        pruned = trial.state == optuna_().trial.TrialState.PRUNED
        if kept != _facts(trial, trial.value, pruned):
            raise ModelFileError(
                f"{self.journal}: trial {trial.number} is not what {path} says; put another copy "
                "back, or search in another folder"
            )

    def keep_best(self, study: Any) -> None:
        """Write the best model of all trials, if it is not the one that is there."""
        for _ in range(3):  # another process may have found a better one just now
            trial = best_trial(study)
            if trial is None:
                return
            model = Model.load(self.run(trial.number))
            if not self.model.exists() or _differs(Model.load(self.model), model):
                model.save(self.model)
            if best_trial(study).number == trial.number:
                return


def _facts(trial: Any, value: float | None, pruned: bool) -> dict[str, Any]:
    """What the journal has of a trial, but for times, as JSON has it."""
    as_json = optuna_().distributions.distribution_to_json
    facts = {
        "number": trial.number,
        "pruned": pruned,
        "value": value,
        "values": trial.params,
        "spaces": {name: as_json(space) for name, space in trial.distributions.items()},
        "validations": trial.intermediate_values,
    }
    return json.loads(json.dumps(facts))


def _differs(a: Model, b: Model) -> bool:
    """Whether two models are not the same."""
    return a.describe() != b.describe() or any(
        not np.array_equal(a.weights[name], b.weights[name]) for name in a.weights
    )


def trial_of(study: Any, number: int, seed: int, values: dict[str, Any] | None = None) -> Any:
    """A trial that is under way, ready to be given its values; some may be given here.

    They depend on the seed, the number of the trial and the trials before it, and so do not
    change where a search is stopped and started again.
    """
    optuna = optuna_()
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with _without_warnings():
        study.sampler = optuna.samplers.TPESampler(
            seed=own, multivariate=True, n_startup_trials=_FIRST
        )
        if values:
            study.sampler = optuna.samplers.PartialFixedSampler(values, study.sampler)
        frozen = study.get_trials(deepcopy=False)[number]
        return optuna.trial.Trial(study, frozen._trial_id)


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an option of Optuna may change one day
        yield


def value_of(trial: Any) -> float | None:
    """The best validation of a trial, in bits per character; None if there was none."""
    return min(trial.intermediate_values.values(), default=None)


def best_trial(study: Any) -> Any:
    """The trial with the best validation so far; None if there is none."""
    measured = [t for t in study.get_trials(deepcopy=False) if value_of(t) is not None]
    return min(measured, key=lambda t: (value_of(t), t.number), default=None)


def importances(path: str | Path) -> dict[str, float]:
    """How much each setting that was searched mattered, as shares of 1, the most first.

    By PED-ANOVA (Watanabe et al., 2023), of the trials that were not pruned; empty for less
    than four of them.
    """
    optuna = optuna_()
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = StudyFolder(path).open()
    state = optuna.trial.TrialState.COMPLETE
    complete = [t for t in study.get_trials(deepcopy=False) if t.state == state and t.params]
    if len(complete) < 4:
        return {}
    with _without_warnings():
        return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
