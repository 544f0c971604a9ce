"""The products of a layer and their gradients, the same for every cell, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..weights import Array


class Tape(Protocol):
    """What the forward pass of every cell keeps for the backward pass."""

    @property
    def x(self) -> Array:
        """(T, B, I), or (T, B) ids."""
        ...

    @property
    def h(self) -> Array:
        """(T + 1, B, H); h[t] stands before step t."""
        ...

    @property
    def traced(self) -> dict[str, Array]:
        """(T, B, H) by name, as `Cell.traced` has them."""
        ...


@dataclass(frozen=True, kw_only=True)
class LayerGradients:
    """The gradient of the loss in everything that went into a layer, each in its shape."""

    x: Array
    """(T, B, I), but (T, B, 0) where x was ids, which have no gradient"""
    hidden: Array
    cell: Array
    weight_ih: Array
    weight_hh: Array
    bias: Array


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), exact at both ends: no exponential that could overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def add_rows(ids: Array, rows: Array, count: int) -> Array:
    """(count, N) The rows (..., N) that share an id added up: the gradient of `table[ids]`.

    >>> add_rows(np.array([2, 0, 2]), np.array([[1.0], [5.0], [10.0]]), 3).ravel()
    array([ 5.,  0., 11.])
    """
    total = np.zeros((count, rows.shape[-1]), rows.dtype)
    np.add.at(total, ids, rows)
    return total


def times_input(x: Array, weight_ih: Array) -> Array:
    """(T, B, G) x W_ih^T, where ids pick the column that a one-hot vector would."""
    return weight_ih.T[x] if _are_ids(x) else x @ weight_ih.T


def back_through_products(
    d_gates: Array,
    tape: Tape,
    d_hidden: Array,
    d_cell: Array,
    weight_ih: Array,
    d_recurrent: Array | None = None,
) -> LayerGradients:
    """From the gradients before the sigmoids and tanhs to those of what was multiplied.

    `d_recurrent` is given where that of the recurrent products is another.
    """
    G = d_gates.shape[-1]
    flat_recurrent = (d_gates if d_recurrent is None else d_recurrent).reshape(-1, G)
    flat, h = d_gates.reshape(-1, G), tape.h[:-1]
    if _are_ids(tape.x):
        d_x = np.empty((*tape.x.shape, 0), d_gates.dtype)
        d_weight_ih = add_rows(tape.x, d_gates, weight_ih.shape[1]).T
    else:
        d_x = d_gates @ weight_ih
        d_weight_ih = flat.T @ tape.x.reshape(len(flat), -1)
    return LayerGradients(
        x=d_x,
        hidden=d_hidden,
        cell=d_cell,
        weight_ih=d_weight_ih,
        weight_hh=flat_recurrent.T @ h.reshape(len(flat), -1),
        bias=flat.sum(axis=0),
    )


def _are_ids(x: Array) -> bool:
    return np.issubdtype(x.dtype, np.integer)
