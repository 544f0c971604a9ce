"""The statistics of the search: correlations, turned labels, resamplings."""

from __future__ import annotations

import numpy as np
import pytest

from charloom.inspection.units.statistics import (
    auc,
    chance_of,
    interval,
    score_at,
    turned,
    unit_length,
)


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


def largest(count: int, of: int, spread: float, random: np.random.Generator) -> np.ndarray:
    return np.tanh(random.normal(scale=spread, size=(count, of)).max(axis=1))


@pytest.mark.parametrize(("searches", "slack"), [(12, 1.3), (200, 1.1)])
def test_the_chance_of_a_largest_correlation_is_kept_far_beyond_the_number_of_searches(
    searches: int, slack: float
):
    random = np.random.default_rng(0)
    p = []
    for _ in range(400):
        maxima = largest(searches, 100, 0.1, random)
        p.append(chance_of(largest(50, 100, 0.1, random), maxima))
    p = np.concatenate(p)
    for rate in (0.05, 0.01, 0.0025):
        assert 0.05 * rate < (p <= rate).mean() <= slack * rate
    assert 0 < chance_of(np.array(0.95), largest(searches, 100, 0.1, random)) < 1e-6


def test_the_score_at_a_chance_has_that_chance():
    maxima = largest(200, 100, 0.1, np.random.default_rng(1))
    for p in (0.5, 0.05, 1e-6):
        assert chance_of(np.array(score_at(p, maxima)), maxima) == pytest.approx(p)


def test_maxima_that_are_all_alike_are_exceeded_or_not():
    alike = np.full(20, 0.3)
    assert chance_of(np.array([0.2, 0.4]), alike).tolist() == [1, pytest.approx(0, abs=1e-9)]


def test_an_interval_holds_the_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        noise = np.convolve(random.normal(size=2030), np.ones(30), mode="valid")  # depends on 30
        low, high = interval(noise[:2000] + 5, 0.1, random)
        held += low <= 5 <= high
    assert 0.82 <= held / 300 <= 0.95  # of 20 blocks somewhat less than 0.9


def test_an_interval_weighs_blocks_by_their_length():
    low, high = interval(np.full(203, 0.5), 0.05, np.random.default_rng(0))
    assert low == high == 0.5
