"""A group of processes with torch.distributed: gloo on processors, NCCL between GPUs.

Between two checkpoints nothing passes between them but one sum a step, of the gradients and the
loss. Objects, such as a decision of process 0, are sent with gloo.
"""

from __future__ import annotations

import atexit
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, distributed  # pyright: ignore[reportMissingImports]

from ...errors import GroupError
from ..group import Group

Value = TypeVar("Value")

_PATIENCE = 300.0  # seconds until all processes must have come


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
def _others_there() -> Iterator[None]:
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
        rendezvous = distributed.rendezvous  # pyright: ignore[reportPrivateImportUsage]
        store, rank, size = next(iter(rendezvous("env://")))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        with _others_there():
            prefixed = distributed.PrefixStore  # pyright: ignore[reportPrivateImportUsage]
            named = prefixed(_agreed_name(store, rank, size), store)
            distributed.init_process_group(backend, store=named, rank=rank, world_size=size)
        atexit.register(distributed.destroy_process_group)
    return TorchGroup()


def _agreed_name(store: Any, rank: int, size: int) -> str:
    """A name that these processes agree on, and that none of an earlier start has used.

    torchrun keeps its store when it starts processes again, with the addresses of those that
    died, which gloo would try to reach. (How often it has, it counts for each machine.) So
    process 0 draws a name, and answers each of the others, who ask by names of their own.
    """
    own = secrets.token_hex(8)
    if rank:
        store.set(f"asks/{rank}", own)
        name = store.get(f"answer/{own}").decode()
        store.set(f"has/{name}/{rank}", own)
        return name
    waiting, until = set(range(1, size)), time.monotonic() + _PATIENCE
    while waiting:
        for other in sorted(waiting):
            if store.check([f"asks/{other}"]):  # perhaps one of before: it asks again
                store.set(f"answer/{store.get(f'asks/{other}').decode()}", own)
            if store.check([f"has/{own}/{other}"]):
                waiting.discard(other)
        if time.monotonic() > until:
            raise RuntimeError(f"process {min(waiting)} has not come")
        time.sleep(0.02)
    return own
