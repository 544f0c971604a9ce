"""What is drawn, how often, and what never."""

from __future__ import annotations

import numpy as np
import pytest

from charloom.engines.sampling import draw
from charloom.settings import SamplingSettings

SHARES = np.array([0.1, 0.4, 0.2, 0.3])
EVENLY = (np.arange(1000) + 0.5) / 1000


def counts(forbidden: tuple[int, ...] = (), **sampling) -> list[int]:
    """How often each id is drawn by a thousand numbers spread evenly over [0, 1)."""
    logits = np.tile(np.log(SHARES), (1000, 1))
    ids = draw(logits, SamplingSettings(**sampling), EVENLY, forbidden)
    return np.bincount(ids, minlength=4).tolist()


def test_ids_are_drawn_as_often_as_the_distribution_says():
    assert counts() == [100, 400, 200, 300]


def test_a_temperature_sharpens_or_flattens():
    squares = SHARES**2 / (SHARES**2).sum()
    assert counts(temperature=0.5) == pytest.approx(1000 * squares, abs=1)
    roots = SHARES**0.5 / (SHARES**0.5).sum()
    assert counts(temperature=2.0) == pytest.approx(1000 * roots, abs=1)
    assert counts(temperature=0) == [0, 1000, 0, 0]
    assert counts(temperature=1e-4) == [0, 1000, 0, 0]


def test_top_k_keeps_the_likeliest_and_shares_out_the_rest():
    assert counts(top_k=2) == pytest.approx([0, 4000 / 7, 0, 3000 / 7], abs=1)
    assert counts(top_k=1) == [0, 1000, 0, 0]
    assert counts(top_k=99) == counts()


def test_top_p_keeps_the_likeliest_until_they_make_up_the_share():
    assert counts(top_p=0.01) == [0, 1000, 0, 0]
    assert counts(top_p=0.6) == pytest.approx([0, 4000 / 7, 0, 3000 / 7], abs=1)
    assert counts(top_p=0.8) == pytest.approx([0, 4000 / 9, 2000 / 9, 3000 / 9], abs=1)


def test_top_p_counts_what_top_k_has_left_as_the_whole():
    assert counts(top_k=2, top_p=0.55) == [0, 1000, 0, 0]  # 4/7 of the two is enough


def test_what_is_forbidden_is_never_drawn_and_its_share_goes_to_the_others():
    assert counts(forbidden=(1,)) == pytest.approx([1000 / 6, 0, 2000 / 6, 500], abs=1)
    assert counts(forbidden=(1, 3), temperature=0) == [0, 0, 1000, 0]
    assert counts(forbidden=(3,), top_k=4)[3] == 0


def test_among_equals_the_lower_id_comes_first():
    equal = np.zeros((1, 5))
    for sampling in (SamplingSettings(temperature=0), SamplingSettings(top_k=1)):
        assert draw(equal, sampling, np.array([0.99]))[0] == 0
    assert draw(equal, SamplingSettings(top_k=2), np.array([0.99]))[0] == 1


def test_the_number_next_to_one_still_draws_an_id():
    below_one = np.array([1 - 2.0**-53])
    ten = np.zeros((1, 10))  # ten tenths add up to 1 - 2^-53
    assert draw(ten, SamplingSettings(), below_one)[0] == 9
    assert draw(np.zeros((1, 11)), SamplingSettings(), below_one, (10,))[0] == 9


@pytest.mark.parametrize("sampling", [{}, {"top_k": 3}, {"top_p": 0.95}])
def test_ids_share_the_numbers_in_their_own_order(sampling: dict[str, float]):
    logits = np.tile(np.log(SHARES), (1000, 1))
    ids = draw(logits, SamplingSettings(**sampling), EVENLY)
    assert (np.diff(ids) >= 0).all()


def test_an_id_owns_the_lower_end_of_its_share():
    halves = np.zeros((3, 2))
    assert draw(halves, SamplingSettings(), np.array([0.0, 0.49, 0.5])).tolist() == [
        0,
        0,
        1,
    ]
