"""Nats and their slope."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from charloom.engines.loss import cross_entropy, log_softmax, ranks, surprisal
from charloom.text.batches import NOT_COUNTED

LOGITS = np.random.default_rng(0).normal(size=(3, 2, 5))
TARGETS = np.array([[0, 4], [NOT_COUNTED, 2], [3, NOT_COUNTED]])


def test_the_surprise_of_a_target_is_minus_the_logarithm_of_its_share():
    found = surprisal(np.array([[[1.0, 2.0, 0.5]]]), np.array([[2]]))
    total = math.exp(1.0) + math.exp(2.0) + math.exp(0.5)
    assert found[0, 0] == pytest.approx(-math.log(math.exp(0.5) / total), rel=1e-14)


def test_a_network_that_knows_nothing_is_surprised_by_the_size_of_the_vocabulary():
    nats, count, _ = cross_entropy(np.zeros((3, 2, 5), np.float32), TARGETS)
    assert nats == pytest.approx(4 * math.log(5), rel=1e-6)
    assert count == 4


def test_a_target_that_is_not_counted_adds_to_neither_nats_nor_count_nor_slope():
    nats, count, slope = cross_entropy(LOGITS, TARGETS)
    found = surprisal(LOGITS, TARGETS)
    assert_array_equal(found == 0, TARGETS == NOT_COUNTED)
    assert nats == pytest.approx(found.sum(), rel=1e-14)
    assert count == 4
    assert_array_equal(slope[TARGETS == NOT_COUNTED], 0)


def test_a_batch_without_targets_costs_nothing():
    nats, count, slope = cross_entropy(LOGITS, np.full((3, 2), NOT_COUNTED))
    assert (nats, count) == (0.0, 0)
    assert_array_equal(slope, 0)


def test_the_slope_is_that_of_the_sum():
    logits = LOGITS.copy()
    _, _, slope = cross_entropy(logits, TARGETS)
    for at in np.ndindex(logits.shape):
        value = logits[at]
        logits[at] = value + 1e-5
        above, _, _ = cross_entropy(logits, TARGETS)
        logits[at] = value - 1e-5
        below, _, _ = cross_entropy(logits, TARGETS)
        logits[at] = value
        assert slope[at] == pytest.approx((above - below) / 2e-5, rel=1e-6, abs=1e-9)


def test_slopes_of_a_character_add_up_to_nothing():
    _, _, slope = cross_entropy(LOGITS, TARGETS)
    assert_allclose(slope.sum(axis=-1), 0, atol=1e-14)


def test_huge_logits_neither_overflow_nor_take_the_logarithm_of_zero():
    logits = np.array([[[3e4, -3e4, 0.0]]], np.float32)
    for target, nats in ((0, 0.0), (1, 6e4), (2, 3e4)):
        assert cross_entropy(logits, np.array([[target]]))[0] == nats
    assert_array_equal(log_softmax(logits)[0, 0], [0, -6e4, -3e4])


def test_a_constant_added_to_all_logits_changes_nothing():
    assert_allclose(log_softmax(LOGITS + 100), log_softmax(LOGITS), rtol=1e-12)


def test_the_sum_is_kept_in_float64_however_long_the_text():
    logits = np.zeros((100_000, 1, 2), np.float32)
    nats, _, slope = cross_entropy(logits, np.zeros((100_000, 1), np.int32))
    assert nats == pytest.approx(100_000 * float(np.log(np.float32(2))), rel=1e-12)
    assert slope.dtype == np.float32


def test_the_rank_counts_the_likelier_and_equals_share_it():
    logits = np.array([[[0.5, 2.0, 0.5, 1.0]]])
    assert [int(ranks(logits, np.array([[t]]))[0, 0]) for t in range(4)] == [3, 1, 3, 2]
    assert ranks(logits, np.array([[NOT_COUNTED]]))[0, 0] == 0
