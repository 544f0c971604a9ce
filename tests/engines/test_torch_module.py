"""The network as a torch.nn.Module, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from charloom.engines.cell import CELLS
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import initial_weights
from charloom.settings import ModelSettings

torch = pytest.importorskip("torch")

from charloom.engines.pytorch import module  # noqa: E402


@pytest.mark.parametrize("embedding_size", [0, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_its_logits_are_those_of_the_reference_and_it_goes_on_from_its_state(cell, embedding_size):
    settings = ModelSettings(cell=cell, hidden_size=5, num_layers=2, embedding_size=embedding_size)
    weights = initial_weights(settings, 7, seed=1)
    ids = np.random.default_rng(0).integers(0, 7, (6, 2))
    engine = ReferenceEngine(settings, 7, weights)
    expected, _ = engine.logits(ids.astype(np.int32), engine.zero_state(2))
    network = module.module_of(settings, 7, weights)
    with torch.no_grad():
        first, state = network(torch.tensor(ids[:4]))
        second, _ = network(torch.tensor(ids[4:]), state)
    assert_allclose(np.concatenate([first, second]), expected, atol=1e-5)
