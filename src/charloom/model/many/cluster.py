"""Many files on a Ray cluster, through Ray Data: actors load the model once, and write parts.

The folder has to be one that all machines see, at the same path, and so have the files and
the model. Ray starts an actor again whose machine is lost, and gives its files to others; a
part that is written twice is the same part.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from ...errors import CharloomError, SettingsError, shown
from .work import FileOutcome, Work

_BLOCKS = 1000  # pieces that the files are handed out in, at most


def work_on_cluster(work: Work, inputs: list[str]) -> Iterator[FileOutcome]:
    """Yield what came of each input, as it is done.

    Raises SettingsError if Ray is not installed, its cluster is not there, or has too few CPUs
    for the workers, and what a worker raises: OutputError if a part cannot be written, and others.
    """
    ray = _ray()
    workers = min(work.many.processes, len(inputs))
    started = _connect(ray, work.many.address, workers)
    try:
        _check_slots(ray, workers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Ray's own settings, which it reads here
            context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # else it tells how it works
        rows = (
            ray.data.from_items(inputs, override_num_blocks=min(len(inputs), _BLOCKS))
            .map_batches(
                _Actor,
                fn_constructor_args=(work,),
                compute=ray.data.ActorPoolStrategy(size=workers),
                batch_size=1,
                num_cpus=1,
            )
            .iter_rows()
        )
        for row in rows:
            yield FileOutcome(**json.loads(row["outcome"]))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, CharloomError):
            raise error.cause from None
        raise
    finally:
        if started:
            ray.shutdown()


class _Actor:
    """One worker: a model, and the inputs that it is given."""

    def __init__(self, work: Callable[[], Callable[[str], FileOutcome]]) -> None:
        self._work = work
        self._answer: Callable[[str], FileOutcome] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What came of each input of a batch, as JSON."""
        self._answer = self._answer or self._work()  # here, so that its errors are those of a task
        return {"outcome": [json.dumps(asdict(self._answer(str(i)))) for i in batch["item"]]}


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to others
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.data  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        if error.name not in ("ray", "pyarrow", "pandas"):
            raise
        raise SettingsError(
            "cluster: ray needs Ray, which is not installed; pip install 'charloom[ray]'"
        ) from None
    return ray


def _connect(ray: Any, address: str | None, workers: int) -> bool:
    """Join the cluster at an address, or start one here; whether there was none before."""
    if ray.is_initialized():
        return False
    how: dict[str, Any] = {"address": address}
    if address is None:  # one of its own, whatever RAY_ADDRESS says
        how = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    try:
        if address is not None and address != "auto":  # Ray itself would try for minutes
            host, _, port = address.rpartition("://")[2].rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(**how, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(
            f"address: {address} was given, and no Ray cluster answers there "
            f"({shown(error)}); give auto or HOST:PORT of one that runs"
        ) from None
    return True


def _check_slots(ray: Any, workers: int) -> None:
    """SettingsError if the cluster has too few CPUs, where Ray Data would wait for ever."""
    free = int(ray.available_resources().get("CPU", 0))
    if free < workers:
        raise SettingsError(
            f"workers: {workers} were asked for, each of which needs a free CPU of the cluster, "
            f"and it has {free}; give at most {free}, wait for it to be free, or add machines"
        )
