"""Correlations of many units with a label, and how far chance goes."""

from __future__ import annotations

import numpy as np

from ...engines.weights import Array

BLOCKS = 20
RESAMPLINGS = 1000


def unit_length(rows: Array) -> Array:
    """Rows with mean 0 and length 1; a row that never changes becomes 0."""
    centred = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    norm = np.sqrt(np.square(centred).sum(axis=1, keepdims=True, dtype=np.float64))
    still = norm <= 1e-6 * np.sqrt(rows.shape[1])
    return centred * np.where(still, 0, 1 / np.where(still, 1, norm)).astype(np.float32)


def turned(half: Array, count: int, random: np.random.Generator) -> Array:
    """(T, count) a label turned in a circle, by at least a twentieth of it either way."""
    T = len(half)
    by = random.integers(T // 20, T - T // 20, count)
    return half[(np.arange(T)[:, None] - by) % T]


def beats(x: Array, rival: Array, y: Array, random: np.random.Generator) -> float:
    """The share of resamplings of blocks of text in which x follows y better than a rival."""
    weights = random.multinomial(BLOCKS, [1 / BLOCKS] * BLOCKS, RESAMPLINGS)
    return float((_resampled(x, y, weights) > _resampled(rival, y, weights)).mean())


def _resampled(x: Array, y: Array, weights: Array) -> Array:
    """(R,) the correlation over blocks that are counted so many times (R, blocks)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    edges = np.linspace(0, len(x), BLOCKS, endpoint=False).astype(int)
    parts = (np.ones_like(x), x, y, x * x, y * y, x * y)
    n, sx, sy, sxx, syy, sxy = (weights @ np.add.reduceat(part, edges) for part in parts)
    spread = np.maximum(n * sxx - sx**2, 0) * np.maximum(n * syy - sy**2, 0)
    return np.where(spread > 0, (n * sxy - sx * sy) / np.sqrt(np.where(spread > 0, spread, 1)), 0)


def auc(x: Array, holds: Array) -> float:
    """The chance that x is higher at a place where it holds than at one where not."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # equal values share the mean of their ranks
    positive = int(holds.sum())
    above = rank[place][holds].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(x) - positive)))
