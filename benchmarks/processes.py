"""What it costs to train in two processes, and how much of that is the machine.

    python benchmarks/processes.py --hidden-size 512 --rounds 9

Two processes of one thread each stay alive and work in turns, H units in two layers, without
dropout. A round has a few steps of each turn, and a ratio is taken within a round:

    whole         one process alone with B streams, the other one asleep
    half          one process alone with half of them
    apart         both at once with half of them each, and nothing between them
    together      both as one group: half of them each, and an all-reduce in every step
    pinned        the same, each on a core of its own; in the other turns they may move

    efficiency    whole / (2 together): 1 where a second process makes it twice as fast
    ceiling       whole / (2 apart): the same without communication, so the machine's own limit
    of ceiling    apart / together: what is ours to lose

    smaller batch whole / (2 half), and
    both cores    half / apart: caches, memory and clock that are shared; the product is the ceiling
    in step       apart / (the slower of both, step by step): what is left of 1 if each waits for
                  the slower one
    all-reduce    share of a step of `together`, in the process that comes last and does not wait
    waiting       share of a step of `together` that the other process waits for it
    work          processor time of a step, `apart` / `together`; other programs change it little
    even          the same of the processes of `together`, the lesser / the greater
    pinned        together / pinned: above 1 where cores of their own are better
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
from typing import Any

import numpy as np

V = 65
TURNS = ("whole", "half", "apart", "together", "pinned")
Answers = dict[str, list[dict[str, list[float]]]]


def work(rank: int, options: argparse.Namespace) -> None:
    """One process: for each line of standard input, which names a turn, it takes some steps.

    It answers in JSON: the seconds of each step, its processor time, and those of each all-reduce.
    """
    import torch  # pyright: ignore[reportMissingImports]

    from charloom.engines.base import StepSettings
    from charloom.engines.joining import group_of
    from charloom.engines.selection import open_engine
    from charloom.engines.weights import initial_weights
    from charloom.settings import ModelSettings

    cores = os.sched_getaffinity(0)
    own = {sorted(cores)[rank]}
    settings = ModelSettings(hidden_size=options.hidden_size, num_layers=2)
    weights = initial_weights(settings, V, seed=0)
    group: Any = group_of("torch")
    alone, shared = (
        open_engine(settings, V, weights, engine="torch", device="cpu", threads=1, **given)
        for given in ({}, {"group": group})
    )
    assert torch.get_num_threads() == 1
    add, reduced = group.add, []

    def timed(tensors: list[Any]) -> list[Any]:
        start = time.perf_counter()
        found = add(tensors)
        reduced.append(time.perf_counter() - start)
        return found

    group.add = timed
    shape = (options.sequence_length + 1, options.streams)
    ids = np.random.default_rng(0).integers(V, size=shape, dtype=np.int32)
    for line in sys.stdin:
        turn = line.strip()
        os.sched_setaffinity(0, own if turn == "pinned" else cores)
        engine = shared if turn in ("together", "pinned") else alone
        streams = options.streams // 2 if turn in ("half", "apart") else options.streams
        state = engine.zero_state(streams)
        seconds, worked = [], []
        reduced.clear()
        for _ in range(options.steps):
            start, began = time.perf_counter(), time.process_time()
            step = engine.train_step(
                ids[:-1, :streams], ids[1:, :streams], state, StepSettings(learning_rate=1e-4)
            )
            assert np.isfinite(step.nats)
            state = step.state
            seconds.append(time.perf_counter() - start)
            worked.append(time.process_time() - began)
        print(json.dumps({"seconds": seconds, "worked": worked, "reduced": reduced}), flush=True)


def start(rank: int, port: int) -> subprocess.Popen[str]:
    """A process of the group."""
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, *sys.argv, "--work", str(rank)],
        env={**os.environ, **group, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def take(turn: str, processes: list[Any]) -> list[dict[str, list[float]]]:
    """The answers of those processes that a turn is of."""
    working = processes[: 1 if turn in ("whole", "half") else 2]
    for process in working:
        process.stdin.write(f"{turn}\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in working]


def ratios(found: Answers, characters: int) -> dict[str, float]:
    """Those of a round."""
    seconds = {
        turn: statistics.median(s for one in answers for s in one["seconds"])
        for turn, answers in found.items()
    }
    worked = {
        turn: [statistics.median(one["worked"]) for one in answers]
        for turn, answers in found.items()
    }
    slower = statistics.median(map(max, *(one["seconds"] for one in found["apart"])))
    reduced = [*zip(*(one["reduced"] for one in found["together"]), strict=True)]
    return {
        "efficiency": seconds["whole"] / seconds["together"] / 2,
        "ceiling": seconds["whole"] / seconds["apart"] / 2,
        "of ceiling": seconds["apart"] / seconds["together"],
        "smaller batch": seconds["whole"] / seconds["half"] / 2,
        "both cores": seconds["half"] / seconds["apart"],
        "in step": seconds["apart"] / slower,
        "all-reduce": statistics.median(map(min, reduced)) / seconds["together"],
        "waiting": statistics.median(max(r) - min(r) for r in reduced) / seconds["together"],
        "work": sum(worked["apart"]) / sum(worked["together"]),
        "even": min(worked["together"]) / max(worked["together"]),
        "pinned": seconds["together"] / seconds["pinned"],
        "characters/s, whole": characters / seconds["whole"],
        "characters/s, together": characters / seconds["together"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hidden-size", type=int, default=512)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--sequence-length", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3, help="of each turn in a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        work(options.work, options)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [start(rank, port) for rank in range(2)]
    try:
        for turn in TURNS:  # the first steps bring memory and caches up
            take(turn, processes)
        rounds = []
        for number in range(options.rounds):
            order = [TURNS[(number + n) % len(TURNS)] for n in range(len(TURNS))]
            found = {turn: take(turn, processes) for turn in order}
            rounds.append(ratios(found, options.streams * options.sequence_length))
            one = rounds[-1]
            print(
                f"round {number + 1}: efficiency {one['efficiency']:.2f}, ceiling "
                f"{one['ceiling']:.2f}, of ceiling {one['of ceiling']:.2f}",
                flush=True,
            )
    finally:
        for process in processes:
            process.kill()
    load = os.getloadavg()[0]
    shape = f"H{options.hidden_size} B{options.streams} T{options.sequence_length}"
    print(f"\n{shape}, {options.rounds} rounds, load {load:.1f}")
    print(f"{'':24}{'median':>10}{'quartiles':>20}")
    for name in rounds[0]:
        low, median, high = statistics.quantiles([one[name] for one in rounds], n=4)
        form = ",.0f" if median > 100 else ".3f"
        print(f"{name:24}{median:>10{form}}{f'{low:{form}} to {high:{form}}':>20}")


if __name__ == "__main__":
    main()
