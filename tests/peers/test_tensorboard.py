"""TensorBoard itself reads the events of a run, also of one that was stopped and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import start

import charloom

pytest.importorskip("tensorboard")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


@pytest.mark.filterwarnings("default")  # of TensorBoard's own code
def test_tensorboard_shows_each_step_once_though_a_run_was_killed_and_resumed(tmp_path):
    run, events = start(tmp_path / "run", steps=8, validate_every=4), tmp_path / "events"
    for progress in charloom.tensorboard(run, events):
        if progress.step == 6:  # of which the checkpoint knows four
            break
    run._close()
    again = charloom.resume(tmp_path / "run")
    first = again.step
    assert first < 6
    losses = {p.step: p.bits_per_character for p in charloom.tensorboard(again, events)}
    found = scalars(events)
    assert [step for step, _ in found["bits_per_character/training"]] == list(range(1, 9))
    assert [step for step, _ in found["bits_per_character/held_out"]] == [4, 8]
    shown = dict(found["bits_per_character/training"])
    assert {step: shown[step] for step in losses} == pytest.approx(losses, rel=1e-6)
