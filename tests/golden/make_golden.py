"""Make the golden vectors beside this file: what PyTorch and Keras compute.

    KERAS_BACKEND=jax python tests/golden/make_golden.py

needs torch, keras and jax (the extra `peers`). Everything is computed in float64; weights
are rounded to float32 first, so that they are stored exactly in half the space. Nothing
of charloom is used here: these files are foreign witnesses. `tests/peers` calls the same
functions live.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SENTENCE = (
    "One bright morning as the Fox was following his sharp nose through the wood "
    "in search of a bite to eat, he saw a Crow on the limb of a tree overhead."
)


def run_torch(
    cell: str,
    embedding_size: int,
    num_layers: int,
    seed: int,
    *,
    vocabulary_size: int = 11,
    hidden_size: int = 6,
    steps: int = 7,
    streams: int = 3,
    largest_weight: float = 0.9,
) -> dict[str, np.ndarray]:
    """One pass of nn.LSTM, nn.GRU or nn.RNN and nn.Linear, there and back, from a nonzero state.

    Names of weights are those of PyTorch's state_dict; `gradient.` stands before that of
    the mean cross-entropy over the targets that are not -1, `next.` before what came out.
    """
    import torch

    torch.manual_seed(seed)
    inputs = torch.randint(vocabulary_size, (steps, streams))
    targets = torch.randint(-1, vocabulary_size, (steps, streams))
    targets[2, 1] = targets[-1, 0] = -1
    layers = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    network = torch.nn.ModuleDict(
        {
            cell: layers(embedding_size or vocabulary_size, hidden_size, num_layers),
            "head": torch.nn.Linear(hidden_size, vocabulary_size),
        }
    )
    if embedding_size:
        network["embedding"] = torch.nn.Embedding(vocabulary_size, embedding_size)
    for weight in network.parameters():  # rounded to float32, and no two alike
        drawn = torch.empty(weight.shape).uniform_(-largest_weight, largest_weight)
        weight.data = drawn.double()

    before = torch.empty(2, num_layers, streams, hidden_size).uniform_(-0.9, 0.9)
    hidden, memory = before.double()
    if embedding_size:
        x = network["embedding"](inputs)
    else:
        x = torch.nn.functional.one_hot(inputs, vocabulary_size).double()
    if cell == "lstm":
        out, (next_hidden, next_cell) = network[cell](x, (hidden, memory))
    else:
        out, next_hidden = network[cell](x, hidden)
        next_cell = memory
    logits = network["head"](out)
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=-1
    )
    loss.backward()
    found = {name: weight.data.float() for name, weight in network.named_parameters()}
    for name, weight in network.named_parameters():
        found[f"gradient.{name}"] = weight.grad
    found |= {"inputs": inputs.int(), "targets": targets.int()}
    found |= {"hidden": hidden.float(), "cell": memory.float()}
    found |= {"next.hidden": next_hidden, "next.cell": next_cell}
    found |= {"logits": logits, "loss": loss}
    return {name: value.detach().numpy() for name, value in found.items()}


def run_keras(
    seed: int, floatx: str = "float64", epochs: int = 100, batch_size: int = 32
) -> dict[str, np.ndarray]:
    """The blog's program: LSTM(75), Dense(27, softmax), Adam, the loss of every step.

    Kernels are Keras's, transposed against PyTorch's: (inputs, gates), gates i f c o.
    """
    import jax
    import keras

    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx(floatx)
    if floatx == "float64":
        # Keras 3 on JAX narrows float64 to float32 within ops.tanh and ops.sqrt (unlike on
        # TensorFlow), which moves the losses by 1e-6; this table is what makes it do so.
        keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    keras.utils.set_random_seed(seed)
    characters = sorted(set(SENTENCE))
    ids = np.array([characters.index(c) for c in SENTENCE])
    windows = np.lib.stride_tricks.sliding_window_view(ids, 16)
    x = np.eye(len(characters))[windows[:, :-1]]
    y = np.eye(len(characters))[windows[:, -1]]

    model = keras.Sequential(
        [
            keras.Input((15, len(characters))),
            keras.layers.LSTM(75),
            keras.layers.Dense(len(characters), activation="softmax"),
        ]
    )
    model.set_weights([weight.astype(np.float32) for weight in model.get_weights()])
    names = ("kernel", "recurrent_kernel", "bias", "dense_kernel", "dense_bias")
    found = dict(zip(names, map(np.float32, model.get_weights()), strict=True))
    adam = keras.optimizers.Adam(learning_rate=1e-3)  # epsilon is Keras's 1e-7
    model.compile(loss="categorical_crossentropy", optimizer=adam)

    random = np.random.default_rng(seed)
    order = np.array([random.permutation(len(windows)) for _ in range(epochs)])
    losses = []
    for epoch in order:
        for start in range(0, len(windows), batch_size):
            batch = epoch[start : start + batch_size]
            model.reset_metrics()  # the loss is else the mean since the last reset
            losses.append(float(model.train_on_batch(x[batch], y[batch])))
    found |= {"windows": windows.astype(np.int8), "order": order.astype(np.int16)}
    return found | {"losses": np.array(losses)}


if __name__ == "__main__":
    for cell in ("lstm", "gru", "rnn"):
        for embedding_size in (0, 4):
            for num_layers in (1, 2):
                name = f"torch_{cell}_{embedding_size}_{num_layers}.npz"
                found = run_torch(cell, embedding_size, num_layers, seed=1)
                np.savez_compressed(FOLDER / name, **found)
    np.savez_compressed(FOLDER / "keras_fox.npz", **run_keras(seed=1))
