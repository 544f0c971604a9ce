"""The trace is what PyTorch's nn.LSTM computes, on every instruction set.

PyTorch gives out h_t of every step, but C_t only of the last: so it is run one step at a
time. Its gates, which it keeps to itself, are computed from its weights and its states.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from predictors import predictor

from charloom.engines.native import NativeEngine, available_kernels
from charloom.engines.weights import initial_weights
from charloom.model.tracing import joined, trace_pieces
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore")

TEXT = "One bright morning as the Fox was following his sharp nose through the wood"


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("hidden_size", [24, 75])
def test_every_quantity_is_pytorchs(kernels: str, hidden_size: int):
    torch = pytest.importorskip("torch")
    settings = ModelSettings(hidden_size=hidden_size, num_layers=2)
    vocabulary = Vocabulary.of(TEXT)
    weights = initial_weights(settings, vocabulary.size, seed=0)
    engine = NativeEngine(settings, vocabulary.size, weights, kernels=kernels, precision="float32")
    ours = joined(list(trace_pieces(predictor(engine, vocabulary), [TEXT])))

    lstm = torch.nn.LSTM(vocabulary.size, hidden_size, 2)
    for name, tensor in lstm.named_parameters():
        stored = weights.get(f"lstm.{name.replace('bias_ih', 'bias')}")
        tensor.data = torch.zeros_like(tensor) if stored is None else torch.tensor(stored)
    x = torch.nn.functional.one_hot(
        torch.tensor(vocabulary.encode(TEXT).astype(np.int64)), vocabulary.size
    ).float()
    h, c = torch.zeros(2, 1, hidden_size), torch.zeros(2, 1, hidden_size)
    with torch.no_grad():
        for t in range(len(TEXT)):
            before_h, before_c = h, c
            _, (h, c) = lstm(x[t, None, None], (h, c))
            assert_allclose(ours.h_t[t], h[:, 0], rtol=0, atol=1e-6)
            assert_allclose(ours.C_t[t], c[:, 0], rtol=0, atol=1e-6)
            for layer in range(2):
                below = x[t, None] if layer == 0 else h[layer - 1]
                sums = below @ getattr(lstm, f"weight_ih_l{layer}").T
                sums = sums + before_h[layer] @ getattr(lstm, f"weight_hh_l{layer}").T
                sums = sums + getattr(lstm, f"bias_ih_l{layer}")
                i, f, g, o = sums[0].chunk(4)
                i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
                theirs = {
                    "i_t": i, "f_t": f, "g_t": g, "o_t": o,
                    "fC_t": f * before_c[layer, 0], "gi_t": g * i,
                }  # fmt: skip
                for name, values in theirs.items():
                    found = getattr(ours, name)[t, layer]
                    assert_allclose(found, values, rtol=0, atol=1e-6, err_msg=name)
