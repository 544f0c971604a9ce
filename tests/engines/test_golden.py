"""Vectors that PyTorch and Keras computed once; `golden/make_golden.py` made them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from agreement import check_against_torch, losses_after_keras, reference64
from numpy.testing import assert_allclose

from charloom.engines.selection import open_engine

GOLDEN = Path(__file__).parents[1] / "golden"
TORCH = sorted(GOLDEN.glob("torch_*.npz"))
native32 = partial(open_engine, precision="float32")


def load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def test_the_golden_files_are_all_there_and_small():
    assert len(TORCH) == 12  # lstm, gru and rnn, one-hot and embedded, one layer and two
    assert sum(path.stat().st_size for path in GOLDEN.glob("*.npz")) < 1_000_000


@pytest.mark.parametrize("path", TORCH, ids=lambda path: path.stem)
def test_the_reference_computes_what_pytorch_does_there_and_back(path: Path):
    check_against_torch(load(path), reference64)


@pytest.mark.parametrize("path", TORCH, ids=lambda path: path.stem)
def test_the_native_core_computes_what_pytorch_does_there_and_back(path: Path):
    check_against_torch(load(path), native32, rtol=1e-4, atol=1e-6)


def test_the_reference_has_kerass_losses_over_the_first_100_steps_of_the_blogs_program():
    found = load(GOLDEN / "keras_fox.npz")
    losses = losses_after_keras(found, reference64, steps=100)
    assert len(losses) == 100 and len(found["losses"]) == 500  # the rest is in tests/peers
    assert_allclose(losses, found["losses"][:100], rtol=1e-8, atol=1e-8)


def test_the_native_core_has_kerass_losses_over_500_steps_of_the_blogs_program():
    found = load(GOLDEN / "keras_fox.npz")
    losses = losses_after_keras(found, native32)
    assert_allclose(losses, found["losses"], rtol=1e-3, atol=1e-3)
