"""When a run saves: at growing intervals, and rarely if saving is slow."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

from charloom.training import saving
from charloom.training.position import Position
from charloom.training.saving import CHECKPOINT_SECONDS, Interval


def saves(monkeypatch, *, seconds: float, cost: float) -> list[float]:
    """When a run of 0.1 second steps saves, if each save takes `cost`."""
    clock = [0.0]
    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    interval, found = Interval(Position(steps=9)), []
    for tenth in range(1, int(10 * seconds)):
        position = Position(steps=9, seconds=tenth / 10)
        if interval.is_due(position):
            found.append(position.seconds)
            interval.begin()
            clock[0] += cost
            interval.end(position)
    return found


def test_intervals_grow_to_fifteen_seconds(monkeypatch):
    found = saves(monkeypatch, seconds=120, cost=0.0)
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert found[0] < 1
    assert max(gaps) <= CHECKPOINT_SECONDS + 0.11
    assert gaps[-1] >= CHECKPOINT_SECONDS - 0.11
    assert all(later >= earlier - 0.11 for earlier, later in itertools.pairwise(gaps))


def test_slow_saves_take_a_twentieth_of_the_time_at_most(monkeypatch):
    found = saves(monkeypatch, seconds=300, cost=2.0)
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert min(gaps) >= 40
