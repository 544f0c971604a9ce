"""Random numbers that depend on nothing but a key and a position."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from charloom.engines.random import dropout_mask, mix32, stream_seeds, uniform


def test_uniform_numbers_are_those_that_splitmix64_is_known_for():
    published = [  # the first five of Vigna's splitmix64.c with the seed 1234567
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    drawn = [uniform(np.array([1234567], np.uint64), index)[0] for index in range(5)]
    assert drawn == [(number >> 11) / 2**53 for number in published]


def test_uniform_numbers_fill_the_interval_evenly():
    drawn = uniform(stream_seeds(0, 1000), 3)
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0 and drawn.max() < 1
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].min() > 60


def test_the_largest_seed_is_a_seed():
    assert 0 <= uniform(np.array([2**64 - 1], np.uint64), 10**12)[0] < 1


def test_mixing_maps_no_two_numbers_to_one():
    low, high = np.arange(2**16, dtype=np.uint32), np.arange(2**16, dtype=np.uint32) << 16
    assert len(np.unique(mix32(low))) == len(np.unique(mix32(high))) == 2**16
    assert_array_equal(low, np.arange(2**16))  # and leaves its argument alone


def test_one_bit_more_changes_about_half_of_all_bits():
    numbers = np.random.default_rng(0).integers(0, 2**32, 2000, dtype=np.uint32)
    for bit in range(32):
        changed = mix32(numbers) ^ mix32(numbers ^ np.uint32(1 << bit))
        share = np.unpackbits(changed.view(np.uint8)).mean()
        assert share == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_a_mask_keeps_its_share_of_every_layer_step_stream_and_unit(dropout: float):
    for layer in range(2):
        mask = dropout_mask(5, layer, (40, 40, 40), dropout)
        for axes in ((1, 2), (0, 2), (0, 1)):
            assert mask.mean(axis=axes) == pytest.approx(1 - dropout, abs=0.07)


def test_without_dropout_everything_is_kept():
    assert dropout_mask(0, 0, (3, 4, 5), 0.0).all()


def test_masks_of_other_layers_and_other_keys_have_nothing_in_common():
    first = dropout_mask(1, 0, (10, 20, 50), 0.5)
    assert_array_equal(first, dropout_mask(1, 0, first.shape, 0.5))
    for key, layer in ((1, 1), (2, 0)):
        other = dropout_mask(key, layer, first.shape, 0.5)
        assert (first == other).mean() == pytest.approx(0.5, abs=0.02)


def test_a_longer_batch_drops_the_same_in_the_steps_it_shares():
    assert_array_equal(dropout_mask(3, 1, (9, 2, 5), 0.5)[:4], dropout_mask(3, 1, (4, 2, 5), 0.5))


def test_masks_stay_what_they_are_in_every_version():
    mask = dropout_mask(0xDEADBEEF, 2, (2, 4, 8), 0.3)
    assert np.packbits(mask).tobytes().hex() == "373cdf41ffd2fc83"


def test_a_stream_has_the_same_seed_alone_and_among_many():
    many = stream_seeds(2**62, 8)
    assert_array_equal(stream_seeds(2**62, 3), many[:3])
    assert len(set(many.tolist())) == 8
    assert not set(many.tolist()) & set(stream_seeds(0, 8).tolist())
