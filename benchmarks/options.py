"""Options that a recurrent network might have, each trained from the same start as a plain one.

    python benchmarks/options.py TEXT                 every option, five seeds, 2 x 128 units
    python benchmarks/options.py TEXT --only plain decay capped --steps 1000

A prototype in PyTorch (2.13, on the processor) that trains the seeds side by side, with the first
values, learning rate, dropout and batches that `charloom train` chooses. A row tells the bits that
a character of the last tenth has and what an option changes, both as means over the seeds with
standard errors; the operations of the products are relative to the plain network's.

decay      decoupled weight decay of the matrices, by 0.1 of the learning rate
weights    weight-drop: a fifth of the recurrent weights dropped in each step
layers     a head that reads both layers
mogrifier  four rounds in which input and state gate each other, of rank 24
capped     an input gate of at most 1 - f
average    half the rate, held constant, and the average of the weights of the second half
growing    batches of 8 x 32, then 16 x 64, then 32 x 64
forgetful  the state of a stream is dropped with a probability of 0.01 before a batch
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, embedding, one_hot

import charloom
from charloom import InMemory, ModelSettings, TrainingSettings
from charloom.engines.weights import initial_weights
from charloom.text.batches import Streams
from charloom.training import schedule

OPTIONS = (
    *("plain", "decay", "weights", "layers", "mogrifier", "capped", "average", "growing"),
    "forgetful",
)
ROUNDS, RANK = 4, 24
MODEL = ModelSettings(hidden_size=128, num_layers=2)
H, L = MODEL.hidden_size, MODEL.num_layers
SEGMENTS, WARMUP = 64, 50


def first_values(option: str, V: int, seeds: list[int]) -> dict[str, torch.Tensor]:
    """Weights by name, the seeds along the first axis and products from the right."""
    each = [initial_weights(MODEL, V, seed) for seed in seeds]
    made = {name: np.stack([one[name] for one in each]) for name in each[0]}
    random = np.random.default_rng(99)
    S = len(seeds)
    if option == "layers":
        limit = 3 * math.sqrt(6 / (H + V))
        made["lower.weight"] = random.uniform(-limit, limit, (S, V, H))
    for layer in range(L if option == "mogrifier" else 0):
        for turn in range(ROUNDS):
            size, other = (V, H) if layer == 0 else (H, H)
            into, out = (other, size) if turn % 2 == 0 else (size, other)
            name = f"mogrifier.{layer}.{turn}"
            made[f"{name}.b.weight"] = random.normal(0, 0.5 / into**0.5, (S, RANK, into))
            made[f"{name}.a.weight"] = random.normal(0, 0.5 / RANK**0.5, (S, out, RANK))
            made[f"{name}.bias"] = np.zeros((S, out))
    return {
        name: torch.tensor(w.swapaxes(1, 2) if w.ndim == 3 else w, dtype=torch.float32)
        .contiguous()
        .requires_grad_()
        for name, w in made.items()
    }


def layer_of(option, weights, layer, x, h, c):
    """(S, T, B, H) what a layer shows, and its state after; x is (T, B) ids or (S, T, B, H)."""
    ih, hh, b = (weights[f"lstm.{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias"))
    S, V = len(ih), ih.shape[1]
    b = b[:, None]
    if option == "mogrifier":
        x = one_hot(x, V).float().expand(S, *x.shape, V) if layer == 0 else x
        before = x.unbind(1)
    elif layer == 0:
        ids = x + V * torch.arange(S)[:, None, None]
        before = (embedding(ids, ih.flatten(0, 1)) + b[:, None]).unbind(1)
    else:
        before = torch.baddbmm(b, x.flatten(1, 2), ih).unflatten(1, x.shape[1:3]).unbind(1)
    shown = []
    for z in before:
        if option == "mogrifier":
            for turn in range(ROUNDS):
                name = f"mogrifier.{layer}.{turn}"
                low, high = weights[f"{name}.b.weight"], weights[f"{name}.a.weight"]
                gate = (z if turn % 2 else h) @ low @ high + weights[f"{name}.bias"][:, None]
                z, h = (z, 2 * gate.sigmoid() * h) if turn % 2 else (2 * gate.sigmoid() * z, h)
            z = torch.baddbmm(b, z, ih)
        i, f, g, o = torch.baddbmm(z, h, hh).chunk(4, -1)
        i, f = i.sigmoid(), f.sigmoid()
        if option == "capped":
            i = torch.minimum(i, 1 - f)
        c = f * c + i * g.tanh()
        h = o.sigmoid() * c.tanh()
        shown.append(h)
    return torch.stack(shown, 1), h, c


def logits_of(option, weights, ids, state, drop=0.0):
    """(S, T, B, V) logits and the state after them, (L, S, B, H) hidden and cell."""
    x, after, seen = ids, [], []
    if drop and option == "weights":
        weights = {n: dropped(w, 0.2) if "weight_hh" in n else w for n, w in weights.items()}
    for layer in range(L):
        x, h, c = layer_of(option, weights, layer, x, state[0][layer], state[1][layer])
        after.append((h.detach(), c.detach()))
        x = dropped(x, drop) if drop else x
        seen.append(x)
    z = torch.baddbmm(weights["head.bias"][:, None], x.flatten(1, 2), weights["head.weight"])
    if option == "layers":
        z = torch.baddbmm(z, seen[0].flatten(1, 2), weights["lower.weight"])
    return z.unflatten(1, ids.shape), tuple(torch.stack(a) for a in zip(*after, strict=True))


def dropped(x: torch.Tensor, share: float) -> torch.Tensor:
    return x * ((torch.rand_like(x) >= share) / (1 - share))


def zero(S: int, B: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(L, S, B, H), torch.zeros(L, S, B, H)


def trained(option: str, ids: np.ndarray, V: int, training: TrainingSettings, seeds: list[int]):
    """The weights after training, each of the seeds its own."""
    assert training.steps is not None
    torch.manual_seed(7)
    beta1, beta2 = training.beta1, training.beta2
    weights, S = first_values(option, V, seeds), len(seeds)
    mean, square = ([torch.zeros_like(w) for w in weights.values()] for _ in range(2))
    total = training.steps * training.batch_size * training.sequence_length
    shapes = [(1, training.batch_size, training.sequence_length)]
    if option == "growing":
        shapes = [(0.25, 8, 32), (0.5, 16, 64), (1, 32, 64)]
    if option == "average":
        training = training.replace(decay="constant", learning_rate=training.learning_rate / 2)
    averaged, count, read, n, state, at = None, 0, 0, 0, None, (0, 0)
    while read < total:
        _, B, T = next(shape for shape in shapes if read < shape[0] * total)
        streams = Streams(ids, batch_size=B, sequence_length=T, seed=0)
        if state is None or state[0].shape[2] != B:  # the same share of each stream goes on
            state, at = zero(S, B), (0, int(read / len(ids) % 1 * streams.batches_in(0)))
        if at[1] == streams.batches_in(at[0]):
            state, at = zero(S, B), (at[0] + 1, 0)
        batch, at = streams.batch(*at), (at[0], at[1] + 1)
        if option == "forgetful":
            kept = (torch.rand(S, B, 1) >= 0.01).float()
            state = tuple(one * kept for one in state)
        step = read * training.steps // total  # of the plain run
        drop = schedule.dropout(step, training.steps, training)
        x, y = (torch.from_numpy(a).long() for a in (batch.inputs, batch.targets))
        z, state = logits_of(option, weights, x, state, drop)
        loss = cross_entropy(z.flatten(0, 2), y.flatten().repeat(S), reduction="sum") / y.numel()
        gradients = torch.autograd.grad(loss, list(weights.values()))
        norms = sum(g.flatten(1).square().sum(1) for g in gradients).sqrt()
        shrink = (training.clip_norm / norms).clamp(max=1)
        rate, n = schedule.learning_rate(step, training.steps, training), n + 1
        alpha = rate * math.sqrt(1 - beta2**n) / (1 - beta1**n)
        with torch.no_grad():
            for (name, w), g, m, v in zip(weights.items(), gradients, mean, square, strict=True):
                g = g * shrink.view(-1, *[1] * (g.ndim - 1))
                m.lerp_(g, 1 - beta1)
                v.lerp_(g * g, 1 - beta2)
                w -= alpha * m / (v.sqrt() + training.epsilon)
                if option == "decay" and "weight" in name:
                    w -= 0.1 * rate * w
            read += x.numel()
            if option == "average" and read > total / 2:
                count += 1
                averaged = averaged or {name: torch.zeros_like(w) for name, w in weights.items()}
                for name, w in weights.items():
                    averaged[name] += (w - averaged[name]) / count
    return averaged or weights


@torch.inference_mode()
def bits(option: str, weights, ids: np.ndarray, V: int) -> np.ndarray:
    """Bits of a character, of each seed: segments side by side, each after a warm-up."""
    S = len(weights["head.bias"])
    length = (len(ids) - 1) // SEGMENTS
    places = np.arange(length + 1)[:, None] + length * np.arange(SEGMENTS)
    text = torch.from_numpy(ids.astype(np.int64)[places])
    z, _ = logits_of(option, weights, text[:-1], zero(S, SEGMENTS))
    nats = (
        -z[:, WARMUP:].log_softmax(-1).gather(-1, text[1 + WARMUP :].expand(S, -1, -1)[..., None])
    )
    return nats.flatten(1).mean(1).numpy() / math.log(2)


def operations(weights: dict[str, torch.Tensor], V: int) -> int:
    """Products of a character."""
    return sum(w[0].numel() for name, w in weights.items() if "weight" in name) - 4 * H * V


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--only", nargs="+", choices=OPTIONS, default=OPTIONS)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--characters", type=int, help="of the beginning of the text")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = "".join(charloom.read(options.text, charloom.TextSettings()))[: options.characters]
    training = TrainingSettings(
        steps=options.steps, batch_size=32, batches="streams", threads=options.threads
    )
    plan = charloom.train(InMemory(text), model=MODEL, training=training, start_from=None).plan
    ids, V = plan.vocabulary.encode(text), plan.vocabulary.size
    cut = plan.split.training.stop
    print(f"{options.text.name}: {plan.choice}; {len(options.seeds)} seeds", flush=True)
    print("| option | operations | bits (standard error) | change (standard error) |")
    print("| --- | --- | --- | --- |", flush=True)
    plain, work = None, 0
    for option in options.only:
        weights = trained(option, ids[:cut], V, plan.training, options.seeds)
        found = bits(option, weights, ids[cut:], V)
        if plain is None:
            plain, work = found, operations(weights, V)
        error = [np.std(x, ddof=1) / len(x) ** 0.5 for x in (found, found - plain)]
        change = f"{np.mean(found - plain):+.4f} ({error[1]:.4f})"
        print(
            f"| {option} | {operations(weights, V) / work:.2f} | {found.mean():.4f} "
            f"({error[0]:.4f}) | {change} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
