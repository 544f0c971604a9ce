"""Checkpoints: all that a run needs, besides its settings and ids, to go on exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engines.base import OptimizerState, State
from ..engines.weights import Weights
from ..errors import ModelFileError
from ..model.container import read_container, write_container

CHECKPOINT_FILE = "checkpoint.safetensors"
"""The run itself, in a run folder."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that a run needs, besides its settings and ids, to go on as if never stopped."""

    weights: Weights
    optimizer: OptimizerState
    state: State
    """Carried along the streams."""
    progress: dict[str, Any]
    """Plain JSON; floats come back bit for bit, inf and nan included."""


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a run, arrays in their own dtype; equal content gives equal bytes."""
    optimizer, state = checkpoint.optimizer, checkpoint.state.numpy()
    tensors = {"state.hidden": state.hidden, "state.cell": state.cell}
    for group, arrays in (
        ("weights", checkpoint.weights),
        ("mean", optimizer.mean),
        ("mean_square", optimizer.mean_square),
    ):
        tensors |= {f"{group}/{name}": values for name, values in arrays.items()}
    content = {"optimizer_steps": optimizer.steps, "progress": checkpoint.progress}
    write_container(path, "checkpoint", tensors, content)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a run, or raise ModelFileError as `read_model` does."""
    path = Path(path)
    tensors, content = read_container(path, "checkpoint")
    groups: dict[str, Weights] = {"weights": {}, "mean": {}, "mean_square": {}}
    try:
        state = State(hidden=tensors.pop("state.hidden"), cell=tensors.pop("state.cell"))
        for name, values in tensors.items():
            group, _, weight = name.partition("/")
            groups[group][weight] = values
        optimizer = OptimizerState(
            steps=content["optimizer_steps"],
            mean=groups["mean"],
            mean_square=groups["mean_square"],
        )
        progress = content["progress"]
    except KeyError as error:
        raise ModelFileError(f"{path}: {error} does not fit a checkpoint") from None
    return Checkpoint(
        weights=groups["weights"], optimizer=optimizer, state=state, progress=progress
    )
