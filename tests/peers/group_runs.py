"""Runs in a group of processes, or alone: run by test_torchrun.py and campaigns/elastic.py.

    python group_runs.py FOLDER STEPS KIND...

Each KIND is a run in FOLDER/KIND over a text made here: streams, lines, windows, few (fewer
streams than processes). With KILL_AT_CHECKPOINT=N in the environment process 0 is killed while it
writes its N-th checkpoint, unless torchrun has started it again.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

import charloom
from charloom.files import replacing
from charloom.training import saving

TEXT = "".join(f"{n} bottles of {'ale ' * (n % 7)}\n" for n in range(90))
KINDS = {
    "streams": {"batches": "streams", "batch_size": 10},
    "lines": {"batches": "lines", "batch_size": 10},
    "windows": {"batches": "windows", "batch_size": 10},
    "few": {"batches": "streams", "batch_size": 3},
}


def kill_while_writing(number: int) -> None:
    """Let this process die in the middle of its N-th checkpoint."""
    write, calls = saving.write_checkpoint, []

    def dying(path: Path, checkpoint: object) -> None:
        calls.append(path)
        if len(calls) == number:
            with replacing(path) as file:
                file.write(b"half a checkpoint")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        write(path, checkpoint)

    saving.write_checkpoint = dying


def main(folder: str, steps: str, *kinds: str) -> None:
    torch.set_num_threads(1)
    if "KILL_AT_CHECKPOINT" in os.environ and os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0":
        kill_while_writing(int(os.environ["KILL_AT_CHECKPOINT"]))
    for kind in kinds:
        settings = charloom.TrainingSettings(
            engine="torch",
            device="cpu",
            steps=int(steps),
            sequence_length=9,
            validate_every=25,
            learning_rate=0.004,
            dropout=0.2,
            clip_norm=0.5,
            **KINDS[kind],
        )
        run = charloom.train(
            charloom.InMemory(TEXT),
            output=Path(folder, kind),
            model=charloom.ModelSettings(hidden_size=24, num_layers=2),
            training=settings,
        )
        run.finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
