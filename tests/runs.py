"""Small runs, a plan, and what of a run must be equal to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

from charloom.settings import ModelSettings, TextSettings, TrainingSettings
from charloom.text.corpus import InMemory
from charloom.text.vocabulary import Vocabulary
from charloom.training.checkpoint import Checkpoint, read_checkpoint
from charloom.training.folder import RunFolder
from charloom.training.plan import Plan
from charloom.training.run import Run
from charloom.training.start import train

TEXT = "".join(f"{n} bottles of {color} ale\n" for n in range(40) for color in ("red", "dark"))
SMALL = ModelSettings(hidden_size=8, num_layers=2)


PART = {"start": 0, "stop": 9, "sha256": "0" * 64}
PLAN = Plan(
    text=TextSettings(),
    model=ModelSettings(hidden_size=2, num_layers=2),
    training=TrainingSettings(),
    vocabulary=Vocabulary.of("abc", unknown=True),
    corpus={"characters": 9, "utf8_bytes": 9, "sha256": "0" * 64, "unknown_count": 0},
    split={"training": PART, "validation": PART},
)


def settings(**changes) -> TrainingSettings:
    values = {
        "batches": "streams",
        "steps": 12,
        "batch_size": 4,
        "sequence_length": 8,
        "validate_every": 4,
        "dropout": 0.2,
        "unknown_share": 0.05,
        "learning_rate": 0.02,
        "warmup_steps": 3,
    }
    return TrainingSettings(**{**values, **changes})


def start(folder: Path | None, text: str = TEXT, model: ModelSettings = SMALL, **changes) -> Run:
    return train(InMemory(text), output=folder, model=model, training=settings(**changes))


def losses(folder: Path) -> list[tuple[int, float, float, float | None]]:
    """All that is deterministic in the lines of a log."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [
        (
            line["step"],
            line["nats"],
            line["gradient_norm"],
            line["validation"]["nats"] if "validation" in line else None,
        )
        for line in lines
    ]


def checkpoint_of(folder: Path) -> Checkpoint:
    files = RunFolder(folder)
    return read_checkpoint(files.checkpoint, files.read_plan())


def outcome(folder: Path) -> tuple[bytes, list, dict[str, bytes]]:
    """What must be equal to the last bit: the best model, the log, the last weights."""
    checkpoint = checkpoint_of(folder)
    groups = {
        "weight": checkpoint.weights,
        "mean": checkpoint.optimizer.mean,
        "mean square": checkpoint.optimizer.mean_square,
        "state": {"hidden": checkpoint.state.hidden, "cell": checkpoint.state.cell},
    }
    last = {
        f"{group} {name}": array.tobytes()
        for group, arrays in groups.items()
        for name, array in arrays.items()
    }
    return (folder / "model.safetensors").read_bytes(), losses(folder), last
