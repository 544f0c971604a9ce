"""The best model of a run: the same object until there is a better one; steps reach the log."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runs import start

from charloom.engines.base import Outcome
from charloom.errors import TrainingError
from charloom.training import reports
from charloom.training.best import Best
from charloom.training.checkpoints import Checkpoints
from charloom.training.curve import Curve
from charloom.training.position import Position
from charloom.training.progress import Progress


def test_the_best_model_is_one_object_until_a_validation_is_better():
    run = start(None, steps=9, validate_every=3)
    seen = []
    for progress in run:
        best = run.best_model()
        assert best.provenance.step == (run.best_step or progress.step)
        if progress.validation and not progress.best:
            assert best is seen[-1]
        seen.append(best)
    assert run.best_model() is run.best_model()


def test_a_new_run_has_its_latest_network_for_its_best():
    run = start(None, steps=3, validate_every=100)
    trainer = run._trainer
    best = Best(run.plan, trainer, None)
    first = best.model(Position(steps=3))
    next(run)
    assert best.model(replace(Position(steps=3), step=1)) is not first


class Later(Outcome):
    ready = False


def progress(step: int, nats: float) -> Progress:
    return Progress(
        step=step, steps=9, epoch=0.1, outcome=Later(nats=nats, gradient_norm=1.0), characters=3,
        learning_rate=0.1, seconds=0.1,
    )  # fmt: skip


def test_steps_wait_until_they_are_read_and_one_that_is_not_finite_is_told(monkeypatch):
    run, logged = start(None, steps=3), []

    class Kept:
        def add(self, progress: Progress) -> None:
            logged.append(progress.step)

    curve = Curve()
    waiting = reports.Reports(run._trainer, Kept(), curve)
    waiting.add(progress(1, 2.0))
    waiting.add(progress(2, 2.0))
    assert logged == []
    waiting.read()
    assert logged == [1, 2]
    monkeypatch.setattr(reports, "MOST_UNREAD", 2)
    waiting.add(progress(3, 2.0))
    with pytest.raises(TrainingError, match="step 4: the loss is not finite"):
        waiting.add(progress(4, float("nan")))
    assert logged == [1, 2, 3]
    assert [step for step, _ in curve.training()] == [1, 2, 3]


def test_a_checkpoint_plans_the_steps_anew_where_the_time_is_given():
    run = start(None, steps=None, minutes=1, validate_every=None)
    trainer = run._trainer
    best = Best(run.plan, trainer, None)
    checkpoints = Checkpoints(run.plan, trainer, best, None)
    later = replace(trainer.start, step=10, seconds=30.0)
    assert checkpoints.last == 0 and checkpoints.are_due(later)
    assert checkpoints.take(later).steps == min(20, run.plan.most_steps or 20)
    assert checkpoints.last == 10
    assert "of step 10" in str(checkpoints.no_memory(later))
