"""What a unit is worth: the bits per character a model loses when the unit is clamped.

A unit is read through its columns of the weights: by its own layer at the next step, and by
the layer above or the head. To clamp its h_t at a value, these columns become zero and what
they would have added, the value times the column, goes into the biases. That network is
exactly the old one with the unit clamped, from the first step on (where h_t-1 would be 0).
"""

from __future__ import annotations

import math

import numpy as np

from ...engines.base import State
from ...engines.cell import CELLS
from ...engines.weights import Array
from ...errors import SettingsError
from ...model.model import Model
from ...model.surprisal import surprisals
from ...text.batches import NOT_COUNTED
from .statistics import BLOCKS

_STEPS = 256


def clamped(model: Model, layer: int, unit: int, value: float) -> Model:
    """A model like this one, whose unit has h_t = value at every step; layers count from 0."""
    cell, layers = model.settings.cell, model.settings.num_layers
    if not (0 <= layer < layers and 0 <= unit < model.settings.hidden_size):
        raise SettingsError(f"there is no unit {unit} in layer {layer}")
    above = f"{cell}.{{}}_l{layer + 1}" if layer + 1 < layers else "head.{}"
    own = CELLS[cell].recurrent_bias(model.settings.hidden_size)
    readers = [
        (f"{cell}.weight_hh_l{layer}", f"{cell}.bias_l{layer}", own),
        (above.format("weight_ih" if layer + 1 < layers else "weight"), above.format("bias"), None),
    ]
    changed = dict(model.weights)
    for weight, bias, places in readers:
        column = model.weights[weight][:, unit].astype(np.float64)
        wider = changed[bias].astype(np.float64)
        wider[slice(len(column)) if places is None else places] += value * column
        changed[bias] = wider.astype(np.float32)
        changed[weight] = model.weights[weight].copy()
        changed[weight][:, unit] = 0
    return model.with_weights(changed)


def bits_of_each(model: Model, ids: Array) -> Array:
    """(T,) float64 the surprisal of each id in bits, read from the first as one stream."""
    found = surprisals(model.predictor, [ids])
    return np.concatenate([some.nats for some in found])[: len(ids)] / math.log(2)


class HeldOut:
    """The end of a text, from a position on, to be read by a model and by clamped ones.

    It is read as BLOCKS blocks side by side, each from the state that the whole model has
    where it starts; so a clamped network is clamped from the start of each block on. Of a
    model of lines, each line is read from its own start.
    """

    def __init__(self, model: Model, ids: Array, first: int) -> None:
        ids = ids.astype(np.int32)
        self._ids, self._first = ids, first
        count = min(BLOCKS, len(ids) - first)
        self._length = -(-(len(ids) - first) // count)
        self._starts = first - 1 + self._length * np.arange(count)  # each predicts the next
        self._state = None if model.lines else _states(model, ids, self._starts)

    def bits(self, model: Model) -> Array:
        """(T - first,) float64 the surprisal of each of its ids in bits."""
        ids, first = self._ids, self._first
        if self._state is None:
            return bits_of_each(model, ids)[first:]
        state = model.engine.place_state(self._state)
        nats = []
        for begin in range(0, self._length, _STEPS):
            at = self._starts + np.arange(begin, min(begin + _STEPS, self._length))[:, None]
            counted = at + 1 < len(ids)  # (T, B)
            at = np.minimum(at, len(ids) - 2)
            targets = np.where(counted, ids[at + 1], NOT_COUNTED)
            found = model.engine.surprisal(ids[at], targets, state)
            state = found.state
            nats.append(found.nats)
        in_order = np.concatenate(nats).T.ravel().astype(np.float64)[: len(ids) - first]
        if model.vocabulary.unknown_id is not None:
            in_order[ids[first:] == model.vocabulary.unknown_id] += model.vocabulary.unknown_nats
        return in_order / math.log(2)


def _states(model: Model, ids: Array, starts: Array) -> State:
    """The states that a model has before it reads the id at each start, as streams."""
    found: list[State] = []
    state, read = model.engine.zero_state(1), 0
    for start in starts.tolist():
        for begin in range(read, start, _STEPS):
            inputs = ids[begin : min(begin + _STEPS, start), None]
            state = model.engine.surprisal(inputs, np.full_like(inputs, NOT_COUNTED), state).state
        read = start
        found.append(state.numpy())
    return State(
        hidden=np.concatenate([state.hidden for state in found], axis=1),
        cell=np.concatenate([state.cell for state in found], axis=1),
    )
