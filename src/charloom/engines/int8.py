"""Weights in 8 bits: what `precision="int8"` computes with."""

from __future__ import annotations

import re

import numpy as np

from .weights import Array, Weights

_READ_WHOLE = re.compile(r"\w+\.weight_hh_l\d+|\w+\.weight_ih_l[1-9]\d*|head\.weight")
"""What is multiplied with hidden states, and so read from end to end for each character."""


def rounded(weights: Weights) -> Weights:
    """The weights, those that multiply hidden states rounded to 8 bits a number.

    Each row of them, the weights of one sum, is a scale times whole numbers from -127 to 127.
    Biases, embeddings and the input weights of the first layer stay as they are: of those a
    character reads a row. What comes back is float32, and rounding it again changes nothing
    but last bits.

    >>> w = np.array([[0.5, -1.27], [0.0, 0.0]], np.float32)
    >>> rounded({"head.weight": w, "head.bias": w[0]})["head.weight"]
    array([[ 0.5 , -1.27],
           [ 0.  ,  0.  ]], dtype=float32)
    """
    return {
        name: _rounded(weight) if _READ_WHOLE.fullmatch(name) else weight
        for name, weight in weights.items()
    }


def whole_numbers(weight: Array) -> tuple[Array, Array]:
    """A matrix (R, C) as int8 numbers and the scale (R,) of each of its rows.

    >>> whole, scale = whole_numbers(np.array([[0.5, -1.27], [0.0, 0.0]], np.float32))
    >>> whole.tolist(), scale.round(4).tolist()
    ([[50, -127], [0, 0]], [0.009999999776482582, 0.007899999618530273])
    """
    most = np.abs(weight).max(axis=1)
    scale = np.where(most > 0, most, 1).astype(np.float32) / np.float32(127)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


def _rounded(weight: Array) -> Array:
    whole, scale = whole_numbers(weight)
    return whole.astype(np.float32) * scale[:, None]
