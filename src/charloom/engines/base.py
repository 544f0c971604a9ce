"""What every core agrees on: axes, gates, names of weights, and what an engine can do.

Axes, one letter each, in every file:

    T time steps   B streams   V vocabulary   I inputs   H hidden units   L layers
    G = 4H, the gates input, forget, candidate, output in this order (G = H for an RNN)

One step of one layer, with x its input and h, c its state:

    [i f g o] = x W_ih^T + h W_hh^T + b       i, f, o through a sigmoid, g through tanh
    c' = f * c + i * g                        the blog: C_t = fC_t + gi_t
    h' = o * tanh(c')

Weights travel as a dict from name to array, with the names and shapes of `torch.nn.LSTM`
(or `torch.nn.RNN`) and `torch.nn.Linear`, but for the one bias that is computed with:

    embedding.weight   (V, E)     only with an embedding
    lstm.weight_ih_l0  (G, I)     I is V for one-hot input, E with an embedding, H above
    lstm.weight_hh_l0  (G, H)
    lstm.bias_l0       (G,)       the sum of PyTorch's bias_ih_l0 and bias_hh_l0
    head.weight        (V, H)
    head.bias          (V,)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError
from ..settings import ModelSettings, SamplingSettings

GATES = ("input", "forget", "candidate", "output")
"""The order of the gates along G, here and in every file we write."""

NOT_COUNTED = -1
"""The target of a position that has none: it adds nothing to the loss or the count."""

Array = NDArray[Any]
Weights = dict[str, Array]


def weight_shapes(settings: ModelSettings, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight, in the order in which they are stored.

    >>> shapes = weight_shapes(ModelSettings(hidden_size=75, num_layers=1), 27)
    >>> shapes["lstm.weight_ih_l0"], shapes["head.weight"]
    ((300, 27), (27, 75))
    """
    hidden, cell = settings.hidden_size, settings.cell
    gates = hidden * (len(GATES) if cell == "lstm" else 1)
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = vocabulary_size
    if settings.embedding_size:
        inputs = settings.embedding_size
        shapes["embedding.weight"] = (vocabulary_size, inputs)
    for layer in range(settings.num_layers):
        shapes[f"{cell}.weight_ih_l{layer}"] = (gates, inputs)
        shapes[f"{cell}.weight_hh_l{layer}"] = (gates, hidden)
        shapes[f"{cell}.bias_l{layer}"] = (gates,)
        inputs = hidden
    shapes["head.weight"] = (vocabulary_size, hidden)
    shapes["head.bias"] = (vocabulary_size,)
    return shapes


def check_weights(weights: Weights, settings: ModelSettings, vocabulary_size: int) -> None:
    """ModelFileError where a weight is missing or has another shape than it must have."""
    for name, shape in weight_shapes(settings, vocabulary_size).items():
        if name not in weights or weights[name].shape != shape:
            given = weights[name].shape if name in weights else "missing"
            raise ModelFileError(
                f"the weight {name} is {given}; these settings and a vocabulary of "
                f"{vocabulary_size} need {shape}"
            )


@dataclass(frozen=True, kw_only=True)
class State:
    """What the layers remember between two characters; the cell of an RNN stays zero."""

    hidden: Array
    """(L, B, H)"""
    cell: Array
    """(L, B, H)"""

    @classmethod
    def zeros(cls, settings: ModelSettings, streams: int, dtype: Any = np.float32) -> State:
        """The state before the first character."""
        shape = (settings.num_layers, streams, settings.hidden_size)
        return cls(hidden=np.zeros(shape, dtype), cell=np.zeros(shape, dtype))


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """What one step of the optimizer needs to know besides the batch."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7
    clip_norm: float = 0.0
    """Largest global norm of the gradient; 0 does not clip."""
    dropout: float = 0.0
    """Share of each layer's outputs dropped on the way to the next layer and the head."""
    dropout_key: int = 0
    """32 bits; with layer, step, stream and unit it decides what is dropped."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What came of one step of the optimizer."""

    nats: float
    """Sum over the counted targets, before the update; not finite: nothing was updated."""
    characters: int
    """Targets counted."""
    gradient_norm: float
    """Global norm of the gradient of the mean loss, before clipping."""
    state: State
    """After the last character of the batch."""


@dataclass(frozen=True, kw_only=True)
class Surprise:
    """How surprised the network was at each target."""

    nats: Array
    """(T, B) float32, -ln p(target); 0 where the target is not counted."""
    ranks: Array
    """(T, B) int32, 1 for the likeliest character; 0 where the target is not counted."""
    state: State


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Everything that happened on the way up, under the blog's names, float32.

    Each is (L, T, B, H). An RNN has h_t alone; its other arrays have no units: (L, T, B, 0).
    """

    i_t: Array
    f_t: Array
    g_t: Array
    o_t: Array
    C_t: Array
    h_t: Array
    logits: Array
    """(T, B, V)"""
    state: State


@dataclass(frozen=True, kw_only=True)
class OptimizerState:
    """Adam's memory: how many steps, and the running mean and mean square of gradients."""

    steps: int
    mean: Weights
    mean_square: Weights


class Engine(Protocol):
    """The one seam between the verbs and a way of computing.

    `inputs` and `targets` are (T, B) int32 ids; a target may be NOT_COUNTED.
    """

    @property
    def settings(self) -> ModelSettings:
        """The shape of its network."""
        ...

    @property
    def precision(self) -> str:
        """What products are computed in, such as "float32"."""
        ...

    @property
    def kernels(self) -> str:
        """What computes them, such as "native avx512_bf16" or "reference"."""
        ...

    def weights(self) -> Weights:
        """A copy of the weights, under the names above."""
        ...

    def optimizer_state(self) -> OptimizerState:
        """A copy of Adam's memory."""
        ...

    def load(self, weights: Weights, optimizer: OptimizerState | None = None) -> None:
        """Put weights, and Adam's memory (zero when None), in place."""
        ...

    def train_step(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> Step:
        """Forward, backward, clip, Adam. Nothing is updated if the result is not finite."""
        ...

    def logits(self, inputs: Array, state: State) -> tuple[Array, State]:
        """(T, B, V) unnormalized log-probabilities of the next character; the state after."""
        ...

    def surprise(self, inputs: Array, targets: Array, state: State) -> Surprise:
        """-ln p and the rank of each target."""
        ...

    def trace(self, inputs: Array, state: State) -> Trace:
        """The gates, cells and hidden states that `logits` would compute and forget."""
        ...

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
        """Draw `length` ids for each of B streams, feeding each back.

        `last` (B,) int32 is the character to read first, `seeds` (B,) uint64 the seed of
        each stream, `start` how many characters were drawn before: drawing 10 and then 10
        more equals drawing 20. Returns (length, B) int32 ids and the state before the last
        of them is read.
        """
        ...
