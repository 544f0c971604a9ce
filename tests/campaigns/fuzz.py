"""Fuzzing: files of models and runs, changed at random, each with a digest that fits.

    python tests/campaigns/fuzz.py --seconds 60

A digest finds damage, not malice, so what comes after it must hold alone: each changed file
is loaded and used, or refused with one printable line, within 20 seconds of the processor and
200 MB. What failed once is kept in tests/campaigns/kept/ as <kind>-<hash>, and tried in every
test run.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from messages import messages
from runs import start

import charloom
from charloom.errors import CharloomError
from charloom.model.storage.sealed import BLANK, sealed, unsealed
from charloom.training.log import read_log

KEPT = Path(__file__).parent / "kept"
KINDS = {
    "model": "model.safetensors",
    "checkpoint": "checkpoint.safetensors",
    "plan": "run.json",
    "ids": "text.ids",
    "log": "log.jsonl",
}
SECONDS, MEGABYTES = 20, 200

_MARK = rb"{\"digest\":\""


def values(chance: random.Random) -> Any:
    """A JSON value of the kinds that break programs."""
    deep: Any = 1
    for _ in range(chance.choice([3, 31, 40, 200])):
        deep = [deep] if chance.random() < 0.5 else {"a": deep}
    return chance.choice(
        [
            None, True, False, -1, 0, 1, 2, 3, 255, 256, 65536, 2**31, 2**32, 2**53, 2**63 - 1,
            2**63, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e-320, 1e308, float("inf"), float("nan"),
            "", "a", "0", "1", "nan", "\ud800", "\0", "a\nb", "\x1b[31m", "\u202e", "x" * 10_000,
            "../../etc/passwd", "utf-16", "idna", "rot13", "reference", "lstm", "rnn", "bytes",
            "lines", "windows", [], {}, [[]], [1, 2], [0] * 5_000, {"": 1}, {"__metadata__": {}},
            deep,
        ]
    )  # fmt: skip


def changed(value: Any, chance: random.Random) -> Any:
    """A JSON value with one to three changes at random places."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        inner = value
        while isinstance(inner, dict | list) and inner:
            key: Any = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
            last = not isinstance(inner[key], dict | list) or not inner[key]
            if last or chance.random() < 0.15:
                break
            inner = inner[key]
        else:
            continue
        match chance.randrange(6):
            case 0:
                del inner[key]
            case 1 if isinstance(inner, dict):
                inner[str(values(chance))[:50]] = values(chance)
            case 2 if isinstance(inner[key], int | float) and not isinstance(inner[key], bool):
                with suppress(OverflowError):  # of 10**400 and 0.5
                    inner[key] += chance.choice([-1, 1, 2, 0.5, -(2**20), 2**20])
            case 3:
                inner[key] = copy.deepcopy(chance.choice(list(_every(value))))
            case _:
                inner[key] = values(chance)
    return value


def _every(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(v for one in inner for v in _every(one))]


def flipped(data: bytes, chance: random.Random) -> bytes:
    """Bytes with a few changed, cut out, repeated or put in."""
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(5):
            case 0:
                del found[at : at + chance.choice([1, 4, 100])]
            case 1:
                found[at:at] = bytes(
                    chance.randrange(256) for _ in range(chance.choice([1, 4, 50]))
                )
            case 2:
                found[at:at] = found[at : at + chance.choice([1, 8, 200])]
            case _ if at < len(found):
                found[at] = chance.choice([0, 255, 34, 44, 91, 123, chance.randrange(256)])
    return bytes(found)


def container(entries: dict[str, Any], content: Any, payload: bytes) -> bytes:
    """A safetensors file with this header and description, and a digest that fits."""
    if isinstance(content, dict):
        content = {"digest": BLANK, **{k: v for k, v in content.items() if k != "digest"}}
    metadata = {"charloom": json.dumps(content, separators=(",", ":"))}
    header = json.dumps({"__metadata__": metadata, **entries}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return resealed(len(header).to_bytes(8, "little") + header + payload)


def resealed(data: bytes) -> bytes:
    """A container whose digest fits, if there is still a place for one."""
    start = data.find(_MARK) + len(_MARK)
    if start < len(_MARK):
        return data
    data = data[:start] + BLANK.encode() + data[start + len(BLANK) :]
    digest = hashlib.sha256(data).hexdigest().encode()
    return data[:start] + digest + data[start + len(BLANK) :]


def changed_container(data: bytes, chance: random.Random) -> bytes:
    """A container with a change in its header, its description, its tensors, or anywhere."""
    size = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + size])
    content = json.loads(entries.pop("__metadata__")["charloom"])
    payload = data[8 + size :]
    match chance.randrange(6):
        case 0:
            entries = changed(entries, chance)
        case 1:
            payload = flipped(payload, chance)
        case 2:
            return resealed(flipped(data, chance))
        case 3:
            whole = {**entries, "__metadata__": {"charloom": json.dumps(content)}}
            header = json.dumps(changed(whole, chance)).encode()
            return resealed(len(header).to_bytes(8, "little") + header + payload)
        case _:
            content = changed(content, chance)
    return container(entries if isinstance(entries, dict) else {}, content, payload)


def changed_json(data: bytes, chance: random.Random) -> bytes:
    """A sealed JSON text with a change."""
    if chance.random() < 0.15:
        return flipped(data, chance)
    content = changed(unsealed(data), chance)
    return sealed(content) if isinstance(content, dict) else json.dumps(content).encode()


def changed_log(data: bytes, chance: random.Random) -> bytes:
    """A log with a line changed, missing, repeated or exchanged."""
    lines = data.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, chance.choice(lines))
        case 2:
            return flipped(data, chance)
        case _:
            lines[at] = changed_json(lines[at][:-1], chance) + b"\n"
    return b"".join(lines)


@dataclass
class Bench:
    """A whole run, and places to put changed files of it."""

    place: Path

    def __post_init__(self) -> None:
        whole = self.place / "whole"
        text = "One fox\nsaw a crow on the limb\n" * 12
        run = start(whole, text, precision="float32", threads=1, steps=8, validate_every=3)
        for _ in range(5):
            next(run)
        run.stop()
        self.whole = {kind: (whole / name).read_bytes() for kind, name in KINDS.items()}

    def case(self, kind: str, chance: random.Random) -> bytes:
        """A changed file."""
        data = self.whole[kind]
        if kind in ("model", "checkpoint"):
            return changed_container(data, chance)
        return {"plan": changed_json, "log": changed_log, "ids": flipped}[kind](data, chance)

    def use(self, kind: str, data: bytes) -> str:
        """Load a changed file and use what it holds: "loaded", "refused", or a complaint."""
        folder = self.place / f"folder {os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = {**self.whole, kind: data}
        if kind == "ids":
            plan = unsealed(files["plan"])
            plan["ids"]["sha256"] = hashlib.sha256(data).hexdigest()
            files["plan"] = sealed(plan)
        for name, content in files.items():
            (folder / KINDS[name]).write_bytes(content)
        with messages() as told:
            ended = self._load(kind, folder)
        for message in told:
            if not message.isprintable() or len(message) >= 2000:
                return f"not one printable line: {message[:200]!r}"
        return ended

    def _load(self, kind: str, folder: Path) -> str:
        try:
            if kind == "model":
                model = charloom.Model.load(folder)
                model.describe()
                model.evaluate("fox\n")
                list(model.generate("fox", length=3))
            else:
                list(read_log(folder / "log.jsonl"))
                run = charloom.resume(folder)
                next(run, None)
                run.stop()
        except CharloomError as error:
            message = str(error)
            plain = message.isprintable() and len(message) < 2000
            return "refused" if plain else f"not one printable line: {message[:200]!r}"
        return "loaded"


def in_a_child(bench: Bench, cases: list[tuple[str, bytes]]) -> list[str]:
    """Use some cases in a process of their own; what came of each."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            _answer(bench, cases, writer)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answers = [json.loads(line) for line in pipe if line.endswith("\n")]
    _, status = os.waitpid(child, 0)
    if len(answers) < len(cases):
        ended = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else status
        answers.append(f"the process ended: {ended}")
        answers += in_a_child(bench, cases[len(answers) :]) if len(answers) < len(cases) else []
    return answers


def _answer(bench: Bench, cases: list[tuple[str, bytes]], writer: int) -> None:
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(15 * SECONDS)
    for kind in ("model", "plan"):
        with suppress(Exception):  # so that what is loaded once is not counted
            bench.use(kind, bench.whole[kind])
    for kind, data in cases:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of this process, on a busy machine, too
        signal.alarm(15 * SECONDS)  # what waits for ever uses no processor
        before = _peak(reset=True)
        try:
            answer = bench.use(kind, data)
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"[:300]
        grown = (_peak() - before) >> 20
        if grown > MEGABYTES:
            answer = f"took {grown} MB, then: {answer}"
        os.write(writer, json.dumps(answer).encode() + b"\n")


def _peak(*, reset: bool = False) -> int:
    """Bytes of memory in use at the most since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def fuzz(seconds: float, most: int = 10**9, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Try changed files until the time is over; how they ended, and what failed."""
    tally, failed = Counter(), []
    until = time.monotonic() + seconds
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place))
        while tally.total() < most and time.monotonic() < until:
            kinds = [chance.choice([*KINDS, "model", "plan"]) for _ in range(50)]
            cases = [(kind, bench.case(kind, chance)) for kind in kinds]
            for (kind, data), answer in zip(cases, in_a_child(bench, cases), strict=True):
                known = answer in ("loaded", "refused")
                tally[f"{kind} {answer if known else 'failed'}"] += 1
                if not known:
                    name = f"{kind}-{hashlib.sha256(data).hexdigest()[:8]}"
                    failed.append(f"{name}: {answer}")
                    yield_to = Path(os.environ.get("CHARLOOM_FUZZ_KEEP", place)) / name
                    yield_to.write_bytes(data)
    return tally, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that failed")
    options = parser.parse_args()
    if options.keep:
        os.environ["CHARLOOM_FUZZ_KEEP"] = str(options.keep)
    tally, failed = fuzz(options.seconds, seed=options.seed)
    print(f"{tally.total()} inputs, {len(failed)} failed (seed {options.seed})")
    for ending, count in sorted(tally.items()):
        print(f"  {count:6} {ending}")
    for one in failed[:40]:
        print(one)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
