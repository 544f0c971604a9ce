"""Exported models beside charloom: sizes, errors, and rates as ratios, in turns in one run.

    python benchmarks/formats.py    # needs charloom[peers]

A rate is the median of seven turns, in characters per second of the one processor that each uses.
"one at a time" calls the runtime for each character with the state that the last call gave, as
generation has to; charloom's number there is its `Model.generate`, sampling included.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch

import charloom
from charloom.export import onnx

VOCABULARY = charloom.Vocabulary.of("".join(map(chr, range(32, 97))))
TURNS = 7


def main() -> None:
    """A row for each size of network."""
    torch.set_num_threads(1)
    for hidden_size in (128, 256):
        settings = charloom.ModelSettings(hidden_size=hidden_size, num_layers=2)
        model = charloom.Model.untrained(settings, VOCABULARY, precision="float32", threads=1)
        compare(model)


def compare(model: charloom.Model) -> None:
    """Size, error and rates of one model."""
    data = onnx.build(model).SerializeToString(deterministic=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    module = model.to_torch()
    shape = (model.settings.num_layers, 1, model.settings.hidden_size)
    zeros = np.zeros(shape, np.float32)
    ids = np.random.default_rng(0).integers(0, model.vocabulary.size, (2000, 1))

    expected, _ = model.engine.logits(ids.astype(np.int32), model.engine.zero_state(1))
    with torch.no_grad():
        theirs = module(torch.tensor(ids))[0].numpy()
    found = session.run(None, {"ids": ids, "hidden": zeros, "cell": zeros})[0]
    errors = [float(np.abs(one - expected).max()) for one in (found, theirs)]

    def stepping() -> None:
        hidden, cell = zeros, zeros
        for one in ids[:300, None]:
            _, hidden, cell = session.run(None, {"ids": one, "hidden": hidden, "cell": cell})

    def reading() -> None:
        session.run(None, {"ids": ids, "hidden": zeros, "cell": zeros})

    rates = in_turns(
        {
            "charloom generates": (lambda: "".join(model.generate("A", length=2000)), 2000),
            "onnxruntime one at a time": (stepping, 300),
            "charloom reads": (
                lambda: model.engine.logits(ids.astype(np.int32), model.engine.zero_state(1)),
                2000,
            ),
            "onnxruntime reads": (reading, 2000),
        }
    )
    print(f"H{model.settings.hidden_size} L2: {len(data):,} bytes of ONNX for {model.parameters:,}")
    print(f"  largest error of a logit: onnxruntime {errors[0]:.1e}, PyTorch {errors[1]:.1e}")
    for name, rate in rates.items():
        print(f"  {name}: {rate:,.0f} characters/s")


def in_turns(programs: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Characters a second of processor time of each, the median of its turns."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(TURNS + 1):
        for name, (program, _) in programs.items():
            start = time.process_time()
            program()
            if turn:  # the first warms up
                seconds[name].append(time.process_time() - start)
    return {n: programs[n][1] / statistics.median(times) for n, times in seconds.items()}


if __name__ == "__main__":
    main()
