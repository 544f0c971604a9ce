"""The statistics of the search: correlations, turned labels, resamplings."""

from __future__ import annotations

import numpy as np
import pytest

from charloom.inspection.units.statistics import auc, beats, turned, unit_length


def test_the_auc_is_the_chance_that_a_place_with_the_label_is_higher():
    x, holds = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert auc(x, holds) == pytest.approx(3.5 / 4)
    assert auc(-x, holds) == pytest.approx(0.5 / 4)


def test_correlations_are_products_of_rows_of_length_1():
    random = np.random.default_rng(0)
    rows = random.normal(size=(2, 50)).astype(np.float32)
    x, y = unit_length(rows)
    assert x @ y == pytest.approx(np.corrcoef(rows)[0, 1], abs=1e-6)
    assert not unit_length(np.full((1, 9), 0.1, np.float32)).any()


def test_turned_labels_keep_their_rhythm():
    half = np.arange(100)
    for column in turned(half, 50, np.random.default_rng(0)).T:
        assert set(np.diff(column) % 100) == {1}
        assert 5 <= column[0] <= 95


def test_what_is_no_better_does_not_beat():
    random = np.random.default_rng(0)
    y = (random.random(1000) < 0.5).astype(float)
    good, bad = y + random.normal(size=1000), random.normal(size=1000)
    assert beats(good, bad, y, random) == 1
    assert beats(bad, good, y, random) == 0
    assert beats(good, good, y, random) == 0
