"""From logits and targets to nats, and from nats to a gradient.

The surprisal of a target is -ln p(target), in nats, with p the softmax of the logits. A
target of NOT_COUNTED has none: it adds nothing to a sum, a count or a gradient.
"""

from __future__ import annotations

import numpy as np

from ..text.batches import NOT_COUNTED
from .weights import Array


def log_softmax(logits: Array) -> Array:
    """(..., V) ln p of every id, never -inf for finite logits and never above 0.

    >>> np.exp(log_softmax(np.array([0.0, np.log(3.0)]))).round(12)
    array([0.25, 0.75])
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def surprisal(logits: Array, targets: Array) -> Array:
    """(T, B) -ln p of each target, from logits (T, B, V); 0 where it is not counted.

    >>> surprisal(np.zeros((1, 2, 8)), np.array([[3, NOT_COUNTED]])) / np.log(2)
    array([[3., 0.]])
    """
    counted = targets != NOT_COUNTED
    at = np.where(counted, targets, 0)[..., None]
    nats = -np.take_along_axis(log_softmax(logits), at, axis=-1)[..., 0]
    return np.where(counted, nats, nats.dtype.type(0))


def ranks(logits: Array, targets: Array) -> Array:
    """(T, B) int32: 1 + how many ids are likelier than the target; 0 where not counted.

    >>> ranks(np.array([[[0.1, 0.9, 0.5]]]), np.array([[2]]))
    array([[2]], dtype=int32)
    """
    counted = targets != NOT_COUNTED
    at = np.where(counted, targets, 0)[..., None]
    likelier = logits > np.take_along_axis(logits, at, axis=-1)
    return np.where(counted, 1 + likelier.sum(axis=-1), 0).astype(np.int32)


def cross_entropy(logits: Array, targets: Array) -> tuple[float, int, Array]:
    """The SUM of the surprisal in nats, how many were counted, and the gradient of the sum.

    The sum is added up in float64; the gradient (T, B, V) has the type of the logits. For the
    gradient of the mean divide it by the count.

    >>> nats, count, gradient = cross_entropy(np.zeros((1, 1, 2)), np.array([[1]]))
    >>> round(nats, 4), count, gradient
    (0.6931, 1, array([[[ 0.5, -0.5]]]))
    """
    counted = targets != NOT_COUNTED
    gradient = np.exp(log_softmax(logits))
    time, stream = np.nonzero(counted)
    gradient[time, stream, targets[counted]] -= 1
    gradient[~counted] = 0
    nats = surprisal(logits, targets).sum(dtype=np.float64)
    return float(nats), int(counted.sum()), gradient
