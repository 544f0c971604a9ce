"""One network trained by a group of processes, each with some of the streams of every batch.

A step's loss is the mean over all targets of the batch, whoever has them: each process divides
its sum by the number of them all, and the sums of gradients are the gradient. (The mean of
means, as of DistributedDataParallel, is another one where processes have unequal counts.)
Dropout is a function of the stream's place in the whole batch, so the masks are those of one
process; only the order in which numbers are added differs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]

from ...settings import ModelSettings
from ...text.batches import NOT_COUNTED
from ..base import State, Step, StepSettings
from ..weights import Array, Weights
from .engine import TorchEngine
from .group import TorchGroup
from .random import dropout_mask
from .state import DeferredStep, TorchState, on_device
from .transfer import Unpacked


@dataclass(frozen=True, kw_only=True)
class OwnState(TorchState):
    """The state of the streams of one process, of those of a batch."""


class SharedEngine(TorchEngine):
    """A TorchEngine whose steps are taken by all processes of a group at once.

    `train_step` is given the whole batch in each of them. Everything else it does by itself.
    """

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary_size: int,
        weights: Weights,
        group: TorchGroup,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 0,
    ) -> None:
        super().__init__(
            settings,
            vocabulary_size,
            weights,
            device=_own(device),
            precision=precision,
            threads=threads,
            graph=False,  # an all-reduce within a graph is untried
        )
        self._group = group
        self._batch = (0, slice(0, 0))  # streams of the whole batch, and which are ours

    def train_step(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> Step:
        """A step of the whole batch; the state that it leaves is that of this process's streams."""
        streams = inputs.shape[1]
        own = self._group.share(streams)
        self._batch = (streams, own)
        if not isinstance(state, OwnState):
            state = on_device(state, self.device).select(own)
        counted = int(np.count_nonzero(targets != NOT_COUNTED))
        inputs, targets = inputs[:, own], targets[:, own]
        step = self._step_of(inputs, targets, state, settings, counted)
        after = OwnState(hidden=step.state.hidden, cell=step.state.cell)
        return DeferredStep(step.outcome, counted, after)  # pyright: ignore[reportArgumentType]

    def whole_state(self, state: State) -> State:
        """The state of all streams in process 0; in the others, of theirs. All have to ask."""
        if not isinstance(state, OwnState):
            return state
        parts = self._group.gather(state.numpy())
        if not parts:
            return state.numpy()
        return State(
            hidden=np.concatenate([part.hidden for part in parts], axis=1),
            cell=np.concatenate([part.cell for part in parts], axis=1),
        )

    def _backward(
        self, given: Unpacked, hidden: Tensor, cell: Tensor, scale: Tensor, settings: StepSettings
    ) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        if given.inputs.shape[1]:
            nats, gradients, hidden, cell = super()._backward(given, hidden, cell, scale, settings)
        else:  # there are fewer streams than processes
            gradients = [torch.zeros_like(weight) for weight in self._weights.values()]
            nats = torch.zeros((), device=self.device)
        nats, *gradients = self._group.add([nats, *gradients])
        return nats, gradients, hidden, cell

    def _mask(self, key: Tensor, layer: int, shape: tuple[int, ...], dropout: float) -> Tensor:
        streams, own = self._batch
        return dropout_mask(key, layer, shape, dropout, first=own.start, streams=streams)


def _own(device: str) -> str:
    """The GPU of this process, of those of its machine, where a GPU was asked for."""
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return device
