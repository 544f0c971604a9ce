"""Processes that work on many items, one each at a time, and are replaced when they die.

    items -> worker 1, worker 2, ... -> (item, result), in the order in which they are done

Each worker is a new process (spawned, so that no lock or thread is inherited) that prepares
once and then answers item by item. As many items are under way as there are workers, so
memory does not grow with their number. An item whose worker died is given to another worker;
one that three workers died of is given up.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from ..errors import CharloomError

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 3
"""Workers that an item is given to."""


@dataclass(frozen=True)
class Lost:
    """In place of a result: every worker that had the item died."""

    exit_code: int | None
    """Of the last one; negative for the number of a signal, as -9 for `kill -9`."""

    def __str__(self) -> str:
        code = self.exit_code
        how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
        return f"{ATTEMPTS} processes ended {how} while they worked on it"


def work_on(
    items: Iterable[Item],
    prepare: Callable[[], Callable[[Item], Result]],
    workers: int,
) -> Iterator[tuple[Item, Result | Lost]]:
    """Yield every item with its result, as they are done.

    `prepare` runs once in each worker; what it returns answers the items. Both, items and
    results are pickled. A CharloomError in a worker is raised here; another exception ends the
    worker.

    >>> import operator
    >>> from functools import partial
    >>> negatives = work_on([1, 2, 3], partial(partial, operator.neg), workers=2)
    >>> sorted(result for item, result in negatives)
    [-3, -2, -1]
    """
    source = iter(items)
    again: deque[tuple[Item, int]] = deque()
    running: list[_Worker[Item]] = []

    def supply() -> tuple[Item, int] | None:
        if again:
            return again.popleft()
        for item in source:
            return item, 0
        return None

    try:
        idle = supply()
        while running or idle:
            while idle and len(running) < workers:
                running.append(_Worker(prepare, *idle))
                idle = supply()
            ready = wait([worker.connection for worker in running])
            for worker in [w for w in running if w.connection in ready]:
                done = worker.item
                try:
                    result = worker.receive()
                except (EOFError, ConnectionError):
                    running.remove(worker)
                    code = worker.end()
                    if worker.attempts >= ATTEMPTS:
                        yield done, Lost(code)
                    else:
                        again.append((done, worker.attempts))
                    idle = idle or supply()
                    continue
                if idle is None:
                    idle = supply()
                if idle is None:
                    running.remove(worker)
                    worker.end()
                else:
                    worker.give(*idle)
                    idle = supply()
                yield done, result
    finally:
        for worker in running:
            worker.end(now=True)


class _Worker(Generic[Item]):
    """One process, and what it works on."""

    def __init__(self, prepare: Callable[[], Callable[[Item], Any]], item: Item, tried: int):
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, prepare), daemon=True)
        self._process.start()
        theirs.close()
        self.give(item, tried)

    def give(self, item: Item, tried: int) -> None:
        """Hand over the next item; one that died already is noticed when it is received from."""
        self.item, self.attempts = item, tried + 1
        with contextlib.suppress(ConnectionError):
            self.connection.send(item)

    def receive(self) -> Any:
        """The result; EOFError or ConnectionError if the process died."""
        kind, value = self.connection.recv()
        if kind == "error":
            raise value
        return value

    def end(self, *, now: bool = False) -> int | None:
        """End the process, and its exit code."""
        self.connection.close()
        if now:
            self._process.kill()
        self._process.join()
        return self._process.exitcode


def _serve(connection: Connection, prepare: Callable[[], Callable[[Any], Any]]) -> None:
    """Answer items until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            answer = prepare()
            while True:
                item = connection.recv()
                connection.send(("result", answer(item)))
        except CharloomError as error:
            connection.send(("error", error))
