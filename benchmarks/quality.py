"""The quality that models reach on a text, and the time they take, as Markdown rows.

    python benchmarks/quality.py tinyshakespeare.txt                everything, about two hours
    python benchmarks/quality.py tinyshakespeare.txt --only recipes --recipe default --seeds 0 1

recipes     runs without flags, of half a minute (2 x 256) and of 15 minutes, and 2 x 128 for 2,000
            steps, whose seeds tell the spread; five seeds or `--seeds`, mean and standard error
precision   bfloat16 against float32 after equal steps, with five seeds or `--seeds`, and a control
int8        the loss from weights of 8 bits, for models of 128, 256 (the default) and 512 units
warmup      the error of parallel segments relative to one stream, by the length of the warm-up

The last tenth of the text is held out. Times are those of training, including validation.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import charloom
from charloom import ModelSettings, TrainingSettings
from charloom.model.scoring import SEGMENTS, WARMUP, evaluate

RECIPES = {
    "default": (ModelSettings(), TrainingSettings()),
    "half a minute": (
        ModelSettings(hidden_size=256, num_layers=2),
        TrainingSettings(minutes=0.5),
    ),
    "15 minutes": (ModelSettings(), TrainingSettings(minutes=15)),
    "spread": (ModelSettings(hidden_size=128, num_layers=2), TrainingSettings(steps=2000)),
}
PRECISION_MODEL = ModelSettings(hidden_size=128)
INT8_RECIPES = [
    (ModelSettings(hidden_size=hidden), TrainingSettings(steps=steps))
    for hidden, steps in ((128, 3500), (256, 3500), (512, 1500))
]
PRECISION_STEPS, SEEDS = 2000, (0, 1, 2, 3, 4)
WARMUPS = (0, 4, 16, 32, 64, WARMUP, 256)


def trained(text: Path, model: ModelSettings, training: TrainingSettings):
    """The best model of a run, and the seconds that the run took."""
    start = time.perf_counter()
    best = charloom.train(text, model=model, training=training).finish()
    return best, time.perf_counter() - start


def recipes(text: Path, wanted: str | None, seeds: Sequence[int]) -> None:
    print("| recipe | seed | layers x units | weights | best step | seconds | nats | bits |")
    print("| --- " * 8 + "|")
    for name, (model, training) in RECIPES.items():
        if wanted not in (None, name):
            continue
        nats = []
        for seed in seeds:
            best, seconds = trained(text, model, training.replace(seed=seed))
            measured, shape = best.provenance.validation, best.settings
            nats.append(measured.nats_per_character)
            print(
                f"| {name} | {seed} | {shape.num_layers} x {shape.hidden_size} "
                f"| {best.parameters:,} | {best.provenance.step} of {best.provenance.steps} "
                f"| {seconds:.0f} | {nats[-1]:.4f} | {measured.bits_per_character:.4f} |",
                flush=True,
            )
        if len(nats) > 1:
            deviation = statistics.stdev(nats)
            error = deviation / len(nats) ** 0.5
            print(
                f"| {name} | all | | | | | {statistics.mean(nats):.4f} (standard error "
                f"{error:.4f}, deviation {deviation:.4f}) | |",
                flush=True,
            )


def precision(text: Path, seeds: Sequence[int]) -> None:
    """The control is float32 on narrower vectors: it rounds differently, but just as finely."""
    columns = {"float32": None, "bfloat16": None, "float32, avx2": "avx2"}
    print(f"| seed | {' | '.join(columns)} | bfloat16 - float32 | avx2 - float32 |")
    print("| --- " * 6 + "|")
    differences = []
    for seed in seeds:
        nats = []
        for name, kernels in columns.items():
            training = TrainingSettings(
                steps=PRECISION_STEPS,
                seed=seed,
                precision=name.partition(",")[0],
                validate_every=PRECISION_STEPS,
            )
            with kernels_chosen(kernels):
                best, _ = trained(text, PRECISION_MODEL, training)
            nats.append(best.provenance.validation.nats_per_character)
        differences.append([other - nats[0] for other in nats[1:]])
        row = [f"{n:.4f}" for n in nats] + [f"{d:+.4f}" for d in differences[-1]]
        print(f"| {seed} | {' | '.join(row)} |", flush=True)
    means = [f"{statistics.mean(column):+.4f}" for column in zip(*differences, strict=True)]
    print(f"| mean | | | | {' | '.join(means)} |")


@contextmanager
def kernels_chosen(name: str | None) -> Iterator[None]:
    """Set CHARLOOM_KERNELS within a `with` block; None leaves it as it is."""
    before = os.environ.get("CHARLOOM_KERNELS")
    if name:
        os.environ["CHARLOOM_KERNELS"] = name
    try:
        yield
    finally:
        if name:
            del os.environ["CHARLOOM_KERNELS"]
            if before:
                os.environ["CHARLOOM_KERNELS"] = before


def int8(text: Path, model: charloom.Model | None) -> None:
    """Held-out bits per character in each precision, of weights rounded after training."""
    models = [model] if model else [trained(text, m, t)[0] for m, t in INT8_RECIPES]
    print("| model | float32 | bfloat16 | int8 | int8 - float32 |")
    print("| --- " * 5 + "|")
    for best in models:
        bits = []
        for name in ("float32", "bfloat16", "int8"):
            again = charloom.Model(best.settings, best.vocabulary, best.weights, precision=name)
            score = evaluate(again.predictor, held_out(text, again))
            bits.append(score.bits_per_character)
        shape = f"{best.settings.num_layers} x {best.settings.hidden_size}"
        row = " | ".join(f"{b:.5f}" for b in bits)
        print(f"| {shape} | {row} | {bits[2] - bits[0]:+.5f} |", flush=True)


def held_out(text: Path, model: charloom.Model):
    """The ids of the last tenth of the text."""
    whole = "".join(charloom.read(text, charloom.TextSettings()))
    return model.vocabulary.encode(whole[-(len(whole) // 10) :])


def warmup(text: Path, model: charloom.Model) -> None:
    ids = held_out(text, model)
    exact = evaluate(model.predictor, ids, exact=True).bits_per_character
    print(f"| warm-up | error in bits per character, {SEGMENTS} segments |")
    print("| --- | --- |")
    for length in WARMUPS:
        parallel = evaluate(model.predictor, ids, warmup=length)
        print(f"| {length} | {parallel.bits_per_character - exact:+.6f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--only", choices=["recipes", "precision", "int8", "warmup"])
    parser.add_argument("--recipe", choices=list(RECIPES))
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, help="for recipes and precision"
    )
    parser.add_argument("--model", type=Path, help="for int8 or warmup; otherwise trained here")
    options = parser.parse_args()
    if options.only in (None, "recipes"):
        recipes(options.text, options.recipe, options.seeds)
    if options.only in (None, "precision"):
        precision(options.text, options.seeds)
    model = charloom.Model.load(options.model) if options.model else None
    if options.only in (None, "int8"):
        int8(options.text, model)
    if options.only in (None, "warmup"):
        warmup(options.text, model or trained(options.text, *RECIPES["default"])[0])


if __name__ == "__main__":
    main()
