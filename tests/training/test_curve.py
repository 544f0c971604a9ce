"""The curve of a run: nothing is lost when steps are joined, and the picture is in its frame."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charloom.engines.base import Outcome
from charloom.model.scoring import Score
from charloom.training.curve import POINTS, Curve, curve_html
from charloom.training.progress import Progress


def step(number: int, nats: float, characters: int, held_out: float | None = None) -> Progress:
    return Progress(
        step=number, steps=10**6, epoch=0, learning_rate=0.1, seconds=0, characters=characters,
        outcome=Outcome(nats=nats, gradient_norm=1),
        validation=None if held_out is None else Score(nats=held_out, characters=1),
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, POINTS, POINTS + 1, 5 * POINTS + 3])
def test_joined_steps_have_the_mean_of_their_characters(count):
    curve = Curve()
    steps = [step(n, n * math.log(2), 1 + n % 3) for n in range(1, count + 1)]
    for one in steps:
        curve.add(one)
    points = curve.training()
    assert min(count, POINTS // 2) <= len(points) <= POINTS
    assert points[-1][0] == count
    before = 0
    for last, bits in points:
        inside = steps[before:last]
        total = sum(one.nats for one in inside) / sum(one.characters for one in inside)
        assert bits == pytest.approx(total / math.log(2))
        before = last


@given(
    st.lists(st.tuples(st.floats(0, 50), st.none() | st.floats(0, 50)), min_size=1, max_size=30),
    st.integers(0, 10**9),
)
def test_every_point_lies_in_the_frame(losses, steps):
    curve = Curve()
    for number, (nats, held_out) in enumerate(losses, 1):
        curve.add(step(number, nats, 1, held_out))
    page = curve_html([curve], steps, "a <run>")
    assert "a &lt;run&gt;" in page and "<run>" not in page
    points = " ".join(re.findall('points="(.*?)"', page)).split()
    numbers = [tuple(map(float, point.split(","))) for point in points]
    assert len(numbers) >= len(losses)
    assert all(48 <= x <= 628 and 12 <= y <= 224 for x, y in numbers)
    assert page.count("<circle") == sum(held_out is not None for _, held_out in losses)


def test_what_is_shown_after_a_resume_has_the_steps_before_it():
    first, second = Curve([]), Curve([])
    first.add(step(1, 1.0, 1))
    second.add(step(2, 2.0, 1))
    (line, _) = re.findall('points="(.*?)"', curve_html([first, second], 2, ""))
    assert len(line.split()) == 2
