"""A step of the optimizer as one CUDA graph: launched as a whole, with no time between kernels.

A small layer's kernels take a few microseconds each, less than it takes to launch them. A
graph has the kernels of a step and the addresses that they use: what a step reads is copied
to where the graph expects it, and what it leaves is copied from there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]


class CapturedStep:
    """A function of tensors on a CUDA device, captured once and replayed."""

    def __init__(
        self,
        step: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]],
        packed_size: int,
        state_shape: tuple[int, int, int],
        device: torch.device,
    ) -> None:
        """Capture `step`, which must have run before; nothing is computed."""
        self.packed = torch.zeros(packed_size, dtype=torch.int32, device=device)
        """What the next `replay` reads."""
        self._hidden, self._cell = torch.zeros((2, *state_shape), device=device)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device), torch.cuda.graph(self._graph):
            result, hidden, cell = step(self.packed, self._hidden, self._cell)
            self._result, self._after = result, torch.stack([hidden, cell])

    def replay(self, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The step's results for `packed` and this state; the state's are copies."""
        self._hidden.copy_(hidden)
        self._cell.copy_(cell)
        self._graph.replay()
        after = self._after.clone()
        return self._result, after[0], after[1]
