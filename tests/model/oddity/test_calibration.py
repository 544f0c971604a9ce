"""Calibration: p-values against counting, and the share of false alarms that they promise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import SettingsError, TextError
from charloom.model.oddity import calibration
from charloom.model.oddity.calibration import (
    FEWEST,
    Calibration,
    LineStrangeness,
    calibrated,
    strangeness_of,
)
from charloom.model.storage.provenance import Provenance
from charloom.model.surprisal import Surprisals
from charloom.text.vocabulary import Vocabulary


def characters(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nats of the characters of lines, and where each of them starts, as a right model has them.

    Each character is drawn from the model's own distribution, of which there are many kinds.
    """
    lengths = random.integers(2, 120, count)
    sharp = random.choice([0.02, 0.1, 1.0, 10.0], lengths.sum())
    p = random.dirichlet([1.0] * 8, lengths.sum()) ** (1 / sharp)[:, None] + 1e-5
    p /= p.sum(axis=1, keepdims=True)
    drawn = (random.random(len(p))[:, None] < p.cumsum(axis=1)).argmax(axis=1)
    nats = -np.log(p[np.arange(len(p)), drawn])
    return nats, np.concatenate([[0], np.cumsum(lengths)[:-1]])


def lines(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    nats, starts = characters(random, count)
    return np.diff(starts, append=len(nats)), strangeness_of(nats, starts)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 60)), min_size=2 * FEWEST, max_size=120),
    st.integers(1, 40),
    st.integers(0, 90),
)
def test_a_p_value_counts_the_ranked_lines_that_are_as_strange(found, length, mine):
    lengths, strangeness = np.array(found).T
    usual = calibrated(lengths, strangeness / 3)
    (p,) = usual.p_values(np.array([length]), np.array([mine / 3]))
    score = np.round((mine / 3 - usual.intercept) * length**0.5 - usual.slope, 4)
    assert usual.parts == len(usual.scores) == len(found) - len(found) // 2
    assert p == (1 + sum(other >= score for other in usual.scores)) / (1 + usual.parts)


def test_what_is_expected_follows_the_inverse_root_of_the_length():
    lengths = np.repeat([4, 9, 25], 30)
    usual = calibrated(lengths, 3.0 + 0.5 / np.sqrt(lengths))
    assert (usual.intercept, usual.slope) == (pytest.approx(3.0), pytest.approx(0.5))
    assert set(usual.scores) == {0.0}
    assert usual.expected(np.array([4, 25])) == pytest.approx([3.25, 3.1])


def test_strangeness_is_the_power_mean_of_the_inverse_probabilities():
    nats = np.log([4.0, 16.0, 1.0, 25.0, 81.0])
    expected = np.log([9.0, 1.0, 49.0])
    assert strangeness_of(nats, np.array([0, 2, 3])) == pytest.approx(expected)
    assert np.isfinite(strangeness_of(np.array([1e6, 1.0]), np.array([0, 1]))).all()


def test_a_wrong_character_is_not_drowned_by_what_is_always_surprising():
    key = np.full(40, np.log(64))  # digits of a key
    word = np.full(60, 0.01)
    usual, wrong = np.concatenate([key, word]), np.concatenate([key, word[:-1], [9.0]])
    total = np.concatenate([np.full(42, np.log(64)), word[2:]])  # two digits more: as surprising
    starts = np.array([0, 100, 200])
    scores = strangeness_of(np.concatenate([usual, wrong, total]), starts)
    assert total.sum() == pytest.approx(wrong.sum(), abs=1.0)
    assert scores[1] - scores[0] > 4 * (scores[2] - scores[0])


def test_what_is_left_out_of_many_scores_makes_a_p_value_at_most_one_percent_high(monkeypatch):
    random = np.random.default_rng(1)
    some, new = lines(random, 18_000), lines(random, 3000)
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
    """P(p <= a) is floor(a (n + 1)) / (n + 1), whatever the lines; 300 calibrations of 50."""
    random = np.random.default_rng(2)
    lengths, strangeness = (some.reshape(300, 120) for some in lines(random, 300 * 120))
    for threshold in (0.02, 0.1, 0.5):
        alarms = [
            (calibrated(n[:100], s[:100]).p_values(n[100:], s[100:]) <= threshold).mean()
            for n, s in zip(lengths, strangeness, strict=True)
        ]
        expected = np.floor(threshold * 51) / 51
        assert abs(np.mean(alarms) - expected) < 4 * np.std(alarms) / 300**0.5


def test_short_and_long_lines_are_odd_about_equally_often():
    random = np.random.default_rng(3)
    usual = calibrated(*lines(random, 6000))
    lengths, strangeness = lines(random, 12_000)
    odd = usual.p_values(lengths, strangeness) <= 0.05
    ranges = ((2, 40), (40, 80), (80, 120))
    by_length = [odd[(a <= lengths) & (lengths < b)].mean() for a, b in ranges]
    assert max(by_length) < 0.08
    assert min(by_length) > 0.025
    plain = strangeness > np.quantile(strangeness, 0.95)  # what happens without the length
    assert plain[lengths < 40].mean() > 5 * plain[lengths >= 80].mean()


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
    with pytest.raises(TextError, match=r"too few .*: 39 x a line that is not empty; at least 40"):
        calibrated(np.full(39, 5), np.ones(39))
    with pytest.raises(TextError, match="3 x a window of 8 characters"):
        calibrated(np.full(3, 8), np.ones(3), window=8)


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_lines_are_gathered_from_blocks_of_whole_lines_empty_ones_left_out(kind):
    text = "aé\n\nb\n" * 60
    vocabulary = Vocabulary.bytes() if kind == "bytes" else Vocabulary.of(text)
    ids = vocabulary.encode(text)
    lines = LineStrangeness(vocabulary)
    half = len(ids) // 2
    nats = np.ones(len(ids))
    blocks = [Surprisals(ids[a:b], nats[a:b], nats[a:b]) for a, b in ((0, half), (half, None))]
    assert sum(len(block.ids) for block in lines.through(iter(blocks))) == len(ids)
    e = np.e
    first = (e**0.5 + e + e**0.5) / 3 if kind == "bytes" else e**0.5  # é is of two bytes
    expected = calibrated(np.array([3, 2] * 60), 2 * np.log([first, e**0.5] * 60))
    assert lines.calibration() == expected
    few = LineStrangeness(vocabulary)
    assert list(few.through([])) == []
    assert few.calibration() is None
