"""Runs of several members: exact, merged, and never half a step."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runs import SMALL, TEXT, losses, start

from charloom.errors import SettingsError, TrainingError
from charloom.settings import ModelSettings, TrainingSettings
from charloom.text.corpus import InMemory
from charloom.training.defaults import TextShape, choose
from charloom.training.folder import RunFolder
from charloom.training.start import resume, train


def test_a_run_that_was_stopped_goes_on_to_the_last_bit(tmp_path):
    whole = start(tmp_path / "whole", members=2).finish()
    run = start(tmp_path / "parts", members=2)
    for _ in range(5):
        next(run)
    run.stop()
    again = resume(tmp_path / "parts").finish()
    for name, values in whole.weights.items():
        np.testing.assert_array_equal(again.weights[name], values)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


def test_the_model_is_the_network_that_was_validated(tmp_path):
    run = start(tmp_path / "run", members=4)
    model = run.finish()
    assert model.settings == SMALL
    assert model.provenance.training.members == 4
    held_out = TEXT[-run.best.characters - 1 :]
    nats = model.evaluate(held_out).nats_per_character
    assert nats == pytest.approx(run.best.nats_per_character, abs=0.02)  # one character of context
    matrix = model.weights["lstm.weight_hh_l1"]
    assert matrix.shape == (32, 8)
    assert (matrix[:2, 2:] == 0).all()
    assert (matrix[:2, :2] != 0).all()


def test_half_a_step_is_never_saved(tmp_path, monkeypatch):
    run = start(tmp_path / "run", members=2)
    for _ in range(4):
        next(run)
    run._save()
    before = (RunFolder(tmp_path / "run").path / "checkpoint.safetensors").read_bytes()
    next(run)
    second = run._trainer.engine._members[1]
    weights = second.weights()
    weights["head.weight"][0, 0] = np.inf
    second.load(weights, second.optimizer_state())
    with pytest.raises(TrainingError, match="the loss is not finite"):
        next(run)
    after = (RunFolder(tmp_path / "run").path / "checkpoint.safetensors").read_bytes()
    assert after == before


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"members": 3}, "hidden_size: 8 was given, which 3 members cannot share evenly"),
        ({"members": 2, "engine": "torch"}, "engine torch trains one network"),
    ],
)
def test_what_does_not_go_together_is_refused_and_leaves_no_folder(tmp_path, how, message):
    with pytest.raises(SettingsError, match=message):
        start(tmp_path / "run", **how)
    assert not (tmp_path / "run").exists()


def test_members_do_not_start_from_a_base(tmp_path):
    base = start(None).finish()
    with pytest.raises(SettingsError, match="which the run starts from, is one network"):
        train(InMemory(TEXT), training=TrainingSettings(members=2, steps=2), start_from=base)


def test_members_share_the_work_of_the_budget():
    text = TextShape(characters=1_003_854, held_out=111_540, vocabulary_size=66)
    chosen = choose(ModelSettings(), TrainingSettings(members=2), text)
    assert chosen.model.hidden_size == 640
    assert chosen.summary.startswith("2 networks side by side, together 2 layers of 640 units")
