"""From ids through the layers to logits, and back: the network as an engine.

    ids -> one-hot or embedding -> layer 0 -> ... -> layer L-1 -> head -> logits

While training, dropout stands behind every layer. This is the definition, in NumPy; every
other engine agrees with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ...settings import ModelSettings
from ..base import Activations, Engine, OptimizerState, State, Step, StepSettings
from ..loss import cross_entropy
from ..random import dropout_mask
from ..weights import Array, Weights, check_weights, weight_shapes
from . import gru, lstm, rnn
from .adam import Adam, clip_by_global_norm
from .products import Tape, add_rows

CELLS: dict[str, ModuleType] = {"lstm": lstm, "gru": gru, "rnn": rnn}
"""The file of each cell, with its forward and backward pass."""


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """What the forward pass keeps for the backward pass."""

    tapes: list[Tape]
    kept: list[Array]
    """(T, B, H) of each layer: 0 where dropped, else 1 / (1 - dropout)."""
    top: Array
    """(T, B, H) what the head read."""


class ReferenceEngine(Engine):
    """The network in NumPy and any float type: slow, short, and the judge of the others.

    What it returns has its `dtype`, `Surprisal.nats` too.
    """

    kernels = "reference"

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary_size: int,
        weights: Weights,
        dtype: Any = np.float32,
    ) -> None:
        self.settings = settings
        self.vocabulary_size = vocabulary_size
        self.dtype = np.dtype(dtype)
        self.precision = self.dtype.name
        self._cell = CELLS[settings.cell]
        self.load(weights)

    def weights(self) -> Weights:
        """A copy of the weights."""
        return {name: weight.copy() for name, weight in self._weights.items()}

    def optimizer_state(self) -> OptimizerState:
        """A copy of Adam's memory."""
        return self._adam.state()

    def load(self, weights: Weights, optimizer: OptimizerState | None = None) -> None:
        """Put a copy of weights, and of Adam's memory (zero when None), in place.

        Raises ModelFileError where a weight is missing or has another shape.
        """
        check_weights(weights, self.settings, self.vocabulary_size)
        names = weight_shapes(self.settings, self.vocabulary_size)
        self._weights = {name: weights[name].astype(self.dtype) for name in names}
        self._adam = Adam(self._weights)
        if optimizer is not None:
            self._adam.load(optimizer)

    def train_step(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> Step:
        """Forward, backward, clip, Adam, on the mean over the counted targets.

        Nothing is updated if the result is not finite, or if no target is counted.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # reported as not finite instead
            nats, characters, gradients, after = self.gradients(inputs, targets, state, settings)
            norm = clip_by_global_norm(gradients, settings.clip_norm)
        if characters and math.isfinite(nats) and math.isfinite(norm):
            self._adam.step(self._weights, gradients, settings)
        return Step(nats=nats, characters=characters, gradient_norm=norm, state=after)

    def gradients(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> tuple[float, int, Weights, State]:
        """Nats in total, targets counted, the gradient of the MEAN, and the state after."""
        logits, after, tape = self._forward(inputs, state, settings)
        nats, characters, d_logits = cross_entropy(logits, targets)
        d_logits /= max(characters, 1)
        return nats, characters, self._backward(inputs, d_logits, tape), after

    def logits(self, inputs: Array, state: State) -> tuple[Array, State]:
        """(T, B, V) ln p of the next character but for a constant; the state after."""
        logits, after, _ = self._forward(inputs, state)
        return logits, after

    def trace(self, inputs: Array, state: State) -> Activations:
        """The gates, cells and hidden states of a forward pass."""
        logits, after, passed = self._forward(inputs, state)
        by_layer = [tape.traced for tape in passed.tapes]
        quantities = {name: np.stack([layer[name] for layer in by_layer]) for name in by_layer[0]}
        return Activations(quantities=quantities, logits=logits, state=after)

    def _forward(
        self, inputs: Array, state: State, settings: StepSettings | None = None
    ) -> tuple[Array, State, _Pass]:
        """Logits, the next state, the tape; dropout only with the settings of a step."""
        w, cell = self._weights, self.settings.cell
        x = w["embedding.weight"][inputs] if self.settings.embedding_size else inputs
        hidden, cells, tapes, kept = [], [], [], []
        for layer in range(self.settings.num_layers):
            x, h, c, tape = self._cell.forward(
                x,
                hidden=state.hidden[layer].astype(self.dtype),
                cell=state.cell[layer].astype(self.dtype),
                weight_ih=w[f"{cell}.weight_ih_l{layer}"],
                weight_hh=w[f"{cell}.weight_hh_l{layer}"],
                bias=w[f"{cell}.bias_l{layer}"],
            )
            if settings is not None and settings.dropout:
                mask = dropout_mask(settings.dropout_key, layer, x.shape, settings.dropout)
                kept.append(mask.astype(self.dtype) / (1 - settings.dropout))
                x = x * kept[-1]
            hidden.append(h)
            cells.append(c)
            tapes.append(tape)
        logits = x @ w["head.weight"].T + w["head.bias"]
        after = State(hidden=np.stack(hidden), cell=np.stack(cells))
        return logits, after, _Pass(tapes=tapes, kept=kept, top=x)

    def _backward(self, inputs: Array, d_logits: Array, tape: _Pass) -> Weights:
        """The gradient of every weight from that of the logits (T, B, V)."""
        w, cell = self._weights, self.settings.cell
        V, H = w["head.weight"].shape
        flat = d_logits.reshape(-1, V)
        gradients = {
            "head.weight": flat.T @ tape.top.reshape(-1, H),
            "head.bias": flat.sum(axis=0),
        }
        d_x = d_logits @ w["head.weight"]
        for layer in reversed(range(self.settings.num_layers)):
            if tape.kept:
                d_x = d_x * tape.kept[layer]
            d_layer = self._cell.backward(
                d_x,
                tape.tapes[layer],
                weight_ih=w[f"{cell}.weight_ih_l{layer}"],
                weight_hh=w[f"{cell}.weight_hh_l{layer}"],
            )
            gradients[f"{cell}.weight_ih_l{layer}"] = d_layer.weight_ih
            gradients[f"{cell}.weight_hh_l{layer}"] = d_layer.weight_hh
            gradients[f"{cell}.bias_l{layer}"] = d_layer.bias
            d_x = d_layer.x
        if self.settings.embedding_size:
            gradients["embedding.weight"] = add_rows(inputs, d_x, V)
        return gradients
