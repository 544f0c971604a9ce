"""One network against several side by side, with the same operations: quality and speed.

    python benchmarks/members.py tinyshakespeare.txt --members 1 2 4 --seeds 0 1 2
    python benchmarks/members.py aesop.txt --characters 20000
    python benchmarks/members.py tinyshakespeare.txt --units 896 --steps 1470

Markdown rows: what `train` chose, nats a character of what is held out, the seconds of training,
and the characters a second that the merged model then generates (one stream) and evaluates.
`--units` are those of all members together. The last row of each number of members is the mean.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import charloom
from charloom import InMemory, ModelSettings, TrainingSettings

GENERATED = 4000


def rates(model: charloom.Model, held_out: str) -> tuple[float, float]:
    """Characters a second that are generated and evaluated, the best of three turns each."""
    generated, evaluated = 0.0, 0.0
    for _ in range(3):
        start = time.perf_counter()
        "".join(model.generate(held_out[:20], length=GENERATED, seed=1))
        generated = max(generated, GENERATED / (time.perf_counter() - start))
        start = time.perf_counter()
        score = model.evaluate(InMemory(held_out))
        evaluated = max(evaluated, score.characters / (time.perf_counter() - start))
    return generated, evaluated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--characters", type=int, help="of the text's beginning alone")
    parser.add_argument("--units", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--cell", default="lstm")
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8")[: options.characters]
    shape = {"cell": options.cell} | ({"hidden_size": options.units} if options.units else {})
    how = {name: getattr(options, name) for name in ("steps", "minutes") if getattr(options, name)}
    print("| members | seed | chosen | weights | seconds | nats | generated/s | evaluated/s |")
    print("| --- " * 8 + "|")
    for members in options.members:
        nats = []
        for seed in options.seeds:
            training = TrainingSettings(members=members, seed=seed, **how)
            start = time.perf_counter()
            run = charloom.train(
                InMemory(text),
                model=ModelSettings(**shape),
                training=training,
                start_from=None,
            )
            model = run.finish()
            seconds = time.perf_counter() - start
            assert run.best is not None
            nats.append(run.best.nats_per_character)
            speeds = " | ".join(f"{rate:,.0f}" for rate in rates(model, text[-50_000:]))
            print(
                f"| {members} | {seed} | {run.plan.choice} | {run.parameters:,} | {seconds:.0f} "
                f"| {nats[-1]:.4f} | {speeds} |",
                flush=True,
            )
        if len(nats) > 1:
            error = statistics.stdev(nats) / len(nats) ** 0.5
            mean = f"{statistics.mean(nats):.4f} (standard error {error:.4f})"
            print(f"| {members} | all | | | | {mean} | | |", flush=True)


if __name__ == "__main__":
    main()
