"""How much faster two processes train than one, each with one thread, in turns on this machine.

    python benchmarks/processes.py --hidden-size 512 --rounds 3

A round is a run of one process and a run of two over the same batches, H units in two layers,
without dropout. Printed are characters a second of the median step, the efficiency (of two
processes: half of the ratio), and the share of a step that the all-reduce takes.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import numpy as np

V, T = 65, 64


def measure(hidden_size: int, streams: int, steps: int) -> None:
    """One process of a run; process 0 prints its numbers as JSON."""
    from charloom.engines.base import StepSettings
    from charloom.engines.joining import group_of
    from charloom.engines.selection import open_engine
    from charloom.engines.weights import initial_weights
    from charloom.settings import ModelSettings

    settings = ModelSettings(hidden_size=hidden_size, num_layers=2)
    group = group_of("torch")
    weights = initial_weights(settings, V, seed=0)
    engine = open_engine(settings, V, weights, engine="torch", device="cpu", threads=1, group=group)
    waited = []
    if group.size > 1:
        add = group.add  # type: ignore[attr-defined]

        def timed(tensors: list) -> list:
            start = time.perf_counter()
            found = add(tensors)
            waited.append(time.perf_counter() - start)
            return found

        group.add = timed  # type: ignore[attr-defined]
    ids = np.random.default_rng(0).integers(V, size=(T + 1, streams), dtype=np.int32)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        state = engine.zero_state(streams)
        step = engine.train_step(ids[:-1], ids[1:], state, StepSettings(learning_rate=1e-4))
        assert np.isfinite(step.nats)
        seconds.append(time.perf_counter() - start)
    if group.leads:
        share = statistics.median(waited) / statistics.median(seconds) if waited else 0.0
        print(json.dumps({"seconds": statistics.median(seconds), "waited": share}))


def run(processes: int, options: argparse.Namespace) -> dict[str, float]:
    """A run of so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shape = [str(options.hidden_size), str(options.streams), str(options.steps)]
    command = [sys.executable, __file__, "--measure", *shape]
    group = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **group, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    printed = [process.communicate()[0] for process in started]
    return json.loads(printed[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hidden-size", type=int, default=512)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    for number in range(options.rounds):
        one, two = run(1, options), run(2, options)
        characters = T * options.streams
        efficiency = one["seconds"] / two["seconds"] / 2
        print(
            f"round {number + 1}: H{options.hidden_size} B{options.streams}: "
            f"1 process {characters / one['seconds']:,.0f} characters/s, "
            f"2 processes {characters / two['seconds']:,.0f}, efficiency {efficiency:.2f}, "
            f"all-reduce {two['waited']:.0%} of a step",
            flush=True,
        )


if __name__ == "__main__":
    main()
