"""The log of a run as CSV, a row for each optimizer step."""

from __future__ import annotations

import csv
import io
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import ModelFileError
from ..files import replacing
from ..training.folder import RunFolder
from ..training.log import Entry, read_log

VALIDATION = ("bits_per_character", "nats_per_character", "nats", "characters")
"""What is exported of a validation; the columns start with "validation_"."""


def export_log(run: str | Path, path: str | Path) -> int:
    """Write the log of a run as CSV, a row for each optimizer step; returns how many.

    The columns are those of log.jsonl, with validations flattened to `validation_...`; they are
    empty at steps without one. ModelFileError if `run` is not the folder of a run, or has no
    step yet, OutputError if the file cannot be written.

    >>> import charloom, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> run = charloom.train(
    ...     charloom.InMemory("the cat sat on the mat. " * 20),
    ...     output=folder / "run",
    ...     model=charloom.ModelSettings(hidden_size=4, num_layers=1),
    ...     training=charloom.TrainingSettings(steps=3),
    ... )
    >>> model = run.finish()
    >>> charloom.export_log(folder / "run", folder / "log.csv")
    3
    >>> (folder / "log.csv").read_text().splitlines()[0][:17]
    'step,steps,epoch,'
    """
    folder = RunFolder(run)
    if not folder.plan.exists():
        raise ModelFileError(f"{run}: is not the folder of a run; give one that train has made")
    rows = (_flat(entry) for entry in read_log(folder.log))
    first = next(rows, None)
    if first is None:
        raise ModelFileError(f"{folder.log}: has no step yet; train it first")
    count = 0
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.DictWriter(text, list(first), lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for row in chain([first], rows):
            writer.writerow(row)
            count += 1
        text.detach()  # flushes; `replacing` closes the file
    return count


def _flat(entry: Entry) -> dict[str, Any]:
    flat = entry.model_dump(exclude={"validation", "best"})
    measured = entry.validation
    values = {name: measured and getattr(measured, name) for name in VALIDATION}
    return flat | {f"validation_{name}": value for name, value in values.items()}
