"""Statistics of the search: correlations, shuffled labels, tails of maxima, intervals.

The p-value of a correlation that is the largest of many is read from a Gumbel distribution,
fitted by its moments to the largest correlations of searches in which nothing is true:

    z = artanh r        (Fisher 1921: spreads alike wherever r lies)
    beta = s sqrt(6) / pi,  mu = m - 0.5772 beta      m, s: mean and deviation of those z
    p(r) = 1 - exp(-exp(-(z - mu) / (beta (1 + 1.5 / N))))

Maxima of many variables with light tails tend to it (Gumbel, Statistics of Extremes, 1958).
So p is not bounded below by the number of searches, as a share of them is (Knijnenburg et
al., Bioinformatics 25, 2009, go the same way with a generalized Pareto distribution). A fit
to N = 12 searches would reach p = 0.0025 nearly twice as often as it says; the factor with
1.5 / N is the least, in simulations, that keeps the stated rates from N = 12 on.
"""

from __future__ import annotations

import math

import numpy as np

from ...engines.weights import Array

BLOCKS = 20
"""Blocks of held-out text that are resampled."""

RESAMPLINGS = 1000

_STILL = 1e-6
"""A deviation so small is that of a feature that never changes."""


def unit_length(rows: Array) -> Array:
    """Rows with mean 0 and length 1; a row that never changes becomes 0."""
    centered = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    norm = np.sqrt(np.square(centered).sum(axis=1, keepdims=True, dtype=np.float64))
    return centered * inverse_norm(norm, rows.shape[1]).astype(np.float32)


def inverse_norm(norm: Array, count: int) -> Array:
    """1 / norm of `count` centered values; 0 where they never change."""
    still = norm <= _STILL * math.sqrt(count)
    return np.where(still, 0, 1 / np.where(still, 1, norm))


def turned(half: Array, count: int, random: np.random.Generator) -> Array:
    """(T, count) a label turned in a circle, by at least a twentieth of it either way."""
    T = len(half)
    by = random.integers(T // 20, T - T // 20, count)
    return half[(np.arange(T)[:, None] - by) % T]


def chance_of(score: Array, maxima: Array) -> Array:
    """p: how likely the largest of many correlations reaches `score` where nothing is true.

    `maxima` (N, ...) are the largest correlations of N such searches; `score` has their
    shape without N, or broadcasts to it.

    >>> maxima = np.tanh(-np.log(-np.log((np.arange(999) + 0.5) / 999)) / 10)
    >>> chance_of(np.tanh(np.array([0.0, 0.3, 1.0])), maxima).round(5).tolist()
    [0.6323, 0.04861, 5e-05]
    """
    mu, beta = _gumbel(maxima)
    return -np.expm1(-np.exp(-np.clip((_fisher(score) - mu) / beta, -700, 700)))


def score_at(p: float, maxima: Array) -> float:
    """The correlation whose `chance_of` is p."""
    mu, beta = _gumbel(maxima)
    return float(np.tanh(mu - beta * math.log(-math.log1p(-p))))


def _gumbel(maxima: Array) -> tuple[Array, Array]:
    """The place and the scale, made wider, of N maxima (N, ...)."""
    z = _fisher(maxima)
    beta = np.maximum(z.std(axis=0, ddof=1) * math.sqrt(6) / math.pi, 1e-9)
    return z.mean(axis=0) - np.euler_gamma * beta, beta * (1 + 1.5 / len(z))


def _fisher(r: Array) -> Array:
    return np.arctanh(np.clip(np.asarray(r, np.float64), -1 + 1e-7, 1 - 1e-7))


def interval(values: Array, alpha: float, random: np.random.Generator) -> tuple[float, float]:
    """The 1 - alpha percentile interval of a mean along a text, by resampling its blocks.

    Neighboring values (T,) depend on each other; blocks far longer than that dependence
    hardly do (Künsch, Annals of Statistics 17, 1989).
    """
    edges = np.linspace(0, len(values), BLOCKS, endpoint=False).astype(int)
    sums = np.add.reduceat(values.astype(np.float64), edges)
    counts = np.diff(edges, append=len(values))
    weights = random.multinomial(BLOCKS, [1 / BLOCKS] * BLOCKS, RESAMPLINGS)
    means = (weights @ sums) / (weights @ counts)
    low, high = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def auc(x: Array, holds: Array) -> float:
    """The chance that x is higher at a place where the label holds than where it does not."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # equal values share the mean of their ranks
    positive = int(holds.sum())
    above = rank[place][holds].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(x) - positive)))
