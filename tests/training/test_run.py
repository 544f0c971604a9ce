"""A run can be stopped, killed, starved of disk, and resumed, and equals one left alone."""

from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from messages import messages, warned
from runs import SMALL, TEXT, checkpoint_of, losses, outcome, settings, start

from charloom.engines.base import State, Step
from charloom.errors import (
    ModelFileError,
    OutputError,
    SettingsError,
    TextError,
    TrainingError,
)
from charloom.model.model import Model
from charloom.model.scoring import Score
from charloom.model.storage.sealed import sealed
from charloom.settings import TextSettings
from charloom.text.corpus import InMemory
from charloom.training import saving, trainer
from charloom.training.checkpoint import write_checkpoint
from charloom.training.run import Run
from charloom.training.start import resume, train


@pytest.mark.parametrize("batches", ["streams", "lines", "windows"])
def test_resuming_at_any_step_equals_never_having_stopped(tmp_path, batches):
    start(tmp_path / "undisturbed", batches=batches).finish()
    for stop in random.Random(batches).sample(range(1, 12), 3):
        folder = tmp_path / f"stopped at {stop}"
        run = start(folder, batches=batches)
        for progress in run:
            if progress.step == stop:
                run.stop()
        resumed = resume(folder)
        assert isinstance(resumed, Run)
        assert resumed.step == stop
        resumed.finish()
        assert outcome(folder) == outcome(tmp_path / "undisturbed")


def test_a_run_stopped_after_every_step_equals_one_that_never_stopped(tmp_path):
    start(tmp_path / "undisturbed").finish()
    run = start(tmp_path / "run")
    while not run.finished:
        next(run)
        run.stop()
        run = resume(tmp_path / "run")
    run.stop()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


def test_a_death_between_any_two_writes_costs_nothing(tmp_path, monkeypatch):
    """The folder is copied before each call that makes a write last: a kill leaves that."""
    folder, copies = tmp_path / "run", []
    fsync, replace, truncate = os.fsync, Path.replace, os.truncate

    def copying(call):
        def copy_and_call(*arguments):
            if folder.exists():
                copies.append(tmp_path / f"copy {len(copies)}")
                shutil.copytree(folder, copies[-1])
            return call(*arguments)

        return copy_and_call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", copying(fsync))
        patch.setattr(os, "truncate", copying(truncate))
        patch.setattr(Path, "replace", copying(replace))
        start(folder).finish()
    assert len(copies) > 20
    for copy in copies:
        try:
            run = resume(copy)
        except ModelFileError:  # it was not a run yet, so it can be started there
            assert not (copy / "run.json").exists()
            run = start(copy)
        run.finish()
        assert outcome(copy) == outcome(folder), copy


def test_a_run_that_is_killed_goes_on_exactly(tmp_path):
    start(tmp_path / "undisturbed", steps=60).finish()
    folder = tmp_path / "killed"
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from charloom import resume
from runs import start
folder = Path({str(folder)!r})
run = resume(folder) if (folder / "run.json").exists() else start(folder, steps=60)
print("ready", flush=True)
for progress in run:
    time.sleep(0.02)
"""
    moment = random.Random(1)
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moment.uniform(0.1, 0.6))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    run = resume(folder)
    assert run.step < 60
    run.finish()
    assert outcome(folder) == outcome(tmp_path / "undisturbed")


def set_clock(monkeypatch, clock):
    """Give training another clock, and nobody else: a server that runs in another thread of
    this process would take its own deadlines for as far away as the machine has been up."""
    for one in (trainer, saving):
        monkeypatch.setattr(one, "time", SimpleNamespace(monotonic=clock))


def test_checkpoints_are_taken_by_the_clock_too(tmp_path, monkeypatch):
    clock = iter(range(10**6))
    set_clock(monkeypatch, lambda: float(next(clock)))
    run = start(tmp_path / "run", validate_every=1000, steps=1000)
    saved = set()
    for progress in run:
        if (tmp_path / "run" / "checkpoint.safetensors").exists():
            saved.add(checkpoint_of(tmp_path / "run").position.step)
        if progress.step == 50:
            break
    assert len(saved) > 1
    shutil.copytree(tmp_path / "run", tmp_path / "killed")
    assert resume(tmp_path / "killed").step == max(saved)


def test_a_resumed_run_logs_each_step_once(tmp_path):
    run = start(tmp_path / "run")
    for _ in range(6):  # the checkpoint is at the validation after step 4
        next(run)
    with (tmp_path / "run/log.jsonl").open("ab") as file:
        file.write(b'{"step": 7, "nats"')  # torn
    del run  # as a process that dies, it lets go of the folder
    resume(tmp_path / "run").finish()
    assert [step for step, *_ in losses(tmp_path / "run")] == list(range(1, 13))


def test_the_best_model_is_kept_and_not_the_last(tmp_path):
    run = start(tmp_path / "run", steps=40, learning_rate=0.5, clip_norm=0, decay="constant")
    validations = {p.step: p.validation for p in run if p.validation}
    best = min(validations, key=lambda step: validations[step].nats)
    model = Model.load(tmp_path / "run")
    assert model.provenance.step == best
    assert model.provenance.validation.nats == validations[best].nats
    assert run.best == validations[best]
    for name, weight in run.best_model().weights.items():
        assert np.array_equal(weight, model.weights[name])


def test_the_same_seed_gives_the_same_file_and_another_seed_another(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        start(tmp_path / name, seed=seed).finish()
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]


def test_a_run_in_memory_equals_one_in_a_folder(tmp_path):
    model = start(None).finish()
    model.save(tmp_path / "model.safetensors")
    start(tmp_path / "run").finish()
    in_folder = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert (tmp_path / "model.safetensors").read_bytes() == in_folder


def test_a_run_can_be_stopped_before_its_first_step(tmp_path):
    start(tmp_path / "run").stop()
    start(tmp_path / "undisturbed").finish()
    resume(tmp_path / "run").finish()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


def test_stopping_before_the_first_validation_leaves_a_model(tmp_path):
    run = start(tmp_path / "run")
    next(run)
    run.stop()
    model = Model.load(tmp_path / "run")
    assert model.provenance.step == 1
    assert model.provenance.validation is None
    assert list(run) == []


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    start(tmp_path / "run").finish()
    before = outcome(tmp_path / "run")
    run = resume(tmp_path / "run")
    assert run.finished
    assert list(run) == []
    assert outcome(tmp_path / "run") == before


class Exploding:
    """An engine whose loss is not finite at one step."""

    def __init__(self, engine, at: int) -> None:
        self.engine, self.at = engine, at

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def train_step(self, *arguments):
        self.at -= 1
        if self.at:
            return self.engine.train_step(*arguments)
        zero = State.zeros(SMALL, arguments[0].shape[1])
        return Step(nats=float("nan"), characters=1, gradient_norm=1.0, state=zero)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_good_model(tmp_path):
    run = start(tmp_path / "run")
    trainer = run._trainer
    trainer.engine = Exploding(trainer.engine, at=7)  # type: ignore[assignment]
    with pytest.raises(TrainingError, match=r"step 7: the loss is not finite \(nan.*0\.02"):
        run.finish()
    assert Model.load(tmp_path / "run").provenance.step == 4
    start(tmp_path / "undisturbed").finish()
    resume(tmp_path / "run").finish()  # the explosion was not in the weights
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


def test_patience_stops_a_run_that_gets_no_better(tmp_path):
    run = start(
        tmp_path / "run", steps=500, validate_every=2, patience=3, learning_rate=1.0,
        decay="constant", clip_norm=0,
    )  # fmt: skip
    history = [p for p in run if p.validation]
    assert run.finished
    assert history[-1].step < 500
    assert [p.best for p in history[-4:]] == [True, False, False, False]
    assert list(resume(tmp_path / "run")) == []


def scores(monkeypatch, *nats: float) -> None:
    """Let validations find these totals, one after the other."""
    found = iter([Score(nats=total, characters=9) for total in nats])
    monkeypatch.setattr(trainer, "evaluate", lambda *arguments, **options: next(found))


def test_patience_counts_from_the_best_validation(tmp_path, monkeypatch):
    scores(monkeypatch, 5, 6, 4, 7, 4, 9, 1)
    run = start(tmp_path / "run", steps=500, validate_every=1, patience=3)
    assert [p.best for p in run] == [True, False, True, False, False, False]
    assert Model.load(tmp_path / "run").provenance.step == 3


def test_patience_is_not_renewed_by_resuming(tmp_path, monkeypatch):
    scores(monkeypatch, 5, 6, 6, 6, 1)
    run = start(tmp_path / "run", steps=500, validate_every=1, patience=3)
    for progress in run:
        if progress.step == 3:
            run.stop()
    assert [p.step for p in resume(tmp_path / "run")] == [4]


def test_a_resumed_run_knows_the_best_model_before_it_goes_on(tmp_path, monkeypatch):
    scores(monkeypatch, 5, 6)
    run = start(tmp_path / "run", validate_every=2)
    for progress in run:
        if progress.step == 5:
            run.stop()
    resumed = resume(tmp_path / "run")
    saved = Model.load(tmp_path / "run")
    assert resumed.best == run.best
    assert resumed.best_model().provenance == run.best_model().provenance == saved.provenance
    for name, weight in saved.weights.items():
        assert np.array_equal(resumed.best_model().weights[name], weight)
        assert np.array_equal(run.best_model().weights[name], weight)
    resumed.stop()


def test_patience_without_anything_held_out_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="patience"):
        train(
            InMemory(TEXT),
            output=tmp_path / "run",
            text=TextSettings(validation_fraction=0),
            training=settings(patience=2),
        )
    assert not (tmp_path / "run").exists()


def test_without_a_validation_the_last_model_is_kept(tmp_path):
    run = train(
        InMemory(TEXT),
        output=tmp_path / "run",
        model=SMALL,
        text=TextSettings(validation_fraction=0),
        training=settings(),
    )
    assert all(p.validation is None for p in run)
    model = Model.load(tmp_path / "run")
    assert model.provenance.step == 12
    assert model.provenance.validation is None


def test_a_text_of_its_own_can_be_held_out(tmp_path):
    (tmp_path / "other.txt").write_text("99 bottles of dark ale?\n")
    run = train(
        InMemory(TEXT),
        output=tmp_path / "run",
        validation=tmp_path / "other.txt",
        model=SMALL,
        training=settings(),
    )
    for _ in range(5):
        next(run)
    run.stop()
    (tmp_path / "other.txt").unlink()  # resuming needs no source
    run = resume(tmp_path / "run")
    run.finish()
    assert run.best is not None
    assert run.best.characters == 24
    assert run.best.unknown_characters == 1  # the question mark
    split = Model.load(tmp_path / "run").provenance.split
    assert split is not None
    assert split.training.stop == len(TEXT)


@pytest.mark.parametrize("text", ["ab", "abc", "a\nb", "to be or not"])
def test_tiny_texts_train(text):
    run = start(None, text=text, steps=3)
    assert all(np.isfinite(p.bits_per_character) for p in run)


@pytest.mark.parametrize("batches", ["streams", "lines", "windows"])
def test_a_validation_smaller_than_a_batch_is_measured(batches):
    lines = "one\ntwo\nthree\nfour\nfive\n"
    run = train(
        InMemory(lines * 2),
        model=SMALL,
        text=TextSettings(validation_fraction=0.15),
        training=settings(batches=batches, batch_size=64, sequence_length=8),
    )
    run.finish()
    assert run.best is not None
    assert 0 < run.best.characters < 64


def test_a_start_whose_log_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(file, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", full)
        with pytest.raises(OutputError, match="No space left"):
            start(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    start(tmp_path / "run").stop()


def test_a_text_that_is_too_short_says_so_and_leaves_nothing(tmp_path):
    with pytest.raises(TextError, match=r"too short to train on \(1 character\):"):
        start(tmp_path / "run", text="a")
    with pytest.raises(TextError, match="window"):
        start(tmp_path / "run", text="short", batches="windows")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_never_overwritten(tmp_path):
    start(tmp_path / "run").finish()
    before = outcome(tmp_path / "run")
    with pytest.raises(OutputError, match="go on with `resume`"):
        start(tmp_path / "run")
    assert outcome(tmp_path / "run") == before


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputError, match="cannot be made"):
        start(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_two_processes_do_not_train_one_run(tmp_path):
    run = start(tmp_path / "run")
    next(run)
    with pytest.raises(TrainingError, match="this very process"):
        resume(tmp_path / "run")
    code = f"import charloom; charloom.resume({str(tmp_path / 'run')!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"TrainingError" in other.stderr
    assert b"another process is training here" in other.stderr
    run.stop()
    resume(tmp_path / "run").stop()


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelFileError, match=r"not the folder of a run"):
            resume(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"format": 1}',
        sealed({"format": 1}),
        sealed({"format": 3}),
        sealed({"format": "x"}),
    ],
)
def test_a_damaged_or_newer_plan_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    message = "format 3.*upgrade" if b'"format": 3' in content else "is damaged|not the folder"
    with pytest.raises(ModelFileError, match=message):
        resume(tmp_path)


def test_a_cut_off_checkpoint_is_refused(tmp_path):
    start(tmp_path / "run").finish()
    file = tmp_path / "run" / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="truncated"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_stops_the_run_and_costs_nothing(tmp_path, monkeypatch, call):
    start(tmp_path / "undisturbed").finish()
    run = start(tmp_path / "run")
    for _ in range(6):
        next(run)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OutputError, match="No space left"):
            run.finish()
    with pytest.raises(TrainingError, match="interrupted"):
        next(run)  # it does not go on as if nothing had happened
    run.stop()
    resumed = resume(tmp_path / "run")
    assert resumed.step == 4
    resumed.finish()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


def test_an_interrupt_in_the_middle_of_a_step_loses_only_what_was_not_saved(tmp_path, monkeypatch):
    start(tmp_path / "undisturbed").finish()
    run = start(tmp_path / "run")
    for _ in range(5):
        next(run)
    with monkeypatch.context() as patch:

        def interrupted(*arguments):
            raise KeyboardInterrupt

        patch.setattr(run._trainer, "validation_is_due", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(run)
    run.stop()
    resumed = resume(tmp_path / "run")
    assert resumed.step == 4
    resumed.finish()
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


def test_minutes_are_kept(tmp_path):
    began = time.monotonic()
    # Of a shorter text, the most passes that help may end before the minutes do.
    run = start(tmp_path / "run", TEXT * 10, steps=None, minutes=1 / 60, validate_every=None)
    progress = list(run)
    assert 0.5 < time.monotonic() - began < 5
    assert run.finished
    assert progress[-1].step == progress[-1].steps
    assert progress[-1].validation is not None
    assert progress[-1].learning_rate < 0.5 * max(p.learning_rate for p in progress)


def test_a_run_of_minutes_goes_on_with_the_time_and_the_plan_it_had(tmp_path, monkeypatch):
    now = 0.0

    def clock():
        nonlocal now
        now += 0.05
        return now

    set_clock(monkeypatch, clock)
    run = start(tmp_path / "run", steps=None, minutes=0.15, validate_every=None)
    for progress in run:
        if progress.seconds > 4.5:
            break
    run.stop()
    planned, spent = run.steps, run.seconds
    now = 1e6  # a long night
    resumed = resume(tmp_path / "run")
    assert (resumed.steps, resumed.seconds) == (planned, spent)
    first, *_, last = resumed
    assert spent < first.seconds < spent + 1
    assert last.seconds == pytest.approx(9, rel=0.2)


def test_epochs_are_counted(tmp_path):
    run = start(None, steps=None, epochs=2)
    progress = list(run)
    assert progress[-1].epoch == pytest.approx(2, abs=0.05)
    characters = sum(p.characters for p in progress)
    assert characters == pytest.approx(2 * 0.9 * len(TEXT), rel=0.05)


def test_every_batch_is_read_once_and_the_state_is_carried(monkeypatch):
    run = start(None, steps=None, epochs=2, unknown_share=0)
    batches, engine, read = run._trainer._batches, run._trainer.engine, []
    step = engine.train_step

    def noted(inputs, targets, state, settings):
        done = step(inputs, targets, state, settings)
        read.append((inputs, targets, state, done.state))
        return done

    monkeypatch.setattr(engine, "train_step", noted)
    run.finish()
    expected = [(e, i) for e in range(2) for i in range(batches.batches_in(e))]
    after = None
    for place, (inputs, targets, before, end) in zip(expected, read, strict=True):
        batch = batches.batch(*place)
        assert np.array_equal(inputs, batch.inputs)
        assert np.array_equal(targets, batch.targets)
        carried = 0 if after is None or batch.fresh else after.hidden
        assert np.array_equal(before.hidden, np.broadcast_to(carried, before.hidden.shape))
        after = end
    assert sum(np.any(before.hidden) for _, _, before, _ in read) == len(read) - 2


def test_samples_can_be_taken_while_training_and_change_nothing(tmp_path):
    start(tmp_path / "undisturbed").finish()
    run = start(tmp_path / "run")
    for _ in run:
        assert len(run.sample(20)) == 20
    assert outcome(tmp_path / "run") == outcome(tmp_path / "undisturbed")


def test_going_on_with_other_kernels_is_said(tmp_path):
    run = start(tmp_path / "run")
    next(run)
    run.stop()
    checkpoint = replace(checkpoint_of(tmp_path / "run"), kernels="an abacus")
    write_checkpoint(tmp_path / "run" / "checkpoint.safetensors", checkpoint)
    with warned("an abacus"):
        resume(tmp_path / "run").stop()


def test_a_run_logs_its_start_and_its_validations():
    with messages(level=logging.INFO) as told:
        run = start(None, steps=9, validate_every=4)
        for _ in range(5):
            next(run)
        run.stop()
    first, validation = told
    assert first.startswith("Run(step 0 of 9, lstm 2 x 8), 2 layers of 8 units")
    bits = run.best.bits_per_character
    assert validation == f"step 4 of 9: {bits:.4f} bits per character held out, the best so far"
