"""What every engine agrees on: axes, the state, a step, a trace, and what can be asked of it.

Axes, one letter each, in every file:

    T time steps   B streams   V vocabulary   I inputs   H hidden units   L layers
    G gate rows: H for each gate of the cell (cell.py), 4H for an LSTM

An engine computes one network (cell.py has the equations, weights.py the names and shapes).
It has to know how to train, and how to get from ids to logits and a trace; surprisal and
generation follow from logits, and an engine that has a faster way overrides them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..settings import ModelSettings, SamplingSettings
from .loss import ranks, surprisal
from .random import uniform
from .restriction import Restriction
from .sampling import draw
from .weights import Array, Weights


@dataclass(frozen=True, kw_only=True)
class State:
    """What the layers remember between two characters; nothing outside looks into it.

    `Engine.zero_state` makes one. An engine may keep its arrays where it likes (on a
    device), as long as they can be selected, repeated, joined and cleared by stream, and
    copied to NumPy. The cell of a cell without a cell state stays zero.
    """

    hidden: Any
    """(L, B, H)"""
    cell: Any
    """(L, B, H)"""

    @classmethod
    def zeros(cls, settings: ModelSettings, streams: int, dtype: Any = np.float32) -> State:
        """The state before the first character, in NumPy."""
        shape = (settings.num_layers, streams, settings.hidden_size)
        return cls(hidden=np.zeros(shape, dtype), cell=np.zeros(shape, dtype))

    @property
    def streams(self) -> int:
        """B."""
        return self.hidden.shape[1]

    def select(self, streams: Array | slice) -> State:
        """The state of some streams, by their indices or a slice.

        >>> state = State.zeros(ModelSettings(hidden_size=2), streams=3)
        >>> state.select(np.array([2, 0])).streams, state.repeat(4).streams
        (2, 12)
        """
        return State(hidden=self.hidden[:, streams], cell=self.cell[:, streams])

    def repeat(self, count: int) -> State:
        """Each stream `count` times, side by side."""
        return State(
            hidden=np.repeat(self.hidden, count, axis=1), cell=np.repeat(self.cell, count, axis=1)
        )

    def beside(self, *others: State) -> State:
        """The streams of this state, then those of the others.

        >>> one = State.zeros(ModelSettings(hidden_size=2), streams=1)
        >>> one.beside(one.repeat(3), one).streams
        5
        """
        states = (self, *others)
        return State(
            hidden=np.concatenate([state.hidden for state in states], axis=1),
            cell=np.concatenate([state.cell for state in states], axis=1),
        )

    def cleared(self, stream: int) -> State:
        """One stream as before the first character, the others as they are."""
        hidden, cell = self.hidden.copy(), self.cell.copy()
        hidden[:, stream], cell[:, stream] = 0, 0
        return State(hidden=hidden, cell=cell)

    def numpy(self) -> State:
        """A copy in float32 NumPy arrays, C-contiguous: for checkpoints and traces."""
        return State(
            hidden=np.array(self.hidden, np.float32, order="C"),
            cell=np.array(self.cell, np.float32, order="C"),
        )


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
class Outcome:
    """The numbers of one step, which a device may keep until they are read."""

    nats: float
    gradient_norm: float

    @property
    def ready(self) -> bool:
        """Whether reading them waits for nothing."""
        return True


@dataclass(frozen=True, kw_only=True)
class Step:
    """What came of one step of the optimizer.

    `nats` and `gradient_norm` may be on a device until they are read.
    """

    nats: float
    """Sum over the counted targets, before the update; not finite: nothing was updated."""
    characters: int
    """Targets counted."""
    gradient_norm: float
    """Global norm of the gradient of the mean loss, before clipping."""
    state: State
    """After the last character of the batch."""

    @property
    def outcome(self) -> Outcome:
        """The numbers without the state, to be kept for long."""
        return Outcome(nats=self.nats, gradient_norm=self.gradient_norm)


@dataclass(frozen=True, kw_only=True)
class Surprisal:
    """-ln p of each target."""

    nats: Array
    """(T, B) float32, -ln p(target); 0 where the target is not counted."""
    ranks: Array
    """(T, B) int32, 1 for the likeliest character; 0 where the target is not counted."""
    state: State


@dataclass(frozen=True, kw_only=True)
class Activations:
    """What a forward pass computed, under the blog's names."""

    quantities: dict[str, Array]
    """(L, T, B, H) float32 by name: those of `Cell.traced`."""
    logits: Array
    """(T, B, V)"""
    state: State


@dataclass(frozen=True, kw_only=True)
class OptimizerState:
    """Adam's memory: how many steps, and the running mean and mean square of gradients."""

    steps: int
    mean: Weights
    mean_square: Weights


class Engine(ABC):
    """One network, and a way to compute it; the only thing the verbs know of computing.

    `inputs` and `targets` are (T, B) int32 ids; a target may be NOT_COUNTED.
    """

    settings: ModelSettings
    """The shape of its network."""
    vocabulary_size: int
    precision: str
    """What products are computed in, such as "float32"."""
    kernels: str
    """What computes them, such as "native avx512_bf16" or "reference"."""
    intact: bool = True
    """Whether the network is whole: False where a step has failed after a part of it was taken."""

    @abstractmethod
    def weights(self) -> Weights:
        """A copy of the weights, under the names of weights.py."""

    def merged(self) -> Weights:
        """The weights of a model: a copy of these, or of several networks those of one."""
        return self.weights()

    @abstractmethod
    def optimizer_state(self) -> OptimizerState:
        """A copy of Adam's memory."""

    @abstractmethod
    def load(self, weights: Weights, optimizer: OptimizerState | None = None) -> None:
        """Put copies of weights, and of Adam's memory (zero when None), in place.

        ModelFileError where a weight is missing or has another shape.
        """

    @abstractmethod
    def train_step(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> Step:
        """Forward, backward, clip, Adam. Nothing is updated if the result is not finite."""

    def train_step_with_logits(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> tuple[Step, Array]:
        """A step in which every target counts and nothing is dropped, and its logits (T, B, V)."""
        logits, _ = self.logits(inputs, state)
        return self.train_step(inputs, targets, state, settings), logits

    @abstractmethod
    def logits(self, inputs: Array, state: State) -> tuple[Array, State]:
        """(T, B, V) unnormalized log-probabilities of the next character; the state after."""

    @abstractmethod
    def trace(self, inputs: Array, state: State) -> Activations:
        """The gates, cells and hidden states that `logits` would compute and forget."""

    def zero_state(self, streams: int) -> State:
        """The state before the first character."""
        return State.zeros(self.settings, streams)

    def place_state(self, state: State) -> State:
        """A state of NumPy arrays, put where this engine keeps its own."""
        return state

    def whole_state(self, state: State) -> State:
        """A state that a step has left, of all streams, where several processes have some each."""
        return state

    def surprisal(self, inputs: Array, targets: Array, state: State) -> Surprisal:
        """-ln p and the rank of each target."""
        logits, after = self.logits(inputs, state)
        return Surprisal(nats=surprisal(logits, targets), ranks=ranks(logits, targets), state=after)

    def generate(
        self,
        last: Array,
        state: State,
        length: int,
        sampling: SamplingSettings | Sequence[SamplingSettings],
        seeds: Array,
        start: int | Array,
        forbidden: tuple[int, ...] = (),
        restriction: Restriction | None = None,
    ) -> tuple[Array, State]:
        """Draw `length` ids for each of B streams, feeding each back.

        `last` (B,) int32 is the character to read first, `seeds` (B,) uint64 the seed of
        each stream, `start` how many characters were drawn before: drawing 10 and then 10
        more equals drawing 20. `sampling` and `start` are for all streams, or one for each.
        What a stream draws does not depend on the others. A `restriction` says what each may
        draw, and gets the states that its tables come to. Returns (length, B) int32 ids and the
        state before the last of them is read.
        """
        drawn = np.empty((length, len(last)), np.int32)
        for n in range(length):
            logits, state = self.logits(last[None], state)
            masks = restriction.masks(n) if restriction else None
            uniforms = uniform(seeds, start + n)
            last = drawn[n] = draw(logits[0], sampling, uniforms, forbidden, masks)
            if restriction and masks:
                restriction.move(n, last, masks)
        return drawn, state
