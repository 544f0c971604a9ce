"""A model as a Keras model: the layers of the blog's program, with our weights in them.

    one-hot characters (N, T, V), or ids (N, T) with an embedding -> logits (N, T, V)

The stateful form reads one text, (1, T, V) or (1, T), and goes on where it stopped, until its
`reset_state`. A `.keras` file has the description of the model in the archive's charloom.json,
which Keras does not look at.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..errors import SettingsError
from ..files import replacing
from ..model.model import Model
from .description import description
from .layers import Layer, layers_of

DESCRIPTION = "charloom.json"
"""In the archive that a .keras file is."""


@dataclass(frozen=True, kw_only=True)
class KerasLayer:
    """Keras's layer of a cell, the order of its gates, and whether it has two biases."""

    name: str
    gates: tuple[str, ...]
    two_biases: bool = False


LAYERS = {
    "lstm": KerasLayer(name="LSTM", gates=("input", "forget", "candidate", "output")),
    "gru": KerasLayer(name="GRU", gates=("update", "reset", "candidate"), two_biases=True),
    "rnn": KerasLayer(name="SimpleRNN", gates=("all",)),
}
"""Every cell, by the name that ModelSettings.cell gives."""


def build(model: Model, *, stateful: bool = False) -> Any:
    """A `keras.Sequential` with copies of the weights, in float32.

    Where the environment variable KERAS_BACKEND is not set, a backend is chosen that is
    installed. SettingsError if there is none, or no Keras.
    """
    keras = _keras()
    settings, weights, V = model.settings, model.weights, model.vocabulary.size
    kind = LAYERS[settings.cell]
    features = () if settings.embedding_size else (V,)
    shape: dict[str, Any] = {"batch_shape": (1, None, *features)}
    made = [keras.Input(**shape) if stateful else keras.Input((None, *features))]
    stored: list[list[np.ndarray]] = []
    if settings.embedding_size:
        made.append(keras.layers.Embedding(V, settings.embedding_size, dtype="float32"))
        stored.append([weights["embedding.weight"]])
    for layer in layers_of(settings, weights, kind.gates):
        made.append(
            getattr(keras.layers, kind.name)(
                settings.hidden_size, return_sequences=True, stateful=stateful, dtype="float32"
            )
        )
        stored.append([layer.weight_ih.T, layer.weight_hh.T, _bias(kind, layer)])
    made.append(keras.layers.Dense(V, dtype="float32", name="logits"))
    stored.append([weights["head.weight"].T, weights["head.bias"]])
    sequential = keras.Sequential(made, name="charloom")
    for layer, values in zip(sequential.layers, stored, strict=True):
        layer.set_weights(values)
    return sequential


def save(model: Model, path: str | Path, *, stateful: bool = False) -> None:
    """Write a .keras file, all at once. Keras puts the time into it, so no two are equal.

    OutputError, and what was at `path` is left, if it cannot be written.
    """
    with TemporaryDirectory() as folder:
        made = Path(folder) / "model.keras"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the backends about each other
            build(model, stateful=stateful).save(made)
        with zipfile.ZipFile(made, "a") as archive:
            archive.writestr(DESCRIPTION, description(model))
        with replacing(path) as file:
            file.write(made.read_bytes())


def _bias(kind: KerasLayer, layer: Layer) -> np.ndarray:
    """(G,), or (2, G) where Keras keeps both."""
    biases = np.stack([layer.bias_ih, layer.bias_hh])
    return biases if kind.two_biases else biases.sum(axis=0)


def _keras() -> Any:
    """The package, with a backend that is installed."""
    if "KERAS_BACKEND" not in os.environ and not find_spec("tensorflow"):
        os.environ["KERAS_BACKEND"] = (
            "torch" if find_spec("torch") and not find_spec("jax") else "jax"
        )
    try:
        import keras  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("keras", "tensorflow", "jax", "torch"):
            raise
        raise SettingsError(
            f".keras needs the package {missing}, which is not installed; "
            "pip install 'charloom[keras]'"
        ) from None
    return keras
