"""The speed of charloom beside other libraries and beside the peak of the processor.

    make bench                                    # or: .venv/bin/python benchmarks/bench.py
    python benchmarks/bench.py --quick            # in under 90 seconds
    python benchmarks/bench.py --scaling --document docs/measurements.md
    python benchmarks/bench.py --json new.json    # results as a file
    python benchmarks/bench.py --compare old.json new.json

Peers that are installed take part (`pip install charloom[peers]`), and so does oneDNN's own
LSTM, given its library (`pip install onednn-devel-cpu-gomp`, or DNNLROOT) and a C++ compiler.
All run on the same cores, in turns; what counts is the ratio of our rate to theirs within a
round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib import metadata, util
from pathlib import Path

import footprint
import report
import scaling
from contest import Worker, compete
from shapes import CONTESTS, EXACT, LIBRARIES, PEAKS, ROUND_TRIP

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
SAID: list[str] = []
TASKS = [task for task, _, _ in CONTESTS]


def main() -> int:
    given = arguments()
    if given.compare:
        old, new = (json.loads(Path(path).read_text()) for path in given.compare)
        print(report.comparison(old, new))
        return 0
    if not util.find_spec("charloom"):
        print("bench: charloom is not installed here; run `make bench`", file=sys.stderr)
        return 1
    started = time.monotonic()
    results = {"about": about(given.threads), "rates": {}, "absent": {}, "costs": {}}
    say(introduction(results["about"]))
    if given.only != ["footprint"]:
        contests(results, given)
    if not given.only or "footprint" in given.only:
        measure_costs(results, given)
    say(report.bars(results))
    if results["absent"]:
        say(report.absent(results))
    if given.scaling:
        tell("scaling")
        cores = len(usable_cores())
        results["scaling"] = scaling.measure(given.threads, cores, quick=given.quick)
        for chart in scaling.charts(results["scaling"]):
            say(chart)
    results["about"] |= {"load after": load()}
    say(f"{time.monotonic() - started:.0f} s; load average at the end {load():.1f}")
    if given.document:
        write_between(Path(given.document), SAID)
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=1) + "\n")
    return int(EXACT in results["absent"])  # peers may be absent, charloom may not


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument("--scaling", action="store_true", help="also how time and memory grow")
    parser.add_argument(
        "--only", action="append", choices=[*TASKS, "footprint"], help="may be repeated"
    )
    parser.add_argument("--threads", type=int, default=len(usable_cores()))
    parser.add_argument("--rounds", type=int, help="turns of each contestant")
    parser.add_argument("--seconds", type=float, help="minimum length of a turn")
    parser.add_argument("--json", metavar="FILE", help="write all results to this file")
    parser.add_argument("--document", metavar="FILE", help="put the output between its markers")
    parser.add_argument(
        "--compare", nargs=2, metavar=("OLD", "NEW"), help="compare two files of --json"
    )
    given = parser.parse_args()
    given.rounds = given.rounds or (3 if given.quick else 7)
    given.seconds = given.seconds or (0.1 if given.quick else 0.5)
    return given


def contests(results: report.Results, given: argparse.Namespace) -> None:
    """Run every task and shape asked for, and print a table for each task."""
    with ExitStack() as stack:
        libraries = {
            name: lib for name, lib in LIBRARIES.items() if not given.alone or lib == "ours"
        }
        workers = {
            library: stack.enter_context(Worker(library, given.threads))
            for library in sorted(set(libraries.values()))
        }
        say(report.STAR)
        for task, shapes, names in CONTESTS:
            if given.only and task not in given.only:
                continue
            for shape in shapes:
                tell(f"{task}, {shape}")
                everyone = [*names, *sorted(set(PEAKS.values())), ROUND_TRIP]
                rates, absent = compete(
                    workers,
                    {name: libraries[name] for name in everyone if name in libraries},
                    task,
                    shape,
                    rounds=given.rounds,
                    seconds=given.seconds,
                    limit=3 if given.quick else 120,
                )
                results["rates"].setdefault(task, {})[str(shape)] = rates
                results["absent"] |= absent
            say(report.speed(results, task))
        say(report.peaks(results))


def measure_costs(results: report.Results, given: argparse.Namespace) -> None:
    """Measure memory, commands, imports and disk space."""
    tell("memory, commands, disk")
    costs = results["costs"]
    costs |= footprint.memory(given.threads, alone=given.alone or given.quick)
    costs |= footprint.waiting(3 if given.quick else 7, alone=given.alone)
    costs |= footprint.installed()
    results["bounds"] = footprint.bounds(costs)
    for group in report.costs(results):
        say(group)


def about(threads: int) -> dict[str, object]:
    """The machine, the versions and the date, which the numbers depend on."""
    packages = ("charloom", "numpy", "torch", "jax", "keras", "onednn-cpu-gomp")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
        "commit": commit(),
        "processor": processor(),
        "cores": len(usable_cores()),
        "threads": threads,
        "load before": load(),
        "python": platform.python_version(),
        "versions": {name: version for name in packages if (version := version_of(name))},
    }


def introduction(about: dict[str, object]) -> str:
    versions = about["versions"]
    assert isinstance(versions, dict)
    lines = [
        f"{about['processor']}, {about['cores']} cores, {about['threads']} threads for everybody",
        f"commit {about['commit']}, {about['date']}, Python {about['python']}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]
    if load() > 0.5:
        lines.append(
            f"WARNING: the load average is {load():.1f}, so other programs are running. They slow "
            "down a\nprogram that waits for a second thread far more than others: these ratios "
            "mean little."
        )
    return "\n".join(lines)


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    here = Path(__file__).parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=here)
    return done.stdout.strip() or "unknown"


def processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def usable_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def say(text: str) -> None:
    """Print a text, and keep it for the document."""
    print(text + "\n", flush=True)
    SAID.append(text + "\n")


def write_between(path: Path, lines: list[str]) -> None:
    """Replace what a document has between the markers."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"bench: {path} has no lines {BEGIN} and {END}")
    text = "\n".join(lines)
    path.write_text(f"{before}{BEGIN}\n```\n{text}```\n{END}{after}")


def tell(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what} ...\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
