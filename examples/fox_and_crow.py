"""The blog's program, step by step, with charloom in the place of Keras.

Run it with `python examples/fox_and_crow.py`. Each step stands under the blog's own
heading. `charloom demo` tells the same story in whole sentences.
"""

import numpy as np

from charloom.demo import RAW_TEXT, one_hot
from charloom.engines.base import State, StepSettings
from charloom.engines.selection import open_engine
from charloom.engines.weights import initial_weights
from charloom.settings import ModelSettings
from charloom.text.batches import Windows, windows
from charloom.text.vocabulary import Vocabulary

# Load data: the first sentence of "The Fox & the Crow".
raw_text = RAW_TEXT
print(len(raw_text))

# Preprocess: all sequences of 15 characters and the one after them.
vocabulary = Vocabulary.of(raw_text)
ids = vocabulary.encode(raw_text)
sequences = windows(ids, 15)
print(len(sequences))

# Encode sequences: the mapping is sorted, so that it is the same every time.
print(vocabulary.size)
print(vocabulary.mapping)
print(sequences[:5])

# Split input and output.
X, y = sequences[:, :-1], sequences[:, -1]
print(X[0], y[0])

# One-hot. What Keras is fed with; the kernels below take the ids, which say the same.
print(one_hot(X, vocabulary.size).shape, one_hot(y, vocabulary.size).shape)

# Here the blog's text stops. Its model: LSTM(75) and a softmax, cross-entropy, Adam.
settings = ModelSettings(cell="lstm", hidden_size=75, num_layers=1)
engine = open_engine(settings, vocabulary.size, initial_weights(settings, vocabulary.size, seed=0))
batches = Windows(ids, batch_size=32, sequence_length=15, seed=0)
for epoch in range(100):
    nats = 0.0
    for index in range(batches.batches_in(epoch)):
        batch = batches.batch(epoch, index)
        start = State.zeros(settings, batch.inputs.shape[1])
        step = StepSettings(learning_rate=0.005)
        nats += engine.train_step(batch.inputs, batch.targets, start, step).nats
    if epoch % 20 == 0 or epoch == 99:
        print(f"epoch {epoch + 1:3}  loss {nats / len(sequences):.4f}")

# The sentence, written back: always the likeliest character after the last 15.
text = raw_text[:15]
while len(text) < len(raw_text):
    window = vocabulary.encode(text[-15:]).astype(np.int32)[:, None]
    logits, _ = engine.logits(window, State.zeros(settings, 1))
    text += vocabulary.decode([logits[-1, 0].argmax()])
print(text)
