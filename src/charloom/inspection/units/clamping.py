"""What a unit is worth: the bits per character a model loses when the unit is clamped.

A unit is read through its columns of the weights: by its own layer at the next step, and by
the layer above or the head. To clamp its h_t at a value, these columns become zero and what
they would have added, the value times the column, goes into the biases. That network is
exactly the old one with the unit clamped, from the first step on (where h_t-1 would be 0).
"""

from __future__ import annotations

import math

import numpy as np

from ...engines.weights import Array
from ...errors import SettingsError
from ...model.model import Model
from ...model.surprisal import surprisals


def clamped(model: Model, layer: int, unit: int, value: float) -> Model:
    """A model like this one, whose unit has h_t = value at every step; layers count from 0."""
    cell, layers = model.settings.cell, model.settings.num_layers
    if not (0 <= layer < layers and 0 <= unit < model.settings.hidden_size):
        raise SettingsError(f"there is no unit {unit} in layer {layer}")
    above = f"{cell}.{{}}_l{layer + 1}" if layer + 1 < layers else "head.{}"
    readers = {
        f"{cell}.weight_hh_l{layer}": f"{cell}.bias_l{layer}",
        above.format("weight_ih" if layer + 1 < layers else "weight"): above.format("bias"),
    }
    changed = dict(model.weights)
    for weight, bias in readers.items():
        column = model.weights[weight][:, unit].astype(np.float64)
        changed[bias] = (changed[bias] + value * column).astype(np.float32)
        changed[weight] = model.weights[weight].copy()
        changed[weight][:, unit] = 0
    return with_weights(model, changed)


def with_weights(model: Model, weights: dict[str, Array]) -> Model:
    """The same network with other weights, computed in the same precision."""
    return Model(
        model.settings,
        model.vocabulary,
        weights,
        model.provenance,
        precision=model.engine.precision,
    )


def bits_of_each(model: Model, ids: Array) -> Array:
    """(T,) float64 the surprisal of each id in bits, read from the first as one stream."""
    found = surprisals(model.predictor, [ids])
    return np.concatenate([some.nats for some in found])[: len(ids)] / math.log(2)
