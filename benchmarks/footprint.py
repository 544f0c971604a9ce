"""Costs other than speed: memory, start-up time and disk space.

Every figure is that of a fresh process. A command is timed from before its process starts
until it has ended; commands run in turns, and the median counts.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any

from contest import MEGABYTE, AbsentError, Worker
from shapes import EXACT, FAST, GENERATE, KERAS, LARGE, LIBRARIES, ONE_LARGE, TORCH, TRAIN

Costs = dict[str, dict[str, Any]]
"""Name -> value and unit."""

IMPORT_LIMIT, GENERATE_LIMIT = 0.15, 0.3  # seconds: what this project requires of itself

TIMED_IMPORT = """
import time
start = time.perf_counter()
{}
print(time.perf_counter() - start)
"""


def memory(threads: int, *, alone: bool) -> Costs:
    """Peak memory of a process that trains and of one that generates."""
    costs: Costs = {}
    for task, shape in ((TRAIN, LARGE), (GENERATE, ONE_LARGE)):
        for name in (FAST, EXACT) if alone else (FAST, EXACT, TORCH, KERAS):
            try:
                with Worker(LIBRARIES[name], threads) as worker:
                    worker.prepare(name, task, shape)
                    worker.rate(name, 0.2)
                    megabytes = worker.peak_megabytes()
            except AbsentError:
                continue
            key = f"peak memory of {task}, {shape}: {name}"
            costs[key] = {"value": megabytes, "unit": "MB"}
    return costs


def waiting(rounds: int, *, alone: bool) -> Costs:
    """Seconds that a command takes in all, and seconds that an import takes in a process."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.safetensors"
        _save_model(model)
        program = [sys.executable, "-m", "charloom"]
        commands = {
            "an empty Python program": [sys.executable, "-c", "pass"],
            "charloom --version": [*program, "--version"],
            "charloom generate, 10 characters": [
                *program,
                *("generate", str(model), "--length", "10"),
            ],
            "charloom demo": [*program, "demo"],
        }
        imports = {
            "import charloom": "import charloom",
            "all public names of charloom": "from charloom import *",
        }
        if not alone:
            imports |= {f"import {peer}": f"import {peer}" for peer in ("torch", "keras")}
        measures: dict[str, Callable[[], float | None]] = {}
        for name, command in commands.items():
            measures[f"seconds of a whole process: {name}"] = lambda c=command: _whole(c)
        for name, code in imports.items():
            measures[f"seconds of an import: {name}"] = lambda c=code: _import(c)
        seconds: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name in list(measures):
                passed = measures[name]()
                if passed is None:  # it is not installed, or fails
                    del measures[name]
                else:
                    seconds.setdefault(name, []).append(passed)
    return {
        name: {"value": statistics.median(all_of_it), "unit": "s"}
        for name, all_of_it in seconds.items()
    }


def bounds(costs: Costs) -> list[dict[str, Any]]:
    """The upper limits, each with what was measured."""
    limits = {
        "seconds of an import: import charloom": IMPORT_LIMIT,
        "seconds of a whole process: charloom generate, 10 characters": GENERATE_LIMIT,
    }
    return [
        {"name": name, "limit": limit, **costs[name]}
        for name, limit in limits.items()
        if name in costs
    ]


def _save_model(path: Path) -> None:
    from charloom.engines.weights import initial_weights
    from charloom.model.model import Model
    from charloom.settings import ModelSettings
    from charloom.text.vocabulary import Vocabulary

    settings = ModelSettings()
    vocabulary = Vocabulary.of("abcdefghijklmnopqrstuvwxyz .,\n")
    weights = initial_weights(settings, vocabulary.size, seed=0)
    Model(settings, vocabulary, weights).save(path)


def _whole(command: list[str]) -> float | None:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    return None if done.returncode else time.perf_counter() - start


def _import(code: str) -> float | None:
    program = [sys.executable, "-c", TIMED_IMPORT.format(code)]
    done = subprocess.run(program, capture_output=True, text=True)
    return None if done.returncode else float(done.stdout.split()[-1])


def installed() -> Costs:
    """Megabytes on disk of a package with all its dependencies."""
    costs: Costs = {}
    for name, packages in {
        "charloom": ["charloom"],
        "PyTorch": ["torch"],
        "Keras on JAX": ["keras", "jax"],
    }.items():
        if all(util.find_spec(package) for package in packages):
            size = sum(_size(package) for package in _closure(packages))
            key = f"installed with all that it needs: {name}"
            costs[key] = {"value": size / MEGABYTE, "unit": "MB"}
    return costs


OWN_NEEDS = ("numpy", "safetensors", "pydantic", "typer", "rich")  # as in pyproject.toml


def _closure(packages: list[str]) -> set[str]:
    """The packages with all their dependencies, without extras."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            if name != "charloom":
                continue  # a dependency on other platforms or versions only
            needed = list(OWN_NEEDS)  # charloom runs from a source tree
        found.add(name)
        waiting += [re.split(r"[^\w.-]", need)[0] for need in needed if "extra ==" not in need]
    return found


def _size(package: str) -> int:
    """Bytes of a package's files without .pyc; works for charloom in a source tree, too."""
    spec = util.find_spec(package) if package == "charloom" else None
    if spec and spec.submodule_search_locations:
        folders = (Path(place) for place in spec.submodule_search_locations)
        files = [file for folder in folders for file in folder.rglob("*")]
    else:
        files = [Path(str(file.locate())) for file in metadata.files(package) or ()]
    kept = (file for file in files if file.is_file() and file.suffix != ".pyc")
    return sum(file.stat().st_size for file in kept)
