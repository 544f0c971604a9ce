"""From ids through the layers to logits, and back: the network as an engine.

    ids -> one-hot or embedding -> layer 0 -> ... -> layer L-1 -> head -> logits

Dropout stands behind every layer while training. This is the definition, in NumPy; the native
engine has the same methods, and `engines.open_engine` opens one or the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...settings import ModelSettings, SamplingSettings
from ..base import (
    Array,
    OptimizerState,
    State,
    Step,
    StepSettings,
    Surprise,
    Trace,
    Weights,
    check_weights,
    weight_shapes,
)
from ..random import dropout_mask, uniform
from ..sampling import draw
from . import cells as reference
from .adam import Adam, clip_by_global_norm
from .loss import cross_entropy, ranks, surprises


def initial_weights(
    settings: ModelSettings, vocabulary_size: int, seed: int, dtype: Any = np.float32
) -> Weights:
    """Weights to start training from, drawn as Keras draws them: a function of the seed.

    Kernels are Glorot-uniform, recurrent kernels orthogonal, embeddings uniform within
    0.05; biases are 0, but 1 for the forget gate, so that a new cell remembers. All is
    computed in float64 and rounded to `dtype`, which hides the last bits of a LAPACK.

    >>> weights = initial_weights(ModelSettings(hidden_size=2, num_layers=1), 27, seed=0)
    >>> weights["lstm.bias_l0"]                # input, forget, candidate, output
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    random = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in weight_shapes(settings, vocabulary_size).items():
        if "weight_hh" in name:
            weight = _orthogonal(random, shape)
        elif name == "embedding.weight":
            weight = random.uniform(-0.05, 0.05, shape)
        elif "bias" in name:
            weight = np.zeros(shape)
            if name.startswith("lstm"):
                weight[settings.hidden_size : 2 * settings.hidden_size] = 1
        else:
            limit = math.sqrt(6 / sum(shape))
            weight = random.uniform(-limit, limit, shape)
        weights[name] = weight.astype(dtype)
    return weights


def _orthogonal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """(G, H) columns of length 1 at right angles, without a preferred direction."""
    q, r = np.linalg.qr(random.normal(size=shape))
    return q * np.sign(np.diag(r))


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """What the way forward leaves for the way back."""

    tapes: list[Any]
    kept: list[Array]
    """(T, B, H) of each layer: 0 where dropped, else 1 / (1 - dropout)."""
    top: Array
    """(T, B, H) what the head read."""


class ReferenceEngine:
    """The network in NumPy and any float type: slow, short, and the judge of the others.

    It is a `core.contract.Engine`; what it returns has its `dtype`, `Surprise.nats` too.
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
        self.load(weights)

    @property
    def precision(self) -> str:
        """The type that everything is computed in, such as "float32"."""
        return self.dtype.name

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
        """Forward, backward, clip, Adam: a step down the mean over the counted targets.

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

    def surprise(self, inputs: Array, targets: Array, state: State) -> Surprise:
        """-ln p and the rank of each target."""
        logits, after = self.logits(inputs, state)
        return Surprise(nats=surprises(logits, targets), ranks=ranks(logits, targets), state=after)

    def trace(self, inputs: Array, state: State) -> Trace:
        """The gates, cells and hidden states of a forward pass."""
        logits, after, tape = self._forward(inputs, state)
        h_t = np.stack([layer.h[1:] for layer in tape.tapes])
        i_t = f_t = g_t = o_t = C_t = h_t[..., :0]
        if self.settings.cell == "lstm":
            i_t, f_t, g_t, o_t = (
                np.stack([getattr(layer, gate) for layer in tape.tapes]) for gate in "ifgo"
            )
            C_t = np.stack([layer.C[1:] for layer in tape.tapes])
        return Trace(
            i_t=i_t, f_t=f_t, g_t=g_t, o_t=o_t, C_t=C_t, h_t=h_t, logits=logits, state=after
        )

    def generate(
        self,
        last: Array,
        state: State,
        length: int,
        sampling: SamplingSettings,
        seeds: Array,
        start: int,
        forbidden: tuple[int, ...] = (),
    ) -> tuple[Array, State]:
        """Draw `length` ids for each of B streams, feeding each back, as `Engine` says."""
        drawn = np.empty((length, len(last)), np.int32)
        for n in range(length):
            logits, state = self.logits(last[None], state)
            uniforms = uniform(seeds, start + n)
            last = drawn[n] = draw(logits[0], sampling, uniforms, forbidden)
        return drawn, state

    def _forward(
        self, inputs: Array, state: State, settings: StepSettings | None = None
    ) -> tuple[Array, State, _Pass]:
        """Logits, the next state, the tape; dropout only with the settings of a step."""
        w, cell = self._weights, self.settings.cell
        forward = reference.lstm_forward if cell == "lstm" else reference.rnn_forward
        x = w["embedding.weight"][inputs] if self.settings.embedding_size else inputs
        hidden, cells, tapes, kept = [], [], [], []
        for layer in range(self.settings.num_layers):
            x, h, c, tape = forward(
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
        backward = reference.lstm_backward if cell == "lstm" else reference.rnn_backward
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
            slopes = backward(
                d_x,
                tape.tapes[layer],
                weight_ih=w[f"{cell}.weight_ih_l{layer}"],
                weight_hh=w[f"{cell}.weight_hh_l{layer}"],
            )
            gradients[f"{cell}.weight_ih_l{layer}"] = slopes.weight_ih
            gradients[f"{cell}.weight_hh_l{layer}"] = slopes.weight_hh
            gradients[f"{cell}.bias_l{layer}"] = slopes.bias
            d_x = slopes.x
        if self.settings.embedding_size:
            gradients["embedding.weight"] = reference.add_rows(inputs, d_x, V)
        return gradients
