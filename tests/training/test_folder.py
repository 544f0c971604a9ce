"""The folder of a run: nothing in it is overwritten or deleted that the run has not made."""

from __future__ import annotations

from pathlib import Path

import pytest

from charloom.errors import ModelFileError, OutputError, TrainingError
from charloom.training.folder import RunFolder, digest_of
from charloom.training.plan import IdsFile


def test_a_new_folder_is_made_with_those_above_it_and_taken_back(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b" / "run")
    with folder.create():
        folder.reserve("text").write_bytes(b"ids")
        assert (tmp_path / "a/b/run/text.ids").exists()
        folder.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_there_when_a_start_is_taken_back(tmp_path):
    (tmp_path / "text.ids").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine, too")
    folder = RunFolder(tmp_path)
    with folder.create():
        path = folder.reserve("text")
        assert path.name != "text.ids"
        path.write_bytes(b"ids")
        folder.discard()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "text.ids": "mine",
        "notes.txt": "mine, too",
    }


def test_a_folder_in_which_others_have_put_something_stays(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.create():
        (tmp_path / "run" / "notes.txt").write_text("mine")
        folder.discard()
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "name", ["run.json", "log.jsonl", "checkpoint.safetensors", "model.safetensors"]
)
def test_the_files_of_a_run_are_never_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=f"holds a run already .{name}"):
        RunFolder(tmp_path).create()
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_second_start_is_refused_while_the_first_is_under_way(tmp_path):
    first = RunFolder(tmp_path / "run")
    with first.create():
        ids = first.reserve("text")
        with pytest.raises(TrainingError, match="training here"):
            RunFolder(tmp_path / "run").create()
        assert ids.exists()


def test_a_start_that_finds_the_folder_taken_back_makes_it_anew(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.mkdir()
    second, lock = RunFolder(path), RunFolder.lock
    tried = []

    def vanishing(self: RunFolder):
        if not tried:
            path.rmdir()  # the first start failed just now
        tried.append(path.exists())
        return lock(self)

    monkeypatch.setattr(RunFolder, "lock", vanishing)
    second.create().release()
    assert tried == [False, True]


def test_ids_are_those_that_were_written_or_refused(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "text.ids").write_bytes(b"\0\1\2")
    ids = IdsFile(name="text.ids", sha256=digest_of(tmp_path / "text.ids"))
    assert folder.ids(ids) == tmp_path / "text.ids"
    (tmp_path / "text.ids").write_bytes(b"\0\1\3")
    with pytest.raises(ModelFileError, match=r"text\.ids: its bytes are not those"):
        folder.ids(ids)
    (tmp_path / "text.ids").unlink()
    with pytest.raises(ModelFileError, match=r"text\.ids: cannot be read"):
        folder.ids(ids)
    with pytest.raises(ModelFileError, match="does not name"):
        folder.ids(None)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "run").write_text("mine")
    for path in (tmp_path / "run", tmp_path / "run" / "deeper"):
        with pytest.raises(OutputError, match="cannot be made"):
            RunFolder(path).create()
    assert [Path(file).name for file in tmp_path.iterdir()] == ["run"]
