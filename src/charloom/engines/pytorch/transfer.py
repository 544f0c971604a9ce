"""One copy to the device for each step: a batch and its numbers, packed in one int32 array.

On CUDA it goes through pinned memory, of which there are a few pieces in turn. So the host
prepares the next batches while the device computes, and no more of them than there are pieces.
"""

from __future__ import annotations

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]

from ...text.batches import NOT_COUNTED
from ..base import StepSettings
from ..weights import Array

_PIECES = 8
_NUMBERS = 3


class Unpacked:
    """What a step reads, as views of the packed tensor on the device."""

    def __init__(self, packed: Tensor, shape: tuple[int, int]) -> None:
        size = shape[0] * shape[1]
        self.inputs = packed[:size].view(shape)
        self.targets = packed[size : 2 * size].view(shape)
        self.dropout_key = packed[-3]
        floats = packed[-2:].view(torch.float32)
        self.learning_rate, self.share = floats[0], floats[1]
        """`share` is 1 / counted targets, or 0 where none is counted."""


class Sender:
    """Packs steps and sends them to a device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pieces: dict[int, list[tuple[Tensor, torch.cuda.Event]]] = {}
        self._sent = 0

    @staticmethod
    def size(shape: tuple[int, int]) -> int:
        """Numbers in the packed tensor of a batch (T, B)."""
        return 2 * shape[0] * shape[1] + _NUMBERS

    def send(
        self,
        inputs: Array,
        targets: Array,
        settings: StepSettings,
        to: Tensor | None = None,
        of: int | None = None,
    ) -> tuple[Tensor, int]:
        """The packed tensor on the device, in `to` where that is given; counted targets.

        The loss is divided by `of`, where these are some of so many targets.
        """
        size = inputs.size
        packed, event = self._piece(self.size(inputs.shape))
        values = packed.numpy()
        values[:size] = inputs.ravel()
        values[size : 2 * size] = targets.ravel()
        counted = int(np.count_nonzero(values[size : 2 * size] != NOT_COUNTED))
        values[-3:-2].view(np.uint32)[0] = settings.dropout_key
        of = counted if of is None else of
        values[-2:].view(np.float32)[:] = settings.learning_rate, 1 / of if of else 0
        if to is not None:
            to.copy_(packed, non_blocking=True)
        else:
            to = packed.to(self._device, non_blocking=True)
        if event is not None:
            event.record()
        return to, counted

    def _piece(self, size: int) -> tuple[Tensor, torch.cuda.Event | None]:
        """Memory to pack in: on CUDA pinned, once the last copy out of it is done."""
        if self._device.type != "cuda":
            return torch.empty(size, dtype=torch.int32), None
        pieces = self._pieces.setdefault(size, [])
        if len(pieces) < _PIECES:
            memory = torch.empty(size, dtype=torch.int32, pin_memory=True)
            pieces.append((memory, torch.cuda.Event()))
            return pieces[-1]
        self._sent += 1
        piece = pieces[self._sent % _PIECES]
        piece[1].synchronize()
        return piece
