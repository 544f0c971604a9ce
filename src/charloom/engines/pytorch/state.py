"""What stays on the device between two steps: the state, and the results of steps.

A number is copied to the host when it is read, and then with all those that wait: a run
that reads its losses once in a thousand steps waits for the device once in a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from ..base import Outcome, State, Step
from ..weights import Array

_ROWS = 1024  # steps whose results are copied to the host together


@dataclass(frozen=True, kw_only=True)
class TorchState(State):
    """A State whose arrays are float32 tensors on a device."""

    def select(self, streams: Array | slice) -> TorchState:
        """The state of some streams, by their indices or a slice."""
        if not isinstance(streams, slice):
            streams = torch.as_tensor(streams, device=self.hidden.device)  # type: ignore
        return TorchState(hidden=self.hidden[:, streams], cell=self.cell[:, streams])

    def repeat(self, count: int) -> TorchState:
        """Each stream `count` times, side by side."""
        return TorchState(
            hidden=self.hidden.repeat_interleave(count, dim=1),
            cell=self.cell.repeat_interleave(count, dim=1),
        )

    def beside(self, *others: State) -> TorchState:
        """The streams of this state, then those of the others."""
        states = (self, *others)
        return TorchState(
            hidden=torch.cat([state.hidden for state in states], dim=1),
            cell=torch.cat([state.cell for state in states], dim=1),
        )

    def cleared(self, stream: int) -> TorchState:
        """One stream as before the first character, the others as they are."""
        hidden, cell = self.hidden.clone(), self.cell.clone()
        hidden[:, stream], cell[:, stream] = 0, 0
        return TorchState(hidden=hidden, cell=cell)

    def numpy(self) -> State:
        """A copy in NumPy."""
        both = torch.stack([self.hidden, self.cell]).cpu().numpy()
        return State(hidden=both[0].copy(), cell=both[1].copy())


def on_device(state: State, device: Any) -> TorchState:
    """A state as tensors; one that already is comes back as it is."""
    if isinstance(state, TorchState):
        return state
    hidden, cell = (
        torch.from_numpy(np.array(part, np.float32)).to(device)
        for part in (state.hidden, state.cell)
    )
    return TorchState(hidden=hidden, cell=cell)


class Results:
    """The nats and gradient norms of many steps, a row each, on a device."""

    def __init__(self, device: Any) -> None:
        self._rows = torch.empty(_ROWS, 2, device=device)
        self._filled = 0
        self._read = np.empty((0, 2), np.float32)

    @property
    def full(self) -> bool:
        """Whether there is no row left."""
        return self._filled == _ROWS

    def add(self, nats_and_norm: torch.Tensor) -> DeferredOutcome:
        """Keep the result (2,) of a step."""
        self._rows[self._filled] = nats_and_norm
        self._filled += 1
        return DeferredOutcome(self, self._filled - 1)

    def has_read(self, row: int) -> bool:
        """Whether this row is on the host."""
        return row < len(self._read)

    def row(self, row: int) -> Array:
        """(2,) one row; all that wait are copied to the host if it is not there yet."""
        if not self.has_read(row):
            self._read = self._rows[: self._filled].cpu().numpy()
        return self._read[row]


class DeferredOutcome(Outcome):
    """The numbers of one step, fetched when first read."""

    def __init__(self, results: Results, row: int) -> None:
        self._results, self._row = results, row

    @property
    def ready(self) -> bool:
        """Whether they are on the host."""
        return self._results.has_read(self._row)

    @property
    def nats(self) -> float:  # type: ignore[override]
        """Sum over the counted targets."""
        return float(self._results.row(self._row)[0])

    @property
    def gradient_norm(self) -> float:  # type: ignore[override]
        """Global norm of the gradient of the mean loss."""
        return float(self._results.row(self._row)[1])


class DeferredStep(Step):
    """A Step whose numbers are fetched when first read."""

    def __init__(self, outcome: DeferredOutcome, characters: int, state: TorchState) -> None:
        for name, value in (("_outcome", outcome), ("characters", characters), ("state", state)):
            object.__setattr__(self, name, value)

    @property
    def outcome(self) -> Outcome:
        """The numbers, without the state."""
        return self._outcome  # type: ignore[attr-defined]

    @property
    def nats(self) -> float:  # type: ignore[override]
        """Sum over the counted targets."""
        return self.outcome.nats

    @property
    def gradient_norm(self) -> float:  # type: ignore[override]
        """Global norm of the gradient of the mean loss."""
        return self.outcome.gradient_norm
