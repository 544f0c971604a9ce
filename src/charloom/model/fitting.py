"""Training on windows that the caller has made: the blog's X and y, as Keras's `fit` takes them.

Everything that one needs for a text of one's own (streams, validation, checkpoints) is in
training/; this is the blog's way, where each window has one target.
"""

from __future__ import annotations

import numpy as np

from ..engines.base import Engine, StepSettings
from ..engines.weights import Array
from ..errors import TextError
from ..settings import TrainingSettings
from ..text.batches import Windows


def fit_windows(
    engine: Engine,
    X: Array,
    y: Array,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> list[float]:
    """Train an engine on X (N, T) and y (N,); the mean loss of each epoch, in nats.

    Either may be one-hot: X (N, T, V), y (N, V). TextError for shapes that do not go together.
    """
    TrainingSettings(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    V = engine.vocabulary_size
    inputs, targets = _ids(X, V, 2), _ids(y, V, 1)
    if inputs.ndim != 2 or targets.ndim != 1 or not 0 < len(inputs) == len(targets):
        raise TextError(
            f"X is {np.shape(X)} and y is {np.shape(y)}; they must be (N, T) and (N,) ids, or "
            f"one-hot of {V}: (N, T, {V}) and (N, {V})"
        )
    rows = np.concatenate([inputs, targets[:, None]], axis=1)
    if rows.min() < 0 or rows.max() >= V:
        raise TextError(f"ids must be 0 to {V - 1}; X and y have {rows.min()} to {rows.max()}")
    batches = Windows.of(rows, batch_size=batch_size, seed=seed)
    step = StepSettings(learning_rate=learning_rate)
    losses = []
    for epoch in range(epochs):
        nats, count = 0.0, 0
        for index in range(batches.batches_in(epoch)):
            batch = batches.batch(epoch, index)
            start = engine.zero_state(batch.inputs.shape[1])
            done = engine.train_step(batch.inputs, batch.targets, start, step)
            nats, count = nats + done.nats, count + done.characters
        losses.append(nats / count)
    return losses


def _ids(values: Array, size: int, ndim: int) -> Array:
    """Ids as they are, or those that one-hot vectors of a size stand for."""
    values = np.asarray(values)
    if values.ndim == ndim + 1 and values.shape[-1] == size:
        return values.argmax(axis=-1)
    return values.astype(np.int64) if np.issubdtype(values.dtype, np.number) else values
