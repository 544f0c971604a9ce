"""The weights of a network: their names, their shapes, and their first values.

Weights travel as a dict from name to array, with the names and shapes of `torch.nn.LSTM`
(or `GRU`, or `RNN`) and `torch.nn.Linear`, but for the one bias that is computed with:

    embedding.weight   (V, E)     only with an embedding
    lstm.weight_ih_l0  (G, I)     I is V for one-hot input, E with an embedding, H above
    lstm.weight_hh_l0  (G, H)
    lstm.bias_l0       (G,)       the sum of PyTorch's bias_ih_l0 and bias_hh_l0;
    gru.bias_l0        (4H,)      of a GRU's, with the candidate's bias_hh apart at the end
    head.weight        (V, H)
    head.bias          (V,)
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError
from ..settings import ModelSettings
from .cell import CELLS

Array = NDArray[Any]
Weights = dict[str, Array]


def weight_shapes(settings: ModelSettings, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight, in the order in which they are stored.

    >>> shapes = weight_shapes(ModelSettings(hidden_size=75, num_layers=1), 27)
    >>> shapes["lstm.weight_ih_l0"], shapes["head.weight"]
    ((300, 27), (27, 75))
    """
    hidden, cell = settings.hidden_size, settings.cell
    gates = CELLS[cell].gate_rows(hidden)
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = vocabulary_size
    if settings.embedding_size:
        inputs = settings.embedding_size
        shapes["embedding.weight"] = (vocabulary_size, inputs)
    for layer in range(settings.num_layers):
        shapes[f"{cell}.weight_ih_l{layer}"] = (gates, inputs)
        shapes[f"{cell}.weight_hh_l{layer}"] = (gates, hidden)
        shapes[f"{cell}.bias_l{layer}"] = (CELLS[cell].bias_rows(hidden),)
        inputs = hidden
    shapes["head.weight"] = (vocabulary_size, hidden)
    shapes["head.bias"] = (vocabulary_size,)
    return shapes


def parameter_count(settings: ModelSettings, vocabulary_size: int) -> int:
    """How many numbers such a network learns.

    >>> parameter_count(ModelSettings(hidden_size=16, num_layers=1), 14)
    2222
    """
    return sum(math.prod(shape) for shape in weight_shapes(settings, vocabulary_size).values())


def torch_biases(settings: ModelSettings, bias: Array) -> tuple[Array, Array]:
    """A layer's bias as PyTorch's two, (G,) each: bias_ih and bias_hh.

    The second is zero, but for what a gate of a GRU weighs.

    >>> torch_biases(ModelSettings(cell="gru", hidden_size=1), np.array([1.0, 2.0, 3.0, 4.0]))
    (array([1., 2., 3.]), array([0., 0., 4.]))
    """
    cell, size = CELLS[settings.cell], settings.hidden_size
    at, rows = cell.recurrent_bias(size), cell.gate_rows(size)
    return bias[:rows].copy(), np.where(at < rows, 0, bias[at]).astype(bias.dtype)


def folded_bias(settings: ModelSettings, bias_ih: Array, bias_hh: Array) -> Array:
    """A layer's bias from PyTorch's two: the way back from `torch_biases`.

    >>> ones = np.ones(3)
    >>> folded_bias(ModelSettings(cell="gru", hidden_size=1), ones, 2 * ones)
    array([3., 3., 1., 2.])
    """
    cell, size = CELLS[settings.cell], settings.hidden_size
    bias = np.zeros(cell.bias_rows(size), bias_ih.dtype)
    bias[: len(bias_ih)] = bias_ih
    bias[cell.recurrent_bias(size)] += bias_hh
    return bias


def check_weights(weights: Weights, settings: ModelSettings, vocabulary_size: int) -> None:
    """ModelFileError where a weight is missing or has another shape than it must have."""
    for name, shape in weight_shapes(settings, vocabulary_size).items():
        if name not in weights or weights[name].shape != shape:
            given = weights[name].shape if name in weights else "missing"
            raise ModelFileError(
                f"the weight {name} is {given}; these settings and a vocabulary of "
                f"{vocabulary_size} need {shape}"
            )


def initial_weights(
    settings: ModelSettings,
    vocabulary_size: int,
    seed: int,
    dtype: Any = np.float32,
    first_values: Literal["scaled", "keras"] = "scaled",
) -> Weights:
    """Weights to start training from, a function of the seed.

    keras    Kernels are Glorot-uniform, embeddings uniform within 0.05; biases are 0, but 1 for
             the forget gate. The blog's program starts so.
    scaled   What is read of one character, a column of a one-hot input's weights, is drawn
             from N(0, 1) however large the vocabulary is: in Glorot's range a character is
             hardly heard beside the recurrent state. With an embedding its rows are N(0, 1),
             and its weights N(0, 1 / size), so that the gates' inputs are the same. Input
             weights of upper layers and the head are 3 times Glorot's; biases are 0.

    Recurrent kernels are orthogonal in both. How much "scaled" brings is in
    docs/measurements.md; it was measured with LSTMs and GRUs, and an RNN starts as Keras's. All
    is computed in float64 and rounded to `dtype`, which hides the last bits of a LAPACK.

    >>> settings = ModelSettings(hidden_size=2, num_layers=1)
    >>> initial_weights(settings, 27, seed=0, first_values="keras")["lstm.bias_l0"]
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    random = np.random.default_rng(seed)
    cell = CELLS[settings.cell]
    scaled = first_values == "scaled" and cell.has_scaled_values
    bias = [0.0 if scaled else cell.first_bias.get(gate, 0.0) for gate in cell.gates]
    bias += [0.0 for _ in cell.apart]
    weights: Weights = {}
    for name, shape in weight_shapes(settings, vocabulary_size).items():
        limit = math.sqrt(6 / sum(shape)) if len(shape) == 2 else 0.0
        if "weight_hh" in name:
            weight = _orthogonal(random, shape)
        elif name == "embedding.weight":
            weight = random.normal(size=shape) if scaled else random.uniform(-0.05, 0.05, shape)
        elif name == "head.bias":
            weight = np.zeros(shape)
        elif "bias" in name:
            weight = np.repeat(bias, settings.hidden_size)
        elif scaled and name.endswith("weight_ih_l0"):
            weight = random.normal(size=shape) / math.sqrt(settings.embedding_size or 1)
        else:
            weight = random.uniform(-limit, limit, shape) * (3 if scaled else 1)
        weights[name] = weight.astype(dtype)
    return weights


def _orthogonal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """(G, H) columns of length 1 at right angles, without a preferred direction."""
    q, r = np.linalg.qr(random.normal(size=shape))
    return q * np.sign(np.diag(r))
