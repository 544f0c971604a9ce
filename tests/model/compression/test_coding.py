"""The range coder: what goes in comes out, in as many bits as it should take."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import TextError
from charloom.model.compression.coding import TOTAL, Decoder, Encoder, frequencies


def coded(found, ids) -> bytes:
    encoder = Encoder()
    for row, symbol in zip(found, ids, strict=True):
        encoder.add(int(row[:symbol].sum()), int(row[symbol]))
    return encoder.finish()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 200),
    length=st.integers(0, 200),
    scale=st.sampled_from([0.1, 3.0, 30.0]),
)
def test_symbols_come_back_in_the_bits_that_they_should_take(seed, size, length, scale):
    rng = np.random.default_rng(seed)
    found = frequencies((scale * rng.normal(size=(length, size))).astype(np.float32))
    assert found.min(initial=1) >= 1
    assert (found.sum(axis=1) == TOTAL).all()
    likely = rng.random(length) < 0.9
    drawn = [int(rng.choice(size, p=row / TOTAL)) for row in found]
    ids = np.where(likely, drawn, rng.integers(size, size=length)).astype(int)
    code = coded(found, ids)
    bits = -sum(math.log2(row[symbol] / TOTAL) for row, symbol in zip(found, ids, strict=True))
    assert 8 * len(code) <= bits * 1.001 + 16
    decoder = Decoder(code)
    assert [decoder.find(row) for row in found] == ids.tolist()


@pytest.mark.parametrize("symbol", [0, 1])
def test_a_carry_runs_through_any_number_of_bytes(symbol):
    rare = np.array([[TOTAL - 1, 1]])
    ids = [0] * 5 + [1] * 40 + [0] * 200 + [symbol] * 60
    code = coded(np.repeat(rare, len(ids), axis=0), ids)
    decoder = Decoder(code)
    assert [decoder.find(rare[0]) for _ in ids] == ids


def test_even_numbers_and_symbols_can_be_mixed():
    encoder, rng = Encoder(), np.random.default_rng(0)
    numbers = rng.integers(0x110000, size=500).tolist()
    for number in numbers:
        encoder.add_evenly(number, 0x110000)
        encoder.add(0, TOTAL // 2)
    decoder = Decoder(encoder.finish())
    half = np.array([TOTAL // 2, TOTAL // 2])
    assert [(decoder.find_evenly(0x110000), decoder.find(half)) for _ in numbers] == [
        (number, 0) for number in numbers
    ]


def test_frequencies_are_the_softmax_to_a_part_in_ten_thousand():
    logits = np.random.default_rng(1).normal(size=(50, 60)).astype(np.float32)
    exact = np.exp(logits.astype(float))
    exact /= exact.sum(axis=1, keepdims=True)
    assert np.abs(frequencies(logits) / TOTAL / exact - 1).max() < 1e-4


def test_a_code_that_no_symbol_fits_is_an_error():
    with pytest.raises(TextError, match="damaged"):
        decoder = Decoder(b"\xff" * 200)
        for _ in range(100):
            decoder.find(np.array([TOTAL // 3, TOTAL // 3]))
    with pytest.raises(TextError, match="damaged"):
        Decoder(b"\xff" * 20).find_evenly(3 * 2**20)
