"""The blog's program, told on the terminal: a sentence, its numbers, and a model of it.

What the blog's text shows is shown in its order and its words for things: sequences,
mapping, encoded sequences, X and y, one-hot. Where the text stops, the program goes on:
LSTM(75) and a softmax, trained for 100 epochs, and the sentence written back.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .engines.weights import Array
from .errors import counted
from .model.model import Model
from .settings import ModelSettings
from .text.batches import windows
from .text.vocabulary import Vocabulary

RAW_TEXT = (
    "One bright morning as the Fox was following his sharp nose through the wood in "
    "search of a bite to eat, he saw a Crow on the limb of a tree overhead."
)
LENGTH = 15
"""Characters of input. The blog's note says 14, its code and its output say 15."""

SETTINGS = ModelSettings(cell="lstm", hidden_size=75, num_layers=1)
BATCH_SIZE, EPOCHS = 32, 100

LEARNING_RATE = 5e-3
"""With Keras's default of 0.001 the loss is still at 0.8 after 100 epochs, and the
sentence does not come back; the blog's text ends before it names one."""


def one_hot(ids: Array, vocabulary_size: int) -> Array:
    """(..., V) float32: 1 in the column of the id, 0 elsewhere; Keras's to_categorical.

    >>> one_hot(np.array([2, 0]), 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return np.eye(vocabulary_size, dtype=np.float32)[ids]


def write_back(model: Model, start: str, length: int) -> str:
    """Continue `start` to `length` characters, each the likeliest after the last 15."""
    text = start
    while len(text) < length:
        likeliest, *_ = model.next(text[-LENGTH:])
        text += likeliest
    return text


def tell(seed: int = 0) -> Iterator[str]:
    """The story, line by line, as it happens.

    >>> story = tell()
    >>> next(story)
    'The text has 149 characters:'
    """
    yield f"The text has {counted(len(RAW_TEXT), 'character')}:"
    yield f"  {RAW_TEXT}"

    vocabulary = Vocabulary.of(RAW_TEXT)
    ids = vocabulary.encode(RAW_TEXT)
    encoded = windows(ids, LENGTH)
    sequences = [vocabulary.decode(row) for row in encoded]
    yield ""
    yield f"Sequences: {LENGTH} characters and the one after them, {len(sequences)} in all:"
    yield f"  {sequences[:3]} ..."

    yield ""
    yield f"Mapping: the {counted(vocabulary.size, 'distinct character')}, sorted and numbered:"
    yield f"  {vocabulary.mapping}"

    yield ""
    yield f"Encoded: an array of {encoded.shape[0]} x {encoded.shape[1]}, which begins"
    yield from (f"  {line}" for line in str(encoded[:5]).splitlines())

    X, y = encoded[:, :-1], encoded[:, -1]
    yield ""
    yield f"Split: X {X.shape} is what is read, y {y.shape} what follows. The first pair:"
    yield f"  {X[0]} -> {y[0]}"
    yield "  (The blog's note says 14 characters of input; its code takes 15, and so do we.)"

    yield ""
    yield (f"One-hot: X {one_hot(X, vocabulary.size).shape}, y {one_hot(y, vocabulary.size).shape}")

    model = Model.untrained(SETTINGS, vocabulary, seed=seed, first_values="keras")
    yield ""
    yield (
        f"Model: LSTM({SETTINGS.hidden_size}) and a softmax over {vocabulary.size}, "
        f"{counted(model.parameters, 'weight')}. Cross-entropy, Adam at {LEARNING_RATE},"
    )
    engine = model.engine
    yield f"  {EPOCHS} epochs in batches of {BATCH_SIZE} ({engine.kernels}, {engine.precision}):"
    losses = model.fit(
        X, y, epochs=EPOCHS, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE, seed=seed
    )
    for epoch in (1, *range(20, EPOCHS + 1, 20)):
        yield f"  epoch {epoch:3}   loss {losses[epoch - 1]:.4f}"

    written = write_back(model, RAW_TEXT[:LENGTH], len(RAW_TEXT))
    right = sum(a == b for a, b in zip(written, RAW_TEXT, strict=True))
    yield ""
    yield f"Written back from its first {LENGTH} characters, {right} of {len(RAW_TEXT)} right:"
    yield f"  {written}"
