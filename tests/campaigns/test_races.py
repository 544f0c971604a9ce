"""Actors on one folder, in any order: the checker of races.py finds nothing, and can find."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import races

from charloom.training.folder import RunFolder
from charloom.training.lock import Lock


def test_random_schedules_on_one_folder_lose_nothing():
    played, actors, complaints = races.play(seconds=8, most=6)
    assert complaints == []
    assert played
    assert sum(actors.values()) >= 2 * played


def test_the_checker_notices_starts_without_a_lock(monkeypatch):
    class Unlocked(Lock):
        def __init__(self, folder: Path) -> None:
            self.path, self.is_new = folder / ".lock", False

        def release(self) -> None: ...
        def check(self) -> None: ...

    monkeypatch.setattr(RunFolder, "lock", lambda self: Unlocked(self.path))
    _, _, complaints = races.play(seconds=60, first=1000, until_one_fails=True)
    assert complaints


def test_the_checker_notices_a_foreign_file_that_is_deleted(monkeypatch):
    discard = RunFolder.discard

    def careless(self: RunFolder) -> None:
        discard(self)
        for file in self.path.glob("*.txt"):
            file.unlink()

    monkeypatch.setattr(RunFolder, "discard", careless)
    _, _, complaints = races.play(seconds=60, until_one_fails=True)
    assert any("notes.txt is gone" in complaint for complaint in complaints)


@pytest.mark.parametrize("kind", ["start", "resume", "stop", "generate", "evaluate"])
def test_every_actor_does_its_part_when_it_is_alone(kind, tmp_path):
    folder = tmp_path / "run"
    if kind != "start":
        races.actor("start", folder, 0)
    races.actor(kind, folder, 0)
    assert (folder / "model.safetensors").exists()
