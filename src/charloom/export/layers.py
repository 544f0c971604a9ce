"""Recurrent layers as other formats have them: two biases, and gates in an order of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engines.cell import CELLS
from ..engines.weights import Array, Weights, folded_bias, torch_biases
from ..settings import ModelSettings


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The weights of one layer; the gates along G stand in the format's order."""

    weight_ih: Array
    """(G, I)"""
    weight_hh: Array
    """(G, H)"""
    bias_ih: Array
    """(G,)"""
    bias_hh: Array
    """(G,)"""


def layers_of(settings: ModelSettings, weights: Weights, gates: Sequence[str]) -> list[Layer]:
    """The layers of a network, from the bottom, with their gates in another order.

    >>> settings = ModelSettings(hidden_size=1, num_layers=1)
    >>> weights = {"lstm.weight_ih_l0": np.array([[1], [2], [3], [4]]),
    ...            "lstm.weight_hh_l0": np.eye(4)[:, :1], "lstm.bias_l0": np.arange(4)}
    >>> (layer,) = layers_of(settings, weights, ("input", "output", "forget", "candidate"))
    >>> layer.weight_ih.ravel(), layer.bias_ih, layer.bias_hh
    (array([1, 4, 2, 3]), array([0, 3, 1, 2]), array([0, 0, 0, 0]))
    """
    cell = CELLS[settings.cell]
    found = []
    for k in range(settings.num_layers):
        bias_ih, bias_hh = torch_biases(settings, weights[f"{cell.name}.bias_l{k}"])
        arrays = {
            "weight_ih": weights[f"{cell.name}.weight_ih_l{k}"],
            "weight_hh": weights[f"{cell.name}.weight_hh_l{k}"],
            "bias_ih": bias_ih,
            "bias_hh": bias_hh,
        }
        found.append(Layer(**{n: _reordered(a, cell.gates, gates) for n, a in arrays.items()}))
    return found


def weights_of(settings: ModelSettings, layers: Sequence[Layer], gates: Sequence[str]) -> Weights:
    """The weights of some layers under our names: the way back from `layers_of`."""
    cell = CELLS[settings.cell]
    weights: Weights = {}
    for k, layer in enumerate(layers):
        arrays = {name: _reordered(a, gates, cell.gates) for name, a in vars(layer).items()}
        weights[f"{cell.name}.weight_ih_l{k}"] = arrays["weight_ih"]
        weights[f"{cell.name}.weight_hh_l{k}"] = arrays["weight_hh"]
        weights[f"{cell.name}.bias_l{k}"] = folded_bias(
            settings, arrays["bias_ih"], arrays["bias_hh"]
        )
    return weights


def _reordered(values: Array, before: Sequence[str], after: Sequence[str]) -> Array:
    """The same rows, gate by gate in another order."""
    parts = dict(zip(before, np.split(values, len(before)), strict=True))
    return np.concatenate([parts[gate] for gate in after])
