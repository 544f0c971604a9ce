"""A text's numbers, small enough for one file: what is stored, and what follows from it.

Stored are the gates and the candidate, f_t, i_t, g_t and o_t; of a plain RNN, h_t. The rest
is computed from them by the blog's equations, in float32 as the kernels do, so that the
numbers of a page always come out:

    fC_t = f_t * C_t-1    gi_t = i_t * g_t    C_t = fC_t + gi_t    h_t = o_t * tanh(C_t)

Exactly, a stored number is its float32, and C_t is exact to the last bit. In short it is a
byte, one of 256 steps from end to end of its scale. An article is added to for a long time,
and errors of f_t would add up in it; so each byte is one of the two nearest its number,
those of f_t, i_t and g_t that together bring C_t nearest to what it was.

Planes are (H, T), a unit's numbers one after the other: they compress better so.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...engines.cell import Cell
from ...engines.weights import Array

STEPS = 255
UNIT = np.arange(256, dtype=np.float32) / np.float32(STEPS)
"""What the bytes of f_t, i_t and o_t stand for."""
SIGNED = (2 * np.arange(256) / STEPS - 1).astype(np.float32)
"""What the bytes of g_t, and of an RNN's h_t, stand for."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The numbers of one layer."""

    planes: dict[str, str]
    """By quantity, what is stored of it: base64 of zlib's format."""
    off: dict[str, float]
    """By quantity, how far what the page shows is from the truth, at most."""


def pack(
    cell: Cell, exact: dict[str, Array], *, before: Array, fresh: Array, short: bool
) -> Packed:
    """Pack one layer's quantities, each (T, H) float32.

    `before` is the C_t-1 (H,) of the first step; at `fresh` steps it is zero.
    """
    if not short:
        planes = {name: exact[name].astype("<f4") for name in cell.stored}
        return Packed(planes=_encoded(planes), off={})
    if not cell.has_cell_state:  # nothing adds up: each number is its nearest byte
        scales = {name: UNIT if name in cell.fractions else SIGNED for name in cell.stored}
        levels = {name: _nearest(exact[name], scale) for name, scale in scales.items()}
        off = {name: _distance(scales[name][levels[name]], exact[name]) for name in scales}
        return Packed(planes=_encoded(levels), off=off)
    levels, found = _followed(exact, before, fresh)
    levels["o_t"] = _nearest(exact["o_t"], UNIT)
    found["o_t"] = UNIT[levels["o_t"]]
    found["h_t"] = found["o_t"] * np.tanh(found["C_t"])
    off = {name: _distance(found[name], exact[name]) for name in exact}
    return Packed(planes=_encoded(levels), off=off)


def _followed(
    exact: dict[str, Array], before: Array, fresh: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The bytes of f_t, i_t and g_t, and all quantities but o_t and h_t that follow from them."""
    scales = {"f_t": UNIT, "i_t": UNIT, "g_t": SIGNED}
    levels = {name: np.empty(exact[name].shape, np.uint8) for name in scales}
    found = {name: np.empty_like(exact["C_t"]) for name in (*scales, "fC_t", "gi_t", "C_t")}
    around = {name: _around(exact[name], scale) for name, scale in scales.items()}
    C = before.astype(np.float32)
    for t, goal in enumerate(exact["C_t"]):
        if fresh[t]:
            C = np.zeros_like(C)
        nearest = np.full(C.shape, np.inf, np.float32)
        chosen = np.zeros(C.shape, int)
        tried = list(product(*(around[name][:, t] for name in scales)))
        for n, (f, i, g) in enumerate(tried):
            distance = np.abs(UNIT[f] * C + UNIT[i] * SIGNED[g] - goal)
            chosen[distance < nearest] = n
            nearest = np.minimum(distance, nearest)
        for number, (name, scale) in enumerate(scales.items()):
            level = np.choose(chosen, [some[number] for some in tried])
            levels[name][t], found[name][t] = level, scale[level]
        found["fC_t"][t] = found["f_t"][t] * C
        found["gi_t"][t] = found["i_t"][t] * found["g_t"][t]
        found["C_t"][t] = C = found["fC_t"][t] + found["gi_t"][t]
    return levels, found


def _place(values: Array, scale: Array) -> Array:
    """Where values stand on a scale of bytes, between them, too."""
    return (values - scale[0]) / (scale[-1] - scale[0]) * np.float32(STEPS)


def _around(values: Array, scale: Array) -> Array:
    """(2, ...) the bytes next to each value, the nearer one first."""
    place = _place(values, scale)
    near = np.rint(place)
    other = near + np.where(place < near, -1, 1)
    return np.stack([near, other]).clip(0, STEPS).astype(np.uint8)


def _nearest(values: Array, scale: Array) -> Array:
    return np.rint(_place(values, scale)).clip(0, STEPS).astype(np.uint8)


def _distance(some: Array, others: Array) -> float:
    return float(np.abs(some - others).max())


def _encoded(planes: dict[str, Array]) -> dict[str, str]:
    return {
        name: base64.b64encode(zlib.compress(plane.T.tobytes(), 6)).decode("ascii")
        for name, plane in planes.items()
    }
