"""How time and memory grow with H, L, B, T, V, threads and the size of the corpus.

One parameter varies at a time, starting from one shape. Each point has a process of its own,
so that peak memory is measured for that point alone. The bars start at zero and are linear.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from contest import MEGABYTE, AbsentError, Worker
from report import table
from shapes import EXACT, FAST, GENERATE, TRAIN, Shape

BASE = Shape(name="base", V=65, H=256, L=2, B=32, T=64)
VALUES = {
    "H": (16, 64, 128, 256, 512, 1024),
    "L": (1, 2, 3, 4),
    "B": (1, 8, 32, 128, 512),
    "T": (8, 32, 64, 256, 1024),
    "V": (16, 65, 256, 1024, 4096),
}
CORPUS = (1, 4, 16, 64)  # megabytes
WIDTH = 24  # characters of the longest bar

Points = dict[str, list[dict[str, float]]]
"""Axis -> its points, each with the value and the measurements."""


def measure(threads: int, cores: int, *, quick: bool) -> Points:
    """Measure along all axes; with twice as many threads as cores it may be slow, but not stall."""
    seconds = 0.05 if quick else 0.4
    points: Points = {}
    for axis, values in VALUES.items():
        chosen = values[1:-1] if quick else values
        points[axis] = [
            {"value": value, **_point(replace(BASE, **{axis: value}), threads, seconds)}
            for value in chosen
        ]
    counts = sorted({1, cores, 2 * cores} | {2**n for n in range(cores.bit_length())})
    points["threads"] = [{"value": n, **_point(BASE, n, seconds)} for n in counts]
    points["corpus"] = [_corpus(size) for size in (CORPUS[:2] if quick else CORPUS)]
    return points


def _point(shape: Shape, threads: int, seconds: float) -> dict[str, float]:
    measured: dict[str, float] = {}
    with Worker("ours", threads) as worker:
        for task in (TRAIN, GENERATE):
            one = replace(shape, B=1, T=1) if task == GENERATE else shape
            for name in (FAST, EXACT):
                try:
                    worker.prepare(name, task, one)
                except AbsentError:
                    continue
                measured[task] = worker.rate(name, seconds)
                break
            if task == TRAIN:
                measured["megabytes"] = worker.peak_megabytes()
                measured["operations"] = shape.training_operations
            worker.forget()
    return measured


def _corpus(megabytes: int) -> dict[str, float]:
    from corpus_speed import ALPHABETS, measure, write_text

    from charloom.settings import TextSettings

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        write_text(path, ALPHABETS["mixed UTF-8"], int(megabytes * MEGABYTE))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, _, peak = pool.apply(measure, (path, TextSettings()))
    return {"value": megabytes, "seconds": seconds, "megabytes": peak}


def charts(points: Points) -> Iterator[str]:
    """A table for each axis, with bars for time and memory."""
    for axis, along in points.items():
        yield _corpus_chart(along) if axis == "corpus" else _chart(axis, along)


def _chart(axis: str, along: list[dict[str, float]]) -> str:
    micros = [1e6 / point[TRAIN] for point in along]
    memory = [point["megabytes"] for point in along]
    rows = [[axis, "us/char", "trained", "GFLOP/s", "MB", "peak", "generated, us/char"]]
    for point, each, bar, held in zip(along, micros, _bars(micros), _bars(memory), strict=True):
        gigaflops = point["operations"] * point[TRAIN] / 1e9
        megabytes, generated = point["megabytes"], 1e6 / point[GENERATE]
        rows.append(
            [
                *(f"{point['value']:g}", f"{each:.3g}", bar, f"{gigaflops:.0f}"),
                *(f"{megabytes:.0f}", held, f"{generated:.3g}"),
            ]
        )
    return table(rows)


def _corpus_chart(along: list[dict[str, float]]) -> str:
    seconds = [point["seconds"] for point in along]
    rows = [["corpus, MB", "seconds", "read", "MB/s", "MB held"]]
    for point, bar in zip(along, _bars(seconds), strict=True):
        rate = point["value"] / point["seconds"]
        cells = [f"{point['seconds']:.2f}", bar, f"{rate:.0f}", f"{point['megabytes']:.0f}"]
        rows.append([f"{point['value']:g}", *cells])
    return table(rows)


def _bars(values: list[float]) -> list[str]:
    return [("#" * round(WIDTH * value / max(values))).ljust(WIDTH) for value in values]
