"""The other libraries, each used as its users would, with its fast options.

float32 peers run whole optimizer steps: one-hot input or a gather, LSTM layers, head, loss,
clipping, Adam. A star marks a bare LSTM: the forward and backward pass of its layers alone.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from contest import AbsentError, Work
from shapes import TRAIN, Shape

BATCHES = 8


def _batches(shape: Shape) -> np.ndarray:
    """(BATCHES, T + 1, B) ids."""
    random = np.random.default_rng(0)
    return random.integers(shape.V, size=(BATCHES, shape.T + 1, shape.B))


def prepare_torch(contestant: str, task: str, shape: Shape, threads: int) -> Work:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(shape.V, shape.H, shape.L)
    if task != TRAIN:
        return _torch_generation(lstm, shape)
    if "bfloat16" in contestant:
        return _torch_bare(lstm.bfloat16(), shape)
    return _torch_training(lstm, shape)


def prepare_torch_single(contestant: str, task: str, shape: Shape, threads: int) -> Work:
    """PyTorch with one thread, which can be faster on small shapes."""
    return prepare_torch(contestant, task, shape, 1)


def _torch_training(lstm, shape: Shape) -> Work:
    import torch
    from torch.nn import functional

    head = torch.nn.Linear(shape.H, shape.V)
    weights = [*lstm.parameters(), *head.parameters()]
    adam = torch.optim.Adam(weights, fused=True)
    batches = itertools.cycle(list(torch.from_numpy(_batches(shape))))
    state = None

    def work() -> float:
        nonlocal state
        batch = next(batches)
        inputs = functional.one_hot(batch[:-1], shape.V).float()
        outputs, state = lstm(inputs, state)
        state = tuple(part.detach() for part in state)
        logits = head(outputs).flatten(0, 1)
        loss = functional.cross_entropy(logits, batch[1:].flatten())
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        adam.step()
        loss.item()
        return shape.B * shape.T

    return work


def _torch_bare(lstm, shape: Shape) -> Work:
    import torch

    inputs = torch.eye(shape.V)[_batches(shape)[0, :-1]].bfloat16()
    gradient = torch.full((shape.T, shape.B, shape.H), 0.01).bfloat16()

    def work() -> float:
        lstm.zero_grad(set_to_none=True)
        lstm(inputs)[0].backward(gradient)
        return shape.B * shape.T

    return work


def _torch_generation(lstm, shape: Shape) -> Work:
    import torch

    head = torch.nn.Linear(shape.H, shape.V)
    one_hot = torch.eye(shape.V)
    ids, state, length = torch.zeros(shape.B, dtype=torch.long), None, 32

    @torch.inference_mode()
    def work() -> float:
        nonlocal ids, state
        for _ in range(length):
            outputs, state = lstm(one_hot[ids][None], state)
            chances = head(outputs[0]).softmax(1)
            ids = torch.multinomial(chances, 1)[:, 0]
        return length * shape.B

    return work


def prepare_jax(contestant: str, task: str, shape: Shape, threads: int) -> Work:
    import jax
    from jax import numpy as jnp

    if task != TRAIN:
        raise AbsentError("measured in training only")
    G, random = 4 * shape.H, np.random.default_rng(0)

    def drawn(*size: int):
        return jnp.asarray(random.normal(0, 0.05, size), jnp.float32)

    layers = [
        (drawn(shape.H if layer else shape.V, G), drawn(shape.H, G), jnp.zeros(G))
        for layer in range(shape.L)
    ]
    weights = (layers, drawn(shape.H, shape.V), jnp.zeros(shape.V))
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [tuple(jnp.zeros((2, shape.B, shape.H))) for _ in range(shape.L)]  # hidden, cell

    def loss_of(weights, state, batch):
        layers, head, head_bias = weights
        after, x = [], None
        for (input_weights, hidden_weights, bias), start in zip(layers, state, strict=True):
            # The input product of all steps at once; with one-hot input it is a gather of rows.
            inputs = (input_weights[batch[:-1]] if x is None else x @ input_weights) + bias

            def cell(carry, gates, hidden_weights=hidden_weights):
                h, c = carry
                i, f, g, o = jnp.split(gates + h @ hidden_weights, 4, axis=1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            end, x = jax.lax.scan(cell, start, inputs)
            after.append(end)
        chances = jax.nn.log_softmax(x @ head + head_bias)
        picked = jnp.take_along_axis(chances, batch[1:, :, None], axis=2)
        return -picked.mean(), after

    def step(weights, mean, square, count, state, batch):
        (loss, state), slope = jax.value_and_grad(loss_of, has_aux=True)(weights, state, batch)
        norm = jnp.sqrt(sum(jnp.vdot(s, s) for s in jax.tree.leaves(slope)))
        slope = jax.tree.map(lambda s: s * jnp.minimum(1, 1 / norm), slope)
        mean = jax.tree.map(lambda m, s: m + 0.1 * (s - m), mean, slope)
        square = jax.tree.map(lambda v, s: v + 1e-3 * (s * s - v), square, slope)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)

        def update(w, m, v):
            return w - rate * m / (jnp.sqrt(v) + 1e-7)

        weights = jax.tree.map(update, weights, mean, square)
        return weights, mean, square, count + 1, state, loss

    whole_step = jax.jit(step, donate_argnums=(0, 1, 2, 4))
    batches = itertools.cycle([jnp.asarray(batch) for batch in _batches(shape)])
    kept = (weights, zeros, jax.tree.map(jnp.zeros_like, zeros), jnp.float32(1), state)

    def work() -> float:
        nonlocal kept
        *values, loss = whole_step(*kept, next(batches))
        kept = tuple(values)
        loss.block_until_ready()
        return shape.B * shape.T

    return work


def prepare_keras(contestant: str, task: str, shape: Shape, threads: int) -> Work:
    import keras

    keras.utils.set_random_seed(0)
    training = task == TRAIN
    T = shape.T if training else 1
    model = keras.Sequential([keras.Input(batch_shape=(shape.B, T, shape.V))])
    for _ in range(shape.L):
        model.add(keras.layers.LSTM(shape.H, return_sequences=True, stateful=not training))
    model.add(keras.layers.Dense(shape.V, activation=None if training else "softmax"))
    return (_keras_training if training else _keras_generation)(model, shape)


def _keras_training(model, shape: Shape) -> Work:
    import keras

    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    weight = shape.B * shape.T * shape.H * shape.L
    count = max(1, min(64, 2_000_000 // weight))  # batches of one `fit`, about 0.3 seconds
    random = np.random.default_rng(0)
    ids = random.integers(shape.V, size=(count * shape.B, shape.T + 1))
    inputs = np.eye(shape.V, dtype=np.float32)[ids[:, :-1]]

    def work() -> float:
        model.fit(inputs, ids[:, 1:], batch_size=shape.B, shuffle=False, verbose=0)
        return inputs.shape[0] * shape.T

    return work


def _keras_generation(model, shape: Shape) -> Work:
    one_hot, random, length = np.eye(shape.V, dtype=np.float32), np.random.default_rng(0), 8
    ids = np.zeros(shape.B, int)

    def work() -> float:
        nonlocal ids
        for _ in range(length):
            chances = model.predict_on_batch(one_hot[ids][:, None])[:, 0].cumsum(1)
            drawn = random.random((shape.B, 1)) * chances[:, -1:]
            ids = (chances <= drawn).sum(1).clip(max=shape.V - 1)
        return length * shape.B

    return work


def prepare_onednn(contestant: str, task: str, shape: Shape, threads: int) -> Work:
    program = subprocess.Popen(
        [_onednn_program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    to, back = program.stdin, program.stdout
    assert to is not None and back is not None

    def ask(line: str) -> str:
        print(line, file=to, flush=True)
        return back.readline().strip()

    numbers = ("bfloat16" in contestant, shape.V, shape.H, shape.L, shape.B, shape.T)
    answer = ask(" ".join(["shape", *(str(int(n)) for n in numbers)]))
    if answer != "ready":
        raise AbsentError(answer or "its program ended")
    return lambda: float(ask("step"))


@cache
def _onednn_program() -> Path:
    """Compile the program that runs oneDNN's LSTM, once per process."""
    roots = [os.environ.get("DNNLROOT"), sys.prefix, "/usr/local", "/usr"]
    found = (Path(root) for root in roots if root)
    root = next((r for r in found if (r / "include" / "dnnl.hpp").exists()), None)
    if root is None:
        raise AbsentError("its library is not installed (pip install onednn-devel-cpu-gomp)")
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise AbsentError("there is no C++ compiler")
    program = Path(tempfile.mkdtemp(prefix="onednn-")) / "lstm"
    source = Path(__file__).with_name("onednn_lstm.cpp")
    library = root / "lib"
    options = ["-O2", "-std=c++17", f"-I{root / 'include'}", f"-L{library}"]
    command = [compiler, *options, str(source), "-ldnnl", f"-Wl,-rpath,{library}"]
    done = subprocess.run([*command, "-o", str(program)], capture_output=True, text=True)
    if done.returncode:
        raise AbsentError(f"its program does not compile: {done.stderr.splitlines()[0]}")
    return program
