"""Runs of several processes that are killed at random moments, and go on by themselves.

    python tests/campaigns/elastic.py --seconds 600

Each trial is a run of two processes under `torchrun --max-restarts`. One of them is killed at
a random moment, or both as a node would take them along, or process 0 while it writes a
checkpoint. What must hold: the run ends, and its model, weights, state and log are equal to the
last bit to those of a run that was left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from runs import outcome  # noqa: E402

import charloom  # noqa: E402

PROGRAM = TESTS / "peers" / "group_runs.py"
STEPS = 400
WAYS = ("rank", "node", "checkpoint")


def environment(**more: str) -> dict[str, str]:
    """That of a child that has this charloom, one thread, and no group yet."""
    source = str(Path(charloom.__file__).parents[1])
    path = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def started(
    folder: Path, kinds: list[str], processes: int = 2, steps: int | None = None, **more: str
) -> subprocess.Popen[str]:
    """A run under torchrun, in the background."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=3"]
    command += ["--monitor-interval=0.2", f"--nproc-per-node={processes}"]
    command += [str(PROGRAM), str(folder), str(steps or STEPS), *kinds]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(**more),
    )


def ended(run: subprocess.Popen[str], seconds: float = 300) -> str:
    """What a run has printed; the word BROKEN in front if it did not end well."""
    try:
        output, _ = run.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        run.terminate()
        output, _ = run.communicate()
        return f"BROKEN: it did not end\n{output}"
    return output if run.returncode == 0 else f"BROKEN: status {run.returncode}\n{output}"


def workers_of(run: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == run.pid and b"group_runs" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def kill_later(run: subprocess.Popen[str], folder: Path, how: str, chance: random.Random) -> bool:
    """Wait until it trains, and a random time more, and kill; whether there was somebody."""
    log = folder / "log.jsonl"
    until = time.monotonic() + 120
    while not (log.exists() and log.stat().st_size) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(chance.random() * 1.5)
    workers = workers_of(run)
    for worker in workers if how == "node" else chance.sample(workers, min(1, len(workers))):
        try:
            os.kill(worker, signal.SIGKILL)
        except ProcessLookupError:
            return False
    return bool(workers)


def trial(place: Path, how: str, chance: random.Random, expected: tuple) -> tuple[bool, str]:
    """One run; whether it was killed while it trained, and what does not hold."""
    folder = place / "killed"
    shutil.rmtree(folder, ignore_errors=True)
    kind = "streams"
    if how == "checkpoint":
        more = {"KILL_AT_CHECKPOINT": str(chance.randint(1, 6))}
        run, hit = started(folder, [kind], **more), True
    else:
        run = started(folder, [kind])
        hit = kill_later(run, folder / kind, how, chance)
    output = ended(run)
    if "BROKEN" in output:
        return hit, output[-2000:]
    same = outcome(folder / kind) == expected
    return hit, "" if same else f"{how}: it differs from a run that was left alone"


def play(
    seconds: float, most: int = 10**9, seed: int = 0, ways: tuple[str, ...] = WAYS
) -> tuple[int, int, list[str]]:
    """Trials until the time is over; how many, how many were hit in training, complaints."""
    chance, complaints, played, hits = random.Random(seed), [], 0, 0
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        told = ended(started(place / "alone", ["streams"]))
        if "BROKEN" in told:
            return 0, 0, [told]
        expected = outcome(place / "alone" / "streams")
        while played < most and time.monotonic() < until:
            how = ways[played % len(ways)]
            hit, complaint = trial(place, how, chance, expected)
            played, hits = played + 1, hits + hit
            print(
                f"run {played}: {how}, {'hit' if hit else 'too late'}, {complaint or 'equal'}",
                flush=True,
            )
            complaints += [complaint] if complaint else []
    return played, hits, complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--trials", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    played, hits, complaints = play(options.seconds, options.trials, options.seed)
    print(f"{played} runs, {hits} hit while they trained, {len(complaints)} complaints")
    for complaint in complaints[:10]:
        print(complaint)
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
