"""Contestants run in turns, so that a drift of the machine's speed affects all of them alike.

Each library has a process of its own, which sleeps while another is measured, so libraries
share neither threads nor memory nor environment. In every round each contestant works for the
same short time, in an order that rotates. A ratio is taken within a round; the median over
all rounds counts.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shapes import Shape

Work = Callable[[], float]
"""Does some work, waits until it is done, and returns how many characters it processed."""

Rates = dict[str, list[float]]
"""Characters (or operations) per second of each contestant, one for each round."""

LONG = 0.3  # seconds; a step that takes this long needs no untimed one before it to warm the caches
MEGABYTE = 1e6


class AbsentError(Exception):
    """Why a contestant cannot take part here."""


class Worker:
    """A process with one library that measures its contestants on request.

    `library` is a module in this folder, or `module:part`; its function
    `prepare(contestant, task, shape, threads)` returns Work or raises AbsentError.
    """

    def __init__(self, library: str, threads: int) -> None:
        here, there = multiprocessing.Pipe()
        self._pipe = here
        os.environ.update(_environment(threads))
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(there, library, threads), daemon=True
        )
        self._process.start()
        there.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def prepare(self, contestant: str, task: str, shape: Shape) -> None:
        """Build a contestant and run it once; AbsentError if that fails."""
        self._ask("prepare", contestant, task, shape)

    def forget(self) -> None:
        """Drop all contestants and free their memory."""
        self._ask("forget")

    def rate(self, contestant: str, seconds: float) -> float:
        """Characters per second, measured over at least `seconds`."""
        return self._ask("rate", contestant, seconds)

    def peak_megabytes(self) -> float:
        """Peak memory of the process so far, including Python."""
        return self._ask("peak_megabytes")

    def _ask(self, *request: object) -> Any:
        try:
            self._pipe.send(request)
            kind, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise AbsentError("its process ended") from None
        if kind == "absent":
            raise AbsentError(answer)
        return answer


def compete(
    workers: Mapping[str, Worker],
    contestants: Mapping[str, str],
    task: str,
    shape: Shape,
    *,
    rounds: int,
    seconds: float,
    limit: float,
) -> tuple[Rates, dict[str, str]]:
    """The rates of all contestants (name to library), and why some are absent.

    Except for the first two, no round begins after `limit` seconds.
    """
    rates: Rates = {}
    absent: dict[str, str] = {}
    for name, library in contestants.items():
        try:
            workers[library].prepare(name, task, shape)
            rates[name] = []
        except AbsentError as reason:
            absent[name] = str(reason)
    order = list(rates)
    start = time.monotonic()
    for done in range(rounds):
        if done >= 2 and time.monotonic() - start > limit:
            break
        for name in order:
            rates[name].append(workers[contestants[name]].rate(name, seconds))
        order = order[1:] + order[:1]
    for library in {contestants[name] for name in rates}:
        workers[library].forget()
    return rates, absent


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Our rate divided by theirs: the median over rounds.

    >>> ratio([2, 9, 4], [1, 3, 2])
    2.0
    """
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _environment(threads: int) -> dict[str, str]:
    """Environment variables that libraries read when imported, so that all use the same cores."""
    count = str(threads)
    return {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": "1",  # NumPy, which is not measured
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _serve(pipe: Connection, library: str, threads: int) -> None:
    """The loop of the worker's process: answer requests until the pipe is closed."""
    if hasattr(os, "sched_setaffinity"):  # XLA starts as many threads as there are usable cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    prepared: dict[str, Work] = {}
    while True:
        try:
            request, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = None
            if request == "prepare":
                contestant, task, shape = arguments
                work = _load(library)(contestant, task, shape, threads)
                work()
                prepared[contestant] = work
            elif request == "forget":
                prepared.clear()
            elif request == "rate":
                contestant, seconds = arguments
                answer = _rate(prepared[contestant], seconds)
            else:
                answer = peak_megabytes()
            pipe.send(("answer", answer))
        except ModuleNotFoundError as error:
            pipe.send(("absent", f"{error.name} is not installed"))
        except AbsentError as reason:
            pipe.send(("absent", str(reason)))
        except Exception as error:  # a peer that fails counts as absent, with its message
            message = " ".join(f"{type(error).__name__}: {error}".split())
            pipe.send(("absent", message[:160]))


def _load(library: str) -> Callable[[str, str, Shape, int], Work]:
    from importlib import import_module

    module, _, part = library.partition(":")
    return getattr(import_module(module), f"prepare_{part}" if part else "prepare")


def _rate(work: Work, seconds: float) -> float:
    start = time.perf_counter()
    characters = work()
    passed = time.perf_counter() - start
    if passed < LONG:  # that one only refilled the caches, which other processes used meanwhile
        start, characters, passed = time.perf_counter(), 0.0, 0.0
    while passed < seconds or not characters:
        characters += work()
        passed = time.perf_counter() - start
    return characters / passed


def peak_megabytes() -> float:
    """Peak memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, ru_maxrss starts at the value of the parent process
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / MEGABYTE
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE
