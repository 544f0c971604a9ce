"""Races: starts, resumes, readers and kills on one folder, in random order at random moments.

    python tests/campaigns/races.py --seconds 60

A schedule is a few processes, each with a text of its own, that start or resume a run in one
folder, generate from its model or measure it, at random moments; some are killed. Beside them
lie files of a user's. What must hold, whatever happens:

*   who comes second ends with one line, and no process ends with a traceback
*   the user's files are what they were, and nobody else's folder is gone
*   the run that is there at the end has the ids of one text and one plan, and when it is
    resumed it ends with the model, weights and log of a run over that text that was left alone
*   a reader finds a whole model or none
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns.children import answer_of, begin
from runs import outcome, start

import charloom

TEXTS = ["the fox saw a crow\n" * 30, "five green bottles\n" * 40, "one two three four five\n" * 25]
MINE = {"text.ids": b"mine", "notes.txt": b"mine, too", ".text.ids.0a1b2c3d.partial": b"and this"}


def actor(kind: str, folder: Path, number: int) -> None:
    """Do one thing in the folder."""
    if kind == "start":
        run = start(folder, TEXTS[number], steps=25, validate_every=5, seed=number)
        run.finish()
    elif kind == "resume":
        charloom.resume(folder).finish()
    elif kind == "stop":
        run = charloom.resume(folder)
        next(run, None)
        run.stop()
    elif kind == "generate":
        "".join(charloom.Model.load(folder).generate(length=20))
    else:
        charloom.Model.load(folder).evaluate("ee\n")


@dataclass
class Checker:
    """Runs that were left alone, to compare with."""

    place: Path

    def __post_init__(self) -> None:
        self.expected: dict[str, tuple[Any, ...]] = {}
        self.text_of: dict[str, str] = {}
        for number, text in enumerate(TEXTS):
            folder = self.place / f"alone {number}"
            run = start(folder, text, steps=25, validate_every=5, seed=number)
            facts = run.plan.corpus
            run.finish()
            self.expected[facts.sha256] = outcome(folder)
            self.text_of[facts.sha256] = text

    def complaints(self, folder: Path, mine: dict[str, bytes]) -> list[str]:
        """What does not hold of a folder that nobody uses any more."""
        found = [
            f"the user's {name} is gone or changed"
            for name, content in mine.items()
            if not (folder / name).exists() or (folder / name).read_bytes() != content
        ]
        if not (folder / "run.json").exists():
            if folder.exists() and (folder / "checkpoint.safetensors").exists():
                found.append("there is a checkpoint without a plan")
            return found
        run = charloom.resume(folder)
        sha256 = run.plan.corpus.sha256
        ids = folder / run.plan.ids.name
        decoded = run.plan.vocabulary.decode(list(ids.read_bytes()))
        if hashlib.sha256(decoded.encode()).hexdigest() != sha256:
            found.append("the ids are those of another text")
        run.finish()
        if outcome(folder) != self.expected[sha256]:
            found.append("the run differs from one that was left alone")
        return found


def collect(playing: list[tuple[str, int, int]], tally: Counter[str], complaints: list[str]) -> int:
    """Wait for some actors; how many they were."""
    for kind, child, reader in playing:
        answer = answer_of(child, reader)
        tally[f"{kind} {answer.partition(':')[0]}"] += 1
        if answer.startswith("BROKEN"):
            complaints.append(f"{kind}: {answer}")
    return len(playing)


def schedule(seed: int, checker: Checker) -> tuple[Counter[str], list[str]]:
    """Play one schedule; how its actors ended, and what did not hold."""
    chance = random.Random(seed)
    folder = checker.place / f"schedule {seed}" / "run"
    mine = {}
    if chance.random() < 0.5:
        folder.mkdir(parents=True)
        mine = dict(chance.sample(sorted(MINE.items()), chance.randint(0, len(MINE))))
        for name, content in mine.items():
            (folder / name).write_bytes(content)
    tally, complaints, playing, seen = Counter(), [], [], 0
    for _ in range(chance.randint(3, 10)):
        kind = chance.choice(["start", "start", "resume", "resume", "stop", "generate", "evaluate"])
        number = chance.randrange(len(TEXTS))
        child, reader = begin(lambda kind=kind, number=number: actor(kind, folder, number))
        playing.append((kind, child, reader))
        time.sleep(chance.choice([0, chance.random() * 0.02, chance.random() * 0.2]))
        if chance.random() < 0.3:
            os.kill(chance.choice(playing[seen:])[1], signal.SIGKILL)
        if chance.random() < 0.4:
            seen += collect(playing[seen:], tally, complaints)  # the next one has it for itself
    collect(playing[seen:], tally, complaints)
    try:
        complaints += checker.complaints(folder, mine)
    except Exception as error:
        complaints.append(f"at the end: {type(error).__name__}: {error}")
    shutil.rmtree(folder.parent, ignore_errors=True)
    return tally, [f"schedule {seed}: {complaint}" for complaint in complaints]


def play(
    seconds: float, most: int = 10**9, first: int = 0, *, until_one_fails: bool = False
) -> tuple[int, Counter[str], list[str]]:
    """Play schedules until the time is over; how many, how actors ended, what did not hold."""
    total, complaints, played = Counter(), [], 0
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as place:
        checker = Checker(Path(place))
        while played < most and time.monotonic() < until:
            tally, found = schedule(first + played, checker)
            total += tally
            complaints += found
            played += 1
            if complaints and until_one_fails:
                break
    return played, total, complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the first schedule")
    options = parser.parse_args()
    played, total, complaints = play(options.seconds, first=options.seed)
    print(f"{played} schedules, {total.total()} actors, {len(complaints)} complaints")
    for ending, count in sorted(total.items()):
        print(f"  {count:6} {ending}")
    for complaint in complaints[:20]:
        print(complaint)
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
