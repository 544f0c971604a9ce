"""Features: every quantity of a network on a text, scaled in two halves."""

from __future__ import annotations

import numpy as np
import pytest

from charloom.inspection.units import features
from charloom.inspection.units.statistics import unit_length


def test_the_quantity_and_its_sign_are_chosen_where_the_score_is_not_taken():
    rng = np.random.default_rng(0)
    y = np.concatenate([(rng.random(400) < 0.5) for _ in range(2)]).astype(np.float32)[:, None]
    noise = rng.normal(size=(2, 800)).astype(np.float32)
    halves = object.__new__(features.Features)
    halves.units = 1
    # the first quantity follows the label in the first half, the second one in the second
    searched = np.stack([-y[:400, 0] + 0.1 * noise[0, :400], noise[1, :400]])
    tested = np.stack([-0.5 * y[400:, 0] + noise[0, 400:], y[400:, 0] + 0.1 * noise[1, 400:]])
    halves.search, halves.held_out = unit_length(searched), unit_length(tested)
    score, quantity, sign = halves.scores(y[:400], y[400:])
    assert (quantity[0], sign[0]) == (0, -1)
    exact = -np.corrcoef(tested[0], y[400:, 0])[0, 1]
    assert score[0, 0] == pytest.approx(exact, abs=1e-5)
    assert 0 < exact < 0.5
