"""The next character is drawn from the logits: what every core does, in NumPy.

    logits -> without the forbidden -> / temperature -> top_k -> top_p -> shares of [0, 1)

The native core draws inside C++, by the same rules (native/network/sampler.cpp).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..settings import SamplingSettings
from .weights import Array


def draw(
    logits: Array,
    sampling: SamplingSettings | Sequence[SamplingSettings],
    uniforms: Array,
    forbidden: tuple[int, ...] = (),
    masks: Sequence[Array | None] | None = None,
) -> Array:
    """(B,) int32 One id for each row of logits (B, V), decided by its number in [0, 1).

    Temperature, then `top_k`, then `top_p`, each on what the one before has left; among
    equals the lower id comes first. Of what is left the ids share [0, 1) in their order.
    `sampling` is for all rows, or one for each. `masks` (V,) bool, one for each row, say what
    else may not be drawn.

    >>> likely = np.log(np.array([[0.1, 0.6, 0.3]]))
    >>> [int(draw(likely, SamplingSettings(), np.array([u]))[0]) for u in (0.05, 0.15, 0.8)]
    [0, 1, 2]
    >>> int(draw(likely, SamplingSettings(temperature=0), np.array([0.05]), (1,))[0])
    2
    """
    known = np.delete(np.arange(logits.shape[-1], dtype=np.int32), forbidden)
    B = len(logits)
    each = [sampling] * B if isinstance(sampling, SamplingSettings) else sampling
    drawn = np.empty(B, np.int32)
    for b, (mask, one, u) in enumerate(zip(masks or [None] * B, each, uniforms, strict=True)):
        ids = known if mask is None else known[mask[known]]
        drawn[b] = ids[_draw_one(logits[b, ids].astype(np.float32), one, u)]
    return drawn


def _draw_one(logits: Array, sampling: SamplingSettings, u: float) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / sampling.temperature
    ids = np.argsort(-scaled, kind="stable")  # the likeliest first
    ids = ids[: sampling.top_k or len(ids)]
    p = np.exp(scaled[ids] - scaled[ids[0]])
    p /= p.sum()
    if sampling.top_p < 1:
        enough = 1 + int(np.searchsorted(np.cumsum(p), sampling.top_p))
        ids, p = ids[:enough], p[:enough] / p[:enough].sum()
    order = np.argsort(ids)
    at = np.searchsorted(np.cumsum(p[order]), u, side="right")
    return int(ids[order][min(at, len(ids) - 1)])  # the sum may round to less than u
