"""Faults: each call that changes the folder of a run, and each large allocation, made to fail.

    python tests/campaigns/faults.py --seconds 120 [writes] [memory] [core] [power]

A short run is started, stopped, resumed and finished.

writes    The n-th write-like call fails, with no space, an error of the disk, half of its bytes,
          or the death of the process; once, or with all that follow.
memory    The n-th allocation of 80 KB or more fails, once, or with all that follow. Those inside
          of numpy.linalg.qr do not: NumPy itself crashes when it gets no memory there.
core      The n-th allocation of the C++ core fails, of any size, once, or with all that follow.
power     The power goes off after the n-th call: of what was not synced, any part is lost, torn,
          or done out of order.

Whatever happens, the process ends with its work done, or one line; and a process after it, which
nothing happens to, goes on and ends with the model, weights and log of a run that was left alone,
to the last bit. faults.c makes the calls fail; it is compiled and preloaded (Linux, glibc).
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns import power
from campaigns.children import result_of
from runs import outcome, start

import charloom
from charloom.settings import ModelSettings

FAIL, KILL_BEFORE, KILL_AFTER, SHORT_KILL, SHORT_ONCE = range(5)
WAYS = {  # how, errno, whether all that follow fail too
    "no space once": (FAIL, errno.ENOSPC, 0),
    "no space for good": (FAIL, errno.ENOSPC, 1),
    "disk error once": (FAIL, errno.EIO, 0),
    "read-only for good": (FAIL, errno.EROFS, 1),
    "interrupted": (FAIL, errno.EINTR, 0),
    "killed before": (KILL_BEFORE, 0, 0),
    "killed after": (KILL_AFTER, 0, 0),
    "killed half-way": (SHORT_KILL, 0, 0),
    "half a write": (SHORT_ONCE, 0, 0),
}
LARGE = 80 << 10
"""Bytes. Buffers of NumPy's loops have up to 64 KB, and it crashes when it gets none."""
MODEL = ModelSettings(hidden_size=160, num_layers=1)


def begin(folder: Path) -> charloom.Run:
    """The run of the campaign, at its start."""
    return start(folder, model=MODEL, precision="float32", threads=1, steps=8, validate_every=3)


def whole_run(folder: Path) -> None:
    """Start, stop, resume and finish."""
    run = begin(folder)
    for _ in range(5):
        next(run)
    run.stop()
    charloom.resume(folder).finish()


def go_on(folder: Path) -> None:
    """What one does after a failure: resume the run, or start it if there is none."""
    exists = (folder / "run.json").exists()
    (charloom.resume(folder) if exists else begin(folder)).finish()


class Campaign:
    """A place to work in, and what a run comes to that nothing happens to."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.faults = ctypes.CDLL(None)
        np.linalg.qr = self.without_faults(np.linalg.qr)
        whole_run(place / "alone")  # loads all there is to load, too
        self.expected = outcome(place / "alone")
        for _ in range(2):
            result_of(lambda: charloom.resume(place / "nowhere"))

    def without_faults(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A call that gets all the memory it asks for."""

        def paused(*arguments: Any) -> Any:
            self.faults.faults_pause(1)
            try:
                return call(*arguments)
            finally:
                self.faults.faults_pause(0)

        return paused

    def arm(self, folder: Path, at: int, way: tuple[int, int, int], record: int = -1) -> None:
        """Let the `at`-th call that changes the folder fail in a way; 0 lets none fail."""
        how, code, for_good = way
        self.faults.faults_arm(os.fsencode(folder), ctypes.c_long(at), how, code, for_good, record)

    def arm_memory(self, at: int, for_good: bool, core: bool) -> None:
        """Let the `at`-th large allocation fail, or the `at`-th of the C++ core."""
        smallest = 1 if core else LARGE
        self.faults.faults_arm_memory(
            ctypes.c_long(smallest), ctypes.c_long(at), int(for_good), int(core)
        )

    def count(self, arm: Callable[[Path], None]) -> int:
        """How many calls there are to fail."""
        folder = self.place / "counted"
        shutil.rmtree(folder, ignore_errors=True)
        file = self.place / "count"

        def counting() -> None:
            arm(folder)
            whole_run(folder)
            count = self.faults.faults_counted()
            self.arm(Path("/nowhere"), 0, (0, 0, 0))
            file.write_text(str(count))

        answer = result_of(counting)
        assert answer == "done", answer
        return int(file.read_text())

    def complaint(self, folder: Path, what: str, answer: str) -> str | None:
        """What does not hold of a folder in which something has failed."""
        if answer.startswith("BROKEN"):
            return f"{what}: {answer}"
        after = result_of(lambda: go_on(folder))
        if after != "done":
            return f"{what}: {answer[:200]}; then, going on: {after}"
        if outcome(folder) != self.expected:
            return f"{what}: {answer[:200]}; then the run differs from one that was left alone"
        return None

    def try_one(self, what: str, arm: Callable[[Path], None]) -> tuple[str, str | None]:
        """Let something fail; how the process ended, and what does not hold."""
        folder = self.place / "run"
        shutil.rmtree(folder, ignore_errors=True)

        def failing() -> None:
            arm(folder)
            whole_run(folder)

        answer = result_of(failing)
        return answer.partition(":")[0], self.complaint(folder, what, answer)

    def writes(self) -> Iterator[tuple[str, Callable[[], tuple[str, str | None]]]]:
        """Every write-like call in every way, in random order."""
        calls = self.count(lambda folder: self.arm(folder, 0, (0, 0, 0)))
        cases = [(at, name) for at in range(1, calls + 1) for name in WAYS]
        random.Random(0).shuffle(cases)
        for at, name in cases:
            what = f"call {at} of {calls}, {name}"
            arm = lambda folder, at=at, name=name: self.arm(folder, at, WAYS[name])  # noqa: E731
            yield name, lambda what=what, arm=arm: self.try_one(what, arm)

    def memory(self) -> Iterator[tuple[str, Callable[[], tuple[str, str | None]]]]:
        """Every large allocation, once and for good, in random order."""
        return self.allocations(core=False)

    def core(self) -> Iterator[tuple[str, Callable[[], tuple[str, str | None]]]]:
        """Every allocation of the C++ core, likewise."""
        return self.allocations(core=True)

    def allocations(self, core: bool) -> Iterator[tuple[str, Callable[[], tuple[str, str | None]]]]:
        """Allocations, once and for good, in random order."""
        calls = self.count(lambda folder: self.arm_memory(0, False, core))
        cases = [(at, good) for at in range(1, calls + 1) for good in (False, True)]
        random.Random(0).shuffle(cases)
        for at, good in cases:
            name = "no memory for good" if good else "no memory once"
            what = f"allocation {at} of {calls}, {name}"
            arm = lambda folder, at=at, good=good: self.arm_memory(at, good, core)  # noqa: E731
            yield name, lambda what=what, arm=arm: self.try_one(what, arm)

    def power(self) -> Iterator[tuple[str, Callable[[], tuple[str, str | None]]]]:
        """A power cut after every call, with any part lost of what was not synced."""
        folder, record = self.place / "recorded", self.place / "record"

        def recording() -> None:
            file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            self.arm(folder, 0, (0, 0, 0), file)
            whole_run(folder)

        shutil.rmtree(folder, ignore_errors=True)
        assert result_of(recording) == "done"
        calls = power.read_record(record.read_bytes())
        chance = random.Random(0)
        cases = [(at, keep) for at in range(len(calls) + 1) for keep in power.KEEP]
        chance.shuffle(cases)

        def cut(at: int, keep: str, seed: int) -> tuple[str, str | None]:
            target = self.place / "run"
            shutil.rmtree(target, ignore_errors=True)
            power.after_a_cut(calls[:at], keep, seed).write(folder, target)
            return "cut", self.complaint(target, f"power cut after call {at}, {keep}", "cut")

        for seed in range(10**6):
            for at, keep in cases:
                yield f"power cut, {keep}", lambda at=at, keep=keep, seed=seed: cut(at, keep, seed)


def preloaded(arguments: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    """This program, run with faults.c."""
    library = place / "faults.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True
    )
    return subprocess.run(
        [sys.executable, __file__, *arguments],
        env={**os.environ, "LD_PRELOAD": str(library)},
        text=True,
        check=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", help="writes, memory, core, power; by default all")
    parser.add_argument("--seconds", type=float, default=120, help="for all kinds together")
    parser.add_argument("--most", type=int, default=10**9, help="cases of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if not hasattr(ctypes.CDLL(None), "faults_arm"):
            return preloaded(sys.argv[1:], Path(place)).returncode
        kinds = options.kinds or ["writes", "memory", "core", "power"]
        campaign, failed = Campaign(Path(place)), 0
        for kind in kinds:
            until = time.monotonic() + options.seconds / len(kinds)
            tally, complaints, tried = Counter(), [], 0
            for name, case in getattr(campaign, kind)():
                if tried >= options.most or time.monotonic() > until:
                    break
                ended, complaint = case()
                tally[f"{name}: {'failed' if complaint else f'{ended}, held'}"] += 1
                complaints += [complaint] if complaint else []
                tried += 1
            print(f"{kind}: {tried} tried, {len(complaints)} failed")
            for ending, count in sorted(tally.items()):
                print(f"  {count:6} {ending}")
            for complaint in complaints[:20]:
                print(f"  {complaint}")
            failed += len(complaints)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
