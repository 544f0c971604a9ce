"""Calibration: p-values against counting, and the share of false alarms that they promise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import SettingsError, TextError
from charloom.model import calibration
from charloom.model.calibration import FEWEST, Calibration, LineTotals, calibrated
from charloom.model.provenance import Provenance
from charloom.model.surprisal import Surprisals
from charloom.text.vocabulary import Vocabulary


def lines(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Characters and nats of lines whose characters are independent, with heavy tails."""
    lengths = random.integers(2, 120, count)
    return lengths, random.gamma(0.5 * lengths, 2.0)  # a sum of as many gamma numbers


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 60)), min_size=2 * FEWEST, max_size=120),
    st.integers(1, 40),
    st.integers(0, 90),
)
def test_a_p_value_counts_the_ranked_lines_that_are_as_surprising(found, length, nats):
    lengths, totals = np.array(found).T
    usual = calibrated(lengths, totals.astype(float))
    (p,) = usual.p_values(np.array([length]), np.array([float(nats)]))
    expected = usual.intercept + usual.slope * length
    mine = np.round((nats - expected) / length**0.5, 4)
    as_high = sum(other >= mine for other in usual.scores)
    assert usual.parts == len(usual.scores) == len(found) - len(found) // 2
    assert p == (1 + as_high) / (1 + usual.parts)


def test_the_straight_line_is_weighted_least_squares():
    lengths = np.repeat([4, 9, 25], 30)
    usual = calibrated(lengths, 3.0 + 0.5 * lengths)
    assert usual.intercept == pytest.approx(3.0)
    assert usual.slope == pytest.approx(0.5)
    assert set(usual.scores) == {0.0}


def test_what_is_left_out_of_many_scores_makes_a_p_value_at_most_one_percent_high(monkeypatch):
    random = np.random.default_rng(1)
    some, new = lines(random, 18_000), lines(random, 5000)
    kept = calibrated(*some)
    p = kept.p_values(*new)
    monkeypatch.setattr(calibration, "_KEPT", 10_000)
    all_of_them = calibrated(*some)
    assert (len(kept.ranks), len(all_of_them.ranks)) == (583, 9000)
    exact = all_of_them.p_values(*new)
    assert (exact <= p).all()
    assert (p <= 1.0101 * exact).all()
    assert (p[exact <= 0.01] == exact[exact <= 0.01]).all()


def test_new_lines_are_odd_as_often_as_the_threshold_says():
    """P(p <= a) is floor(a (n + 1)) / (n + 1), whatever the lines; 300 calibrations of 100."""
    random = np.random.default_rng(2)
    for threshold in (0.02, 0.1, 0.5):
        alarms = []
        for _ in range(300):
            usual = calibrated(*lines(random, 100))
            alarms.append((usual.p_values(*lines(random, 20)) <= threshold).mean())
        expected = np.floor(threshold * 51) / 51
        error = np.std(alarms) / 300**0.5
        assert abs(np.mean(alarms) - expected) < 4 * error


def test_short_and_long_lines_are_odd_equally_often():
    random = np.random.default_rng(3)
    usual = calibrated(*lines(random, 4000))
    lengths, nats = lines(random, 30_000)
    odd = usual.p_values(lengths, nats) <= 0.05
    ranges = ((2, 40), (40, 80), (80, 120))
    by_length = [odd[(a <= lengths) & (lengths < b)].mean() for a, b in ranges]
    assert max(by_length) - min(by_length) < 0.025
    plain = calibrated(np.ones(4000), lines(random, 4000)[1])  # what happens without lengths
    without = plain.p_values(np.ones(30_000), nats) <= 0.05
    assert without[lengths < 40].mean() == 0
    assert without[lengths >= 80].mean() > 0.1


def test_a_calibration_comes_back_from_the_record_of_a_model():
    usual = calibrated(*lines(np.random.default_rng(4), 3000))
    stored = json.dumps(Provenance(calibration=usual).to_json())
    assert Provenance(**json.loads(stored)).calibration == usual
    assert len(stored) < 12_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"ranks": [1, 1]},
        {"ranks": [2, 3]},
        {"ranks": [1, 2]},
        {"scores": [1.0, 2.0]},
        {"scores": [2.0]},
        {"scores": [float("nan"), 1.0]},
        {"ranks": [], "scores": []},
        {"slope": float("inf")},
        {"parts": 0},
        {"more": 1},
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(wrong):
    right = {"parts": 3, "intercept": 1.0, "slope": 2.0, "ranks": [1, 3], "scores": [2.0, 1.0]}
    assert Calibration(**right).lowest == 0.25
    with pytest.raises(SettingsError):
        Calibration(**{**right, **wrong})


def test_too_few_lines_are_told_of():
    with pytest.raises(TextError, match=r"39 lines that are not empty are too few .* 40 are"):
        calibrated(np.full(39, 5), np.ones(39))
    with pytest.raises(TextError, match="3 windows of 8 characters"):
        calibrated(np.full(3, 8), np.ones(3), window=8)


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_lines_are_gathered_from_blocks_of_whole_lines_empty_ones_left_out(kind):
    text = "aé\n\nb\n" * 60
    vocabulary = Vocabulary.bytes() if kind == "bytes" else Vocabulary.of(text)
    ids = vocabulary.encode(text)
    lines = LineTotals(vocabulary)
    half = len(ids) // 2
    nats = np.ones(len(ids))
    blocks = [Surprisals(ids[a:b], nats[a:b], nats[a:b]) for a, b in ((0, half), (half, None))]
    assert sum(len(block.ids) for block in lines.through(iter(blocks))) == len(ids)
    extra = float(kind == "bytes")  # é is two bytes, and one character
    expected = calibrated(np.array([3, 2] * 60), np.array([3.0 + extra, 2.0] * 60))
    assert lines.calibration() == expected
    few = LineTotals(vocabulary)
    assert list(few.through([])) == []
    assert few.calibration() is None
