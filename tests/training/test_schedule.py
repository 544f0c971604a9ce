"""The learning rate of every step."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charloom.settings import TrainingSettings
from charloom.training.schedule import learning_rate


def curve(steps: int, **settings) -> list[float]:
    chosen = TrainingSettings(learning_rate=1.0, **settings)
    return [learning_rate(step, steps, chosen) for step in range(steps)]


def test_the_learning_rate_rises_to_its_highest_and_falls_to_what_is_left():
    linear = curve(7, warmup_steps=3, decay="linear", final_learning_rate=0.2)
    assert linear == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0, 0.8, 0.6, 0.4])
    assert curve(4, warmup_steps=0, decay="cosine") == pytest.approx(
        [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )
    assert curve(3, warmup_steps=0, decay="constant", final_learning_rate=0.1) == [1.0] * 3


def test_a_run_shorter_than_its_warmup_only_rises():
    assert curve(2, warmup_steps=4) == [0.25, 0.5]


@given(
    total=st.integers(1, 500),
    warmup=st.integers(0, 600),
    decay=st.sampled_from(["linear", "cosine", "constant"]),
)
def test_no_step_of_a_run_is_wasted_on_a_learning_rate_of_zero(total: int, warmup: int, decay: str):
    rates = curve(total, warmup_steps=warmup, decay=decay)
    assert all(0 < rate <= 1 for rate in rates)
    after = TrainingSettings(learning_rate=1.0, warmup_steps=warmup, decay=decay)
    assert learning_rate(total + warmup + 9, total, after) >= 0  # past the end: no error
