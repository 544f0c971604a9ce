"""Checkpoints: all that a run needs, besides its plan and ids, to go on exactly."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from ..engines.base import OptimizerState, State
from ..engines.members import member_shapes
from ..engines.weights import Array, Weights, weight_shapes
from ..errors import ModelFileError, SettingsError, shown
from ..model.storage.container import read_container, write_container
from ..model.storage.provenance import Count
from ..settings import Settings
from .plan import Plan
from .position import Position

CHECKPOINT_FILE = "checkpoint.safetensors"
"""The run itself, in a run folder."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that a run needs, besides its plan and ids, to go on as if never stopped."""

    weights: Weights
    optimizer: OptimizerState
    state: State
    """Carried along the streams."""
    position: Position
    precision: str
    """In which it was computed, and goes on to be."""
    kernels: str
    """That computed it; others give other last digits."""


class _Description(Settings):
    """What the file holds besides tensors."""

    optimizer_steps: Count
    position: Position
    precision: str = Field(max_length=40)
    kernels: str = Field(max_length=80)


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, in float32; equal content gives equal bytes."""
    optimizer, state = checkpoint.optimizer, checkpoint.state.numpy()
    tensors = {"state.hidden": state.hidden, "state.cell": state.cell}
    for group, arrays in (
        ("weights", checkpoint.weights),
        ("mean", optimizer.mean),
        ("mean_square", optimizer.mean_square),
    ):
        tensors |= {f"{group}/{name}": values for name, values in arrays.items()}
    content: dict[str, Any] = {
        "optimizer_steps": optimizer.steps,
        "position": asdict(checkpoint.position),
        "precision": checkpoint.precision,
        "kernels": checkpoint.kernels,
    }
    write_container(path, "checkpoint", tensors, content)


def read_checkpoint(path: str | Path, plan: Plan) -> Checkpoint:
    """Read the checkpoint of a run with this plan, or raise ModelFileError as `read_model` does."""
    path = Path(path)
    tensors, content = read_container(path, "checkpoint")
    try:
        about = _Description(**content)
    except (TypeError, SettingsError) as error:
        raise ModelFileError(f"{path}: its description makes no sense ({shown(error)})") from None
    shapes = weight_shapes(plan.model, plan.vocabulary.size)
    if plan.training.members > 1:
        shapes = member_shapes(plan.model, plan.vocabulary.size, plan.training.members)
    shape = (plan.model.num_layers, None, plan.model.hidden_size)

    def take(name: str, shape: tuple[int | None, ...]) -> Array:
        values = tensors.pop(name, None)
        if values is None or not _fits(values, shape):
            given = "is missing" if values is None else f"is {values.dtype} {values.shape}"
            expected = str(shape).replace("None", "any")
            raise ModelFileError(
                f"{path}: the tensor {name} {given}; its run needs float32 {expected}"
            )
        return values

    def group(prefix: str) -> Weights:
        return {name: take(f"{prefix}/{name}", shape) for name, shape in shapes.items()}

    checkpoint = Checkpoint(
        weights=group("weights"),
        optimizer=OptimizerState(
            steps=about.optimizer_steps, mean=group("mean"), mean_square=group("mean_square")
        ),
        state=State(hidden=take("state.hidden", shape), cell=take("state.cell", shape)),
        position=about.position,
        precision=about.precision,
        kernels=about.kernels,
    )
    if tensors:
        named = shown(", ".join(sorted(tensors)))
        raise ModelFileError(f"{path}: its run does not need its tensors {named}")
    if checkpoint.state.hidden.shape != checkpoint.state.cell.shape:
        raise ModelFileError(f"{path}: its hidden state and cell state differ in shape")
    return checkpoint


def _fits(values: Array, shape: tuple[int | None, ...]) -> bool:
    return (
        values.dtype == "float32"
        and values.ndim == len(shape)
        and all(size in (None, found) for size, found in zip(shape, values.shape, strict=True))
    )
