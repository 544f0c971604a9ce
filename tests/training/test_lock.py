"""The lock of a folder: one process has it, and the system takes it back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from charloom.errors import OutputError, TrainingError
from charloom.training.lock import Lock

HOLDER = """
import sys, time
from pathlib import Path
from charloom.training.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


def test_a_folder_is_locked_once_and_can_be_locked_again(tmp_path):
    with Lock(tmp_path) as first:
        assert first.is_new
        with pytest.raises(TrainingError, match="a Run of this very process is training here"):
            Lock(tmp_path)
    with Lock(tmp_path) as again:
        assert not again.is_new


def test_a_process_that_is_killed_lets_go_of_the_folder(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(TrainingError, match="another process is training here"):
            Lock(tmp_path)
        holder.kill()
    Lock(tmp_path).release()


def test_a_lock_that_is_forgotten_is_released(tmp_path):
    lock = Lock(tmp_path)
    del lock
    Lock(tmp_path).release()


def test_a_folder_that_was_replaced_is_not_the_one_that_was_locked(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with Lock(folder) as lock:
        lock.check()
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(TrainingError, match="moved, deleted or replaced"):
            lock.check()
        folder.mkdir()
        with Lock(folder), pytest.raises(TrainingError, match="moved, deleted or replaced"):
            lock.check()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be locked"):
        Lock(tmp_path / "nowhere")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        Lock(tmp_path)
