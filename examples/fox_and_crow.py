"""The blog's program with charloom in the place of Keras, on public names only.

    python examples/fox_and_crow.py

The five functions are the blog's own; what they print is what the blog shows. Where its text
stops, the program goes on: LSTM(75), a softmax, 100 epochs, and the sentence written back.
`charloom demo` tells the same story in whole sentences.
"""

import numpy as np

import charloom

# Load data: the first sentence of "The Fox & the Crow".
raw_text = (
    "One bright morning as the Fox was following his sharp nose through the wood in "
    "search of a bite to eat, he saw a Crow on the limb of a tree overhead."
)


def preprocess(raw_text, length):
    """All sequences of `length` characters and the one after them."""
    sequences = []
    for i in range(length, len(raw_text)):
        sequences.append(raw_text[i - length : i + 1])
    return sequences


def mapp(raw_text):
    """From each character to its number, in sorted order."""
    chars = sorted(set(raw_text))
    return {c: i for i, c in enumerate(chars)}


def encode(sequences, mapping):
    """Each sequence as a row of numbers."""
    return np.array([[mapping[char] for char in line] for line in sequences])


def split(sequences_encode):
    """What is read, and the character that follows it."""
    return sequences_encode[:, :-1], sequences_encode[:, -1]


def to_categorical(ids, num_classes):
    """One-hot: 1 in the column of the number, 0 elsewhere."""
    return np.eye(num_classes, dtype=np.float32)[ids]


sequences = preprocess(raw_text, length=15)
print(len(sequences))
mapping = mapp(raw_text)
vocab_size = len(mapping)
print(vocab_size)
print(mapping)
sequences_encode = encode(sequences, mapping)
print(sequences_encode[:5])
X, y = split(sequences_encode)
print(X[0], y[0])
X, y = to_categorical(X, vocab_size), to_categorical(y, vocab_size)
print(X.shape, y.shape)

# Here the blog's text stops. Its model: LSTM(75) and a softmax, cross-entropy, Adam.
model = charloom.Model.untrained(
    charloom.ModelSettings(hidden_size=75, num_layers=1),
    charloom.Vocabulary.of(raw_text),
    first_values="keras",
)
assert model.vocabulary.mapping == mapping
losses = model.fit(X, y, epochs=100, batch_size=32, learning_rate=0.005)
for epoch in (1, 20, 40, 60, 80, 100):
    print(f"epoch {epoch:3}  loss {losses[epoch - 1]:.4f}")

# The sentence, written back: always the likeliest character after the last 15.
text = raw_text[:15]
while len(text) < len(raw_text):
    expected = model.next(text[-15:])
    text += max(expected, key=lambda character: expected[character])
print(text)
