"""What a step reports."""

from __future__ import annotations

import json

import pytest

from charloom.engines.base import Outcome
from charloom.model.scoring import Score
from charloom.training.progress import Progress

STEP = {
    "step": 3, "steps": 9, "epoch": 0.5, "nats": 6.0, "characters": 3, "learning_rate": 0.1,
    "gradient_norm": 1.0, "seconds": 0.2,
}  # fmt: skip


def a_step(**changes) -> Progress:
    values = {**STEP, **changes}
    outcome = Outcome(nats=values.pop("nats"), gradient_norm=values.pop("gradient_norm"))
    return Progress(outcome=outcome, **values)


def test_the_loss_of_a_step_is_a_mean_over_its_characters():
    progress = a_step()
    assert progress.nats_per_character == 2.0
    assert progress.bits_per_character == pytest.approx(2.8854, abs=1e-4)
    assert a_step(characters=0, nats=0.0).nats_per_character == 0.0


def test_a_line_of_the_log_has_a_validation_only_if_there_was_one():
    plain = json.loads(json.dumps(a_step().to_json()))
    assert plain == {**STEP, "bits_per_character": a_step().bits_per_character}
    validated = a_step(validation=Score(nats=4.0, characters=2), best=True).to_json()
    assert validated["validation"]["nats_per_character"] == 2.0
    assert validated["best"] is True
