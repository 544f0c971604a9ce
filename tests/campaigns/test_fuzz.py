"""Changed files load or are refused in one line, in bounded time and memory."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from campaigns import fuzz

from charloom.model.storage import container
from charloom.training import folder


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> fuzz.Bench:
    return fuzz.Bench(tmp_path_factory.mktemp("bench"))


def test_some_hundred_changed_files_load_or_are_refused():
    tally, failed = fuzz.fuzz(seconds=12, most=300, seed=5)
    assert failed == []
    endings = {ending for name in tally for ending in name.split()}
    assert {*fuzz.KINDS, "loaded", "refused"} <= endings


@pytest.mark.parametrize("kept", sorted(fuzz.KEPT.iterdir()), ids=lambda path: path.name)
def test_what_failed_once_is_refused(bench, kept):
    kind = kept.name.partition("-")[0]
    assert fuzz.in_a_child(bench, [(kind, kept.read_bytes())]) == ["refused"]


def test_files_that_nobody_changed_load(bench):
    cases = [(kind, data) for kind, data in bench.whole.items()]
    assert fuzz.in_a_child(bench, cases) == ["loaded"] * len(cases)


def raising(bench, monkeypatch, *calls):
    """What is said of whole files while some functions misbehave."""
    with monkeypatch.context() as patch:
        for module, name, call in calls:
            patch.setattr(module, name, call)
        return fuzz.in_a_child(bench, [("model", bench.whole["model"]), ("plan", b"{}")])


@pytest.mark.parametrize(("megabytes", "is_too_much"), [(180, False), (300, True)])
def test_more_than_200_megabytes_for_a_file_are_noticed(bench, monkeypatch, megabytes, is_too_much):
    def greedy(data):
        np.ones(megabytes << 20, np.uint8)
        raise ValueError("no")

    monkeypatch.setattr(bench, "whole", {**bench.whole})
    found = raising(bench, monkeypatch, (folder, "unsealed", greedy))
    told = rf"took ({megabytes - 1}|{megabytes}|{megabytes + 1}) MB, then: refused"
    assert re.match(told if is_too_much else "refused$", found[1])


def test_a_file_that_takes_too_long_is_noticed(bench, monkeypatch):
    def endless(data):
        while data == b"{}":
            pass
        raise ValueError("no")

    monkeypatch.setattr(fuzz, "SECONDS", 1)
    found = raising(bench, monkeypatch, (folder, "unsealed", endless))
    assert found[1] == "the process ended: SIGPROF"


def test_raw_exceptions_and_long_lines_are_noticed(bench, monkeypatch):
    def broken(*arguments):
        raise RecursionError("too deep")

    def long(data):
        raise ValueError("no\nno")

    monkeypatch.setattr(bench, "whole", {**bench.whole})
    found = raising(bench, monkeypatch, (folder, "unsealed", broken))
    assert found[1] == "RecursionError: too deep"
    found = raising(
        bench, monkeypatch, (folder, "unsealed", long), (folder, "shown", lambda value: value)
    )
    assert found[1].startswith("not one printable line")


def test_the_death_of_a_process_is_noticed_and_the_other_cases_are_tried(bench, monkeypatch):
    use = fuzz.Bench.use

    def deadly(self: fuzz.Bench, kind: str, data: bytes) -> str:
        if kind == "ids":
            os.kill(os.getpid(), signal.SIGKILL)
        return use(self, kind, data)

    monkeypatch.setattr(fuzz.Bench, "use", deadly)
    cases = [(kind, bench.whole[kind]) for kind in ("model", "ids", "plan")]
    assert fuzz.in_a_child(bench, cases) == ["loaded", "the process ended: SIGKILL", "loaded"]


def test_the_digests_of_changed_files_fit(bench, tmp_path):
    path = tmp_path / "model.safetensors"
    data = bench.whole["model"]
    assert fuzz.resealed(data) == data
    changed = bytearray(data)
    changed[-1] ^= 1
    path.write_bytes(fuzz.resealed(bytes(changed)))
    container.read_container(Path(path), "model")
