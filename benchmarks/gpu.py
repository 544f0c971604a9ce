"""The PyTorch engine on a GPU: speed, what 16 bits cost, exact resume, memory, in one command.

    python benchmarks/gpu.py --text book.txt

Prints Markdown rows below a line with the conditions. The rival is what its users would
write: nn.LSTM over one-hot inputs, nn.Linear, cross entropy, clipping and torch's fused Adam,
in the same precision (16 bits: the whole model), with no wait for the device in a step. Both
take whole optimizer steps, in turns. Without a GPU it runs on the processor, with --device
cpu and smaller sizes, to see that it works.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from charloom import InMemory, ModelSettings, SamplingSettings, TrainingSettings, train
from charloom.engines.base import StepSettings
from charloom.engines.pytorch.engine import TorchEngine
from charloom.engines.random import stream_seeds
from charloom.engines.weights import Weights, initial_weights, weight_shapes

V, T, L = 65, 64, 2
STEP = StepSettings(learning_rate=1e-3, clip_norm=1.0)
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SECONDS, ROUNDS = 0.25, 3
Work = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--text", type=Path, help="for the cost of 16 bits; by default made up")
    parser.add_argument("--seconds", type=float, default=300, help="no new row begins after this")
    parser.add_argument("--hidden-sizes", type=int, nargs="+", default=[128, 256, 512, 1024, 2048])
    parser.add_argument(
        "--steps", type=int, default=1500, help="of training for the cost of 16 bits"
    )
    given = parser.parse_args()
    device, deadline = given.device, time.monotonic() + given.seconds
    torch.set_float32_matmul_precision("high")  # for the rival; the engine does so by itself
    print(conditions(device), flush=True)

    def row(name: str, measure: Callable[..., str], *what: Any, **options: Any) -> None:
        if time.monotonic() > deadline:
            print(f"| {name} | not reached in {given.seconds:g} s |")
            return
        try:
            print(f"| {name} | {measure(device, *what, **options)} |", flush=True)
        except Exception as error:
            traceback.print_exc()
            print(f"| {name} | failed: {str(error).splitlines()[0]} |", flush=True)

    print("\n| whole optimizer steps | nn.LSTM | charloom | ratio | GB |\n|---|---|---|---|---|")
    sizes = given.hidden_sizes
    for H, precision in itertools.product(sizes, TYPES):
        row(f"H{H} B64 {precision}", speed, H, 64, precision)
    for H, B in itertools.product(sizes, (128, 512)):
        row(f"H{H} B{B} float32", speed, H, B, "float32")
    for H in sizes:
        row(f"H{H} B64 float32 dropout 0.1", speed, H, 64, "float32", dropout=0.1)
        row(f"H{H} B64 float16 dropout 0.1", speed, H, 64, "float16", dropout=0.1)

    print("\n| a whole run, batches, log and validation included | characters/s |\n|---|---|")
    text = given.text.read_text(encoding="utf-8") if given.text else made_up(300_000)
    for H in [size for size in sizes if size <= 512]:
        row(f"H{H} B64 float32 dropout 0.1", run_speed, H, text)

    print("\n| generation | characters/s |\n|---|---|")
    for H, B in itertools.product([size for size in sizes if size <= 512], (1, 64)):
        row(f"H{H}, {B} side by side", generation_speed, H, B)

    print("\n| native engine, this machine's processor | characters/s |\n|---|---|")
    for H in [size for size in sizes if size <= 512]:
        row(f"H{H} B64", native_speed, H)

    print(f"\n| after {given.steps} steps | nats per character | off float32 |\n|---|---|---|")
    nats: dict[str, float] = {}
    for precision in TYPES:
        row(precision, cost, precision, text, given.steps, nats)

    print("\n| stopped, put away and gone on with, twice | weights |\n|---|---|")
    for precision, dropout in itertools.product(TYPES, (0.0, 0.1)):
        row(f"{precision} dropout {dropout}", resumed, precision, dropout)


def conditions(device: str) -> str:
    if not device.startswith("cuda"):
        return f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads"
    card = torch.cuda.get_device_properties(device)
    return (
        f"{card.name}, torch {torch.__version__}, CUDA {torch.version.cuda}, "
        f"cuDNN {torch.backends.cudnn.version()}, V{V} T{T} L{L}; float32 is TF32"
    )


def speed(device: str, H: int, B: int, precision: str, dropout: float = 0.0) -> str:
    """Characters a second of both, in turns, and the peak of memory of both."""
    step = replace(STEP, dropout=dropout)
    made, memory, seconds = [], [], [[], []]
    for make, last in ((rival, dropout), (ours, step)):
        work, peak = with_peak_memory(device, partial(make, device, H, B, precision, last))
        made.append(work)
        memory.append(peak)
    for _ in range(ROUNDS):
        for times, work in zip(seconds, made, strict=True):
            times.append(seconds_of(device, work))
    theirs, mine = (B * T / min(times) for times in seconds)
    return f"{theirs:,.0f} | {mine:,.0f} | {mine / theirs:.2f} | {memory[0]:.2f}, {memory[1]:.2f}"


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def with_peak_memory(device: str, make: Callable[[], Work]) -> tuple[Work, float]:
    """What was made, and the gigabytes that it has allocated at most in its first steps."""
    cuda = device.startswith("cuda")
    before = torch.cuda.memory_allocated() if cuda else 0
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    work = make()
    for _ in range(6):
        work()
    wait(device)
    return work, (torch.cuda.max_memory_allocated() - before) / 1e9 if cuda else 0.0


def seconds_of(device: str, work: Work) -> float:
    """Of one call, from as many as fill SECONDS."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    count = max(3, int(SECONDS / (time.perf_counter() - began)))
    began = time.perf_counter()
    for _ in range(count):
        work()
    wait(device)
    return (time.perf_counter() - began) / count


def batches(B: int) -> np.ndarray:
    """(8, T + 1, B) ids."""
    return np.random.default_rng(0).integers(V, size=(8, T + 1, B)).astype(np.int32)


def ours(device: str, H: int, B: int, precision: str, step: StepSettings) -> Work:
    settings = ModelSettings(hidden_size=H, num_layers=L)
    engine = TorchEngine(settings, V, small_weights(H), device=device, precision=precision)
    return steps_of(engine, B, step)


@cache
def small_weights(H: int) -> Weights:
    """Drawn in a moment, which `initial_weights` are not for a large layer."""
    random = np.random.default_rng(0)
    shapes = weight_shapes(ModelSettings(hidden_size=H, num_layers=L), V)
    draw = partial(random.standard_normal, dtype=np.float32)
    return {name: draw(shape) / np.float32(H**0.5) for name, shape in shapes.items()}


def steps_of(engine: Any, B: int, settings: StepSettings) -> Work:
    given = itertools.cycle([(batch[:-1], batch[1:]) for batch in batches(B)])
    state, number = engine.zero_state(B), itertools.count()

    def work() -> None:
        nonlocal state
        step = replace(settings, dropout_key=next(number))
        state = engine.train_step(*next(given), state, step).state

    return work


def rival(device: str, H: int, B: int, precision: str, dropout: float = 0.0) -> Work:
    torch.manual_seed(0)
    dtype = TYPES[precision]
    lstm = torch.nn.LSTM(V, H, L, dropout=dropout).to(device, dtype)
    head = torch.nn.Linear(H, V).to(device, dtype)
    weights = [*lstm.parameters(), *head.parameters()]
    adam = torch.optim.Adam(weights, fused=True)
    given = itertools.cycle(list(torch.from_numpy(batches(B).astype(np.int64)).to(device)))
    state = None

    def work() -> None:
        nonlocal state
        batch = next(given)
        inputs = functional.one_hot(batch[:-1], V).to(dtype)
        outputs, state = lstm(inputs, state)
        state = tuple(part.detach() for part in state)
        logits = head(functional.dropout(outputs, dropout)).flatten(0, 1)
        loss = functional.cross_entropy(logits.float(), batch[1:].flatten())
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        adam.step()

    return work


def native_speed(device: str, H: int, B: int = 64) -> str:
    from charloom.engines.native import NativeEngine

    settings = ModelSettings(hidden_size=H, num_layers=L)
    engine = NativeEngine(settings, V, small_weights(H))
    work = steps_of(engine, B, STEP)
    best = min(seconds_of("cpu", work) for _ in range(ROUNDS))
    return f"{B * T / best:,.0f} ({engine.precision}, {engine.kernels})"


def run_speed(device: str, H: int, text: str) -> str:
    """Of a run in memory, without its first 200 steps."""
    settings = TrainingSettings(engine="torch", device=device, steps=1200, batch_size=64)
    run = train(InMemory(text), model=ModelSettings(hidden_size=H), training=settings)
    began, characters = 0.0, 0
    for progress in run:
        if progress.step == 200:
            began = time.perf_counter()
        characters += progress.characters if progress.step > 200 else 0
    return f"{characters / (time.perf_counter() - began):,.0f}"


def generation_speed(device: str, H: int, B: int) -> str:
    engine = TorchEngine(
        ModelSettings(hidden_size=H, num_layers=L), V, small_weights(H), device=device
    )
    last, seeds = np.zeros(B, np.int32), stream_seeds(0, B)

    def work() -> None:
        engine.generate(last, engine.zero_state(B), 64, SamplingSettings(), seeds, 0)

    work()
    return f"{64 * B / seconds_of(device, work):,.0f}"


def cost(device: str, precision: str, text: str, steps: int, nats: dict[str, float]) -> str:
    """Nats per character after the same steps, and how far from those of float32."""
    settings = TrainingSettings(
        engine="torch", device=device, precision=precision, steps=steps, validate_every=steps
    )
    run = train(InMemory(text), model=ModelSettings(hidden_size=256), training=settings)
    began = time.perf_counter()
    for _ in run:
        pass
    assert run.best is not None
    nats[precision] = run.best.nats_per_character
    off = nats[precision] - nats.get("float32", float("nan"))
    return f"{nats[precision]:.4f} | {off:+.4f} | {time.perf_counter() - began:.1f} s"


def resumed(device: str, precision: str, dropout: float) -> str:
    """Weights of 40 steps, and of 20 and 20 with all put away and a new engine in between."""
    settings = ModelSettings(hidden_size=256, num_layers=L)
    weights = initial_weights(settings, V, seed=0)

    def go(engine: TorchEngine, state: Any, steps: range) -> Any:
        for number in steps:
            batch = batches(64)[number % 8]
            step = replace(STEP, dropout=dropout, dropout_key=number)
            state = engine.train_step(batch[:-1], batch[1:], state, step).state
        return state

    def fresh() -> TorchEngine:
        return TorchEngine(settings, V, weights, device=device, precision=precision)

    whole = fresh()
    go(whole, whole.zero_state(64), range(40))
    for _ in range(2):
        first, second = fresh(), fresh()
        state = go(first, first.zero_state(64), range(20)).numpy()
        second.load(first.weights(), first.optimizer_state())
        go(second, state, range(20, 40))
        for name, weight in second.weights().items():
            if not np.array_equal(weight, whole.weights()[name]):
                off = np.abs(weight - whole.weights()[name]).max()
                return f"differ: {name} by {off:.1e}"
    return "equal to the last bit"


def made_up(characters: int) -> str:
    """Sentences of a tiny grammar with random names: something to learn, and a floor."""
    random = np.random.default_rng(0)
    who, what = ["a fox", "the crow", "one mouse", "an old lion"], ["saw", "asked", "feared"]
    names = ["".join(name) for name in random.choice(list("aeioulnrst"), (characters // 18, 5))]
    return "".join(f"{random.choice(who)} {random.choice(what)} {n}.\n" for n in names)


if __name__ == "__main__":
    sys.exit(main())
