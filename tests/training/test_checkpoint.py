"""Checkpoints: they come back bit for bit, or are refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from runs import PLAN

from charloom.engines.base import OptimizerState, State
from charloom.engines.weights import weight_shapes
from charloom.errors import ModelFileError
from charloom.model.scoring import Score
from charloom.model.storage.container import read_container, write_container
from charloom.model.storage.file import read_model
from charloom.settings import ModelSettings
from charloom.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from charloom.training.position import Position


def a_checkpoint() -> Checkpoint:
    random = np.random.default_rng(4)
    shapes = weight_shapes(PLAN.model, PLAN.vocabulary.size)

    def arrays() -> dict[str, np.ndarray]:
        return {name: random.normal(size=s).astype(np.float32) for name, s in shapes.items()}

    def state() -> np.ndarray:
        return random.normal(size=(2, 3, 2)).astype(np.float32)

    return Checkpoint(
        weights=arrays(),
        optimizer=OptimizerState(steps=7, mean=arrays(), mean_square=arrays()),
        state=State(hidden=state(), cell=state()),
        position=Position(
            step=7, steps=9, best_step=3, best=Score(nats=0.1 + 0.2, characters=1), seconds=1 / 3
        ),
        precision="float32",
        kernels="native avx2",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.safetensors"


def test_a_checkpoint_comes_back_bit_for_bit(path):
    run = a_checkpoint()
    write_checkpoint(path, run)
    back = read_checkpoint(path, PLAN)
    assert (back.position, back.precision, back.kernels) == (
        run.position,
        run.precision,
        run.kernels,
    )
    assert back.optimizer.steps == 7
    for found, saved in (
        (back.weights, run.weights),
        (back.optimizer.mean, run.optimizer.mean),
        (back.optimizer.mean_square, run.optimizer.mean_square),
        (vars(back.state), vars(run.state)),
    ):
        assert list(found) == list(saved)
        for name, values in saved.items():
            assert_array_equal(found[name], values)
            assert found[name].dtype == values.dtype


def test_a_checkpoint_is_not_taken_for_a_model(path):
    write_checkpoint(path, a_checkpoint())
    with pytest.raises(ModelFileError, match="is a checkpoint file, not a model file"):
        read_model(path)


def test_a_checkpoint_changed_or_cut_is_refused(path):
    write_checkpoint(path, a_checkpoint())
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(ModelFileError):
            read_checkpoint(path, PLAN)
        path.write_bytes(data[:at])
        with pytest.raises(ModelFileError):
            read_checkpoint(path, PLAN)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer_steps": -1},
        {"optimizer_steps": "many"},
        {"position": {}},
        {"position": {**asdict(Position(steps=9)), "best": [1, 2]}},
        {"precision": 3},
        {"kernels": "k" * 1000},
        {"colour": 3},
    ],
)
def test_a_description_that_makes_no_sense_is_refused(path, change):
    write_checkpoint(path, a_checkpoint())
    tensors, content = read_container(path, "checkpoint")
    write_container(path, "checkpoint", tensors, {**content, **change})
    with pytest.raises(ModelFileError, match="makes no sense"):
        read_checkpoint(path, PLAN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean/head.bias", None),
        ("mean/head.bias", np.zeros(5, np.float32)),
        ("weights/head.bias", np.zeros(4)),
        ("state.hidden", np.zeros((2, 2), np.float32)),
        ("state.hidden", np.zeros((1, 3, 2), np.float32)),
        ("state.cell", np.zeros((2, 4, 2), np.float32)),
        ("mean/../../evil", np.zeros(1, np.float32)),
    ],
)
def test_tensors_that_do_not_fit_the_plan_are_refused(path, name, value):
    write_checkpoint(path, a_checkpoint())
    tensors, content = read_container(path, "checkpoint")
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    write_container(path, "checkpoint", tensors, content)
    with pytest.raises(ModelFileError, match=r"tensor|differ"):
        read_checkpoint(path, PLAN)


def test_the_checkpoint_of_another_network_is_refused(path):
    write_checkpoint(path, a_checkpoint())
    wider = PLAN.replace(model=ModelSettings(hidden_size=3, num_layers=2))
    with pytest.raises(ModelFileError, match="its run needs float32"):
        read_checkpoint(path, wider)


def test_what_is_not_in_float32_is_written_in_float32(path):
    run = a_checkpoint()
    state = State(hidden=run.state.hidden.astype(float), cell=run.state.cell.astype(float))
    write_checkpoint(path, replace(run, state=state))
    assert_array_equal(read_checkpoint(path, PLAN).state.cell, run.state.cell)
