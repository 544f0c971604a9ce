"""A run passes its steps on, whatever becomes of their events; peers/ reads real ones."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from messages import messages
from runs import start

import charloom
from charloom.cli.main import main
from charloom.errors import SettingsError
from charloom.inspection import tensorboard


def record(**values):
    return SimpleNamespace(**values)


@pytest.fixture
def written(monkeypatch) -> list[SimpleNamespace]:
    """The events that a writer which is not there has got."""
    events: list[SimpleNamespace] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            if folder.endswith("nowhere"):
                raise OSError("no such place")
            self.is_full = folder.endswith("full")

        def add_event(self, event):
            if self.is_full and len(events) == 3:
                raise OSError("no space left")
            events.append(event)

        def close(self):
            events.append("closed")

    def summary(value):
        return {v.tag: v.simple_value for v in value}

    summary.Value = record

    def log(status):
        return status

    log.START = 1
    proto = {
        "event_pb2": SimpleNamespace(Event=record, SessionLog=log),
        "summary_pb2": SimpleNamespace(Summary=summary),
    }
    for name, parts in {
        "tensorboard": {},
        "tensorboard.compat": {},
        "tensorboard.compat.proto": proto,
        "tensorboard.summary": {},
        "tensorboard.summary.writer": {},
        "tensorboard.summary.writer.event_file_writer": {"EventFileWriter": Writer},
    }.items():
        module = ModuleType(name)
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    return events


def test_every_step_has_its_losses_and_a_validation_the_held_out_ones(written, tmp_path):
    run = start(None, steps=4, validate_every=2)
    steps = list(charloom.tensorboard(run, tmp_path))
    first, *events, last = written
    assert (first.step, last) == (1, "closed")
    assert [event.step for event in events] == [p.step for p in steps] == [1, 2, 3, 4]
    for event, progress in zip(events, steps, strict=True):
        assert event.summary["bits_per_character/training"] == progress.bits_per_character
        held_out = event.summary.get("bits_per_character/held_out")
        assert held_out == (progress.validation and progress.validation.bits_per_character)


@pytest.mark.parametrize("place", ["nowhere", "full"])
def test_events_that_cannot_be_written_cost_a_warning_and_not_the_run(written, tmp_path, place):
    run = start(None, steps=6)
    with messages() as told:
        assert len(list(charloom.tensorboard(run, tmp_path / place))) == 6
    (message,) = told
    assert "no more events for TensorBoard" in message


def test_steps_whose_numbers_are_on_a_device_are_written_when_they_can_be_read(written, tmp_path):
    events = tensorboard._Events(tmp_path, 0)
    outcome = SimpleNamespace(ready=False)
    progress = SimpleNamespace(
        step=1, outcome=outcome, bits_per_character=2.0, gradient_norm=1.0, learning_rate=0.1,
        validation=None,
    )  # fmt: skip
    events.add(progress)
    assert len(written) == 1
    outcome.ready = True
    events.add(SimpleNamespace(**{**vars(progress), "outcome": SimpleNamespace(ready=False)}))
    assert len(written) == 2
    events.close()
    assert len(written) == 4


def test_without_the_extra_there_is_one_line_and_nothing_is_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[tensorboard\]'"):
        charloom.tensorboard(start(None), tmp_path)
    monkeypatch.setattr("charloom.cli.training.find_spec", lambda name: None)
    (tmp_path / "a.txt").write_text("the fox\n" * 50)
    run = str(tmp_path / "run")
    assert main(["train", str(tmp_path / "a.txt"), "-o", run, "--tensorboard"]) == 2
    assert "charloom[tensorboard]" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
