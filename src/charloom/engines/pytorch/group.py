"""A group of processes with torch.distributed: gloo on processors, NCCL between GPUs.

Between two checkpoints nothing passes between them but one sum a step, of the gradients and the
loss. Objects, such as a decision of process 0, are sent with gloo.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, distributed  # pyright: ignore[reportMissingImports]

from ...errors import GroupError
from ..group import Group

Value = TypeVar("Value")


class TorchGroup(Group):
    """The group of torch.distributed, which is joined already."""

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def same(self, value: Value) -> Value:
        """The value that process 0 has, in all of them."""
        box: list[Any] = [value if self.leads else None]
        with _others_there():
            distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def lead(self, work: Callable[[], Value]) -> Value | None:
        """What comes of work that process 0 alone does, and None in the others."""
        found = None
        if self.leads:
            try:
                found = work()
            except BaseException:
                self.same("failed")
                raise
        if self.same("done") == "failed":
            raise GroupError("process 0 could not begin; its message says why")
        return found

    def add(self, tensors: list[Tensor]) -> list[Tensor]:
        """The sum of each tensor over all processes, in one all-reduce."""
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _others_there():
            distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes in their order, in process 0; none in the others."""
        found: list[Any] | None = [None] * self.size if self.leads else None
        with _others_there():
            distributed.gather_object(value, found, dst=0)
        return found or []


@contextmanager
def _others_there():
    """GroupError where a process has died, which a broken connection tells of."""
    try:
        yield
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
        raise GroupError(
            f"another process of this run has ended ({first[:120]}); torchrun starts all of them "
            "again as often as it was told to, and the run goes on from its last checkpoint"
        ) from None


@cache
def joined() -> TorchGroup:
    """The group of this process, joined at the first call."""
    if not distributed.is_initialized():
        cuda = torch.cuda.is_available()
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        atexit.register(distributed.destroy_process_group)
    return TorchGroup()
