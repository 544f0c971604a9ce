"""Calls and allocations that fail, and power cuts: a few of each, and a look at the simulation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns.power import Call, after_a_cut, read_record

PROGRAM = Path(__file__).with_name("faults.py")
COMPILED = pytest.mark.skipif(
    shutil.which("cc") is None or sys.platform != "linux", reason="needs a compiler and glibc"
)


@COMPILED
def test_what_fails_ends_in_one_line_and_a_run_goes_on_exactly():
    command = [sys.executable, str(PROGRAM), "--most", "6", "--seconds", "160"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("writes", "memory", "core", "power"):
        assert f"{kind}: 6 tried, 0 failed" in done.stdout


def write(inode: int, offset: int, data: bytes) -> Call:
    return Call("write", inode, "/run/a", "", offset, data)


CREATE = Call("create", 7, "/run/a", "", 0, b"")
SYNC_FILE = Call("sync", 7, "/run/a", "", 0, b"")
SYNC_FOLDER = Call("sync", 1, "/run", "", 0, b"")
RENAME = Call("rename", 0, "/run/a", "/run/b", 0, b"")


def test_what_was_synced_survives_every_cut():
    calls = [CREATE, write(7, 0, b"one"), SYNC_FILE, RENAME, SYNC_FOLDER, write(7, 3, b"two")]
    for keep in ("nothing", "everything", "names only", "data only", "any part"):
        for seed in range(20):
            disk = after_a_cut(calls, keep, seed)
            assert list(disk.names) == ["/run/b"]
            assert disk.content[7].startswith(b"one")


def test_what_was_not_synced_may_be_lost_torn_or_out_of_order():
    calls = [CREATE, write(7, 0, b"one"), write(7, 3, b"two"), SYNC_FOLDER]
    assert after_a_cut(calls, "nothing", 0).content == {}
    found = {bytes(after_a_cut(calls, "any part", s).content.get(7, b"")) for s in range(1000)}
    assert {b"", b"one", b"onetwo", b"\0\0\0two", b"o"} <= found


def test_a_name_that_was_not_synced_may_be_the_old_one():
    calls = [CREATE, SYNC_FILE, SYNC_FOLDER, RENAME]
    found = {tuple(after_a_cut(calls, "any part", seed).names) for seed in range(50)}
    assert found == {("/run/a",), ("/run/b",)}


@COMPILED
def test_a_record_tells_what_a_process_did_to_a_folder(tmp_path):
    library, folder, record = tmp_path / "faults.so", tmp_path / "run", tmp_path / "record"
    source = PROGRAM.with_suffix(".c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    code = f"""
import ctypes, os
from pathlib import Path
record = os.open({str(record)!r}, os.O_WRONLY | os.O_CREAT)
ctypes.CDLL(None).faults_arm(os.fsencode({str(folder)!r}), ctypes.c_long(0), 0, 0, 0, record)
folder = Path({str(folder)!r})
folder.mkdir()
(folder / "a").write_bytes(b"one")
with (folder / "a").open("ab") as file:
    file.write(b"two")
    file.flush()
    os.fsync(file.fileno())
(folder / "a").replace(folder / "b")
"""
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    calls = read_record(record.read_bytes())
    assert [(c.what, c.offset, c.data) for c in calls] == [
        ("mkdir", 0, b""),
        ("create", 0, b""),
        ("write", 0, b"one"),
        ("write", 3, b"two"),
        ("sync", 0, b""),
        ("rename", 0, b""),
    ]
    assert after_a_cut(calls, "everything", 0).content[calls[1].inode] == b"onetwo"
