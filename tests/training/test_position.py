"""The position of a run: counted steps, batches and validations."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from charloom.model.scoring import Score
from charloom.training.position import Position


def test_an_epoch_ends_after_its_last_batch():
    position = Position(steps=9)
    seen = []
    for _ in range(4):
        position = position.after_batch(batches_in_epoch=2)
        seen.append((position.step, position.epoch, position.index))
    assert seen == [(1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 2, 0)]


def test_the_best_validation_is_the_first_of_the_lowest():
    position, best = Position(steps=9), []
    for nats in (5.0, 6.0, 4.0, 4.0):
        position = position.after_batch(100).after_validation(Score(nats=nats, characters=2))
        best.append((position.best_step, position.worse, position.is_best))
    assert best == [(1, 0, True), (1, 1, False), (3, 0, True), (3, 1, False)]
    assert position.best == Score(nats=4.0, characters=2)


def test_before_any_validation_the_best_is_the_latest():
    assert Position(steps=9, step=3).is_best


@pytest.mark.parametrize(
    ("position", "patience", "last"),
    [
        (Position(steps=9, step=8), 0, False),
        (Position(steps=9, step=9), 0, True),
        (Position(steps=9, step=3, worse=5), 0, False),
        (Position(steps=9, step=3, worse=5), 6, False),
        (Position(steps=9, step=3, worse=5), 5, True),
    ],
)
def test_a_run_ends_with_its_steps_or_its_patience(position, patience, last):
    assert position.is_last(patience) == last


def test_steps_are_fitted_to_the_minutes_at_the_speed_so_far():
    since = Position(steps=99, step=10, seconds=5.0)
    now = Position(steps=99, step=30, seconds=10.0)  # 4 steps a second
    assert now.planned_anew(0.5, since).steps == 30 + 4 * 20
    assert since.planned_anew(0.5, since) == since


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"steps": -1},
        {"steps": 2**63},
        {"steps": 9, "index": 1.5},
        {"steps": 9, "seconds": float("nan")},
        {"steps": 9, "best": {"nats": "low"}},
        {"steps": 9, "colour": 3},
    ],
)
def test_a_stored_position_that_makes_no_sense_is_refused(stored):
    with pytest.raises(ValidationError):
        TypeAdapter(Position).validate_python(stored)
