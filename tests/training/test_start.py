"""Where a run comes from, and what may change when it is resumed."""

from __future__ import annotations

import pytest
from runs import TEXT, start

from charloom.errors import SettingsError
from charloom.model.model import Model
from charloom.text.corpus import InMemory
from charloom.training.start import resume


def test_a_finished_run_trains_longer_when_asked(tmp_path):
    start(tmp_path / "run", steps=8).finish()
    run = resume(tmp_path / "run", steps=14)
    assert [progress.step for progress in run] == list(range(9, 15))
    assert run.finished
    with pytest.raises(SettingsError, match="9 was given, but 14 are done"):
        resume(tmp_path / "run", steps=9)
    assert resume(tmp_path / "run", steps=14).finished


def test_other_threads_change_nothing_of_a_run(tmp_path):
    start(tmp_path / "one", steps=8).finish()
    run = start(tmp_path / "two", steps=8, threads=1)
    next(run)
    run.stop()
    resume(tmp_path / "two", threads=2).finish()
    first, second = (Model.load(tmp_path / name).weights for name in ("one", "two"))
    for name, weight in first.items():
        assert (weight == second[name]).all()


def test_the_texts_that_are_given_to_a_resumed_run_have_to_be_its_own(tmp_path):
    run = start(tmp_path / "run", steps=8)
    next(run)
    run.stop()
    resume(tmp_path / "run", sources=InMemory(TEXT)).stop()
    with pytest.raises(SettingsError, match="sources: this run was made of another text"):
        resume(tmp_path / "run", sources=InMemory(TEXT + "!"))
    with pytest.raises(SettingsError, match="validation: this run holds out the end"):
        resume(tmp_path / "run", validation=InMemory(TEXT))
    resume(tmp_path / "run").finish()
