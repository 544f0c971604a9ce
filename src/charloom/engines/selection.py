"""Which engine computes a network: the native one, or the reference; only that one is loaded."""

from __future__ import annotations

import os

from ..errors import SettingsError
from ..settings import ModelSettings
from .base import Engine, Weights

CORE_VARIABLE = "CHARLOOM_CORE"
"""The environment variable that chooses the core: native (the default) or reference."""


def open_engine(
    settings: ModelSettings,
    vocabulary_size: int,
    weights: Weights,
    *,
    precision: str = "auto",
    threads: int = 0,
) -> Engine:
    """The engine that computes this network, with a copy of these weights.

    The native one, unless the environment says CHARLOOM_CORE=reference. `precision` is
    auto, float32, bfloat16 or, for a trained network, int8; `threads` 0 uses every core of
    the processor.
    """
    core = os.environ.get(CORE_VARIABLE, "native")
    if core == "native":
        from .native import NativeEngine

        return NativeEngine(
            settings, vocabulary_size, weights, precision=precision, threads=threads
        )
    if core != "reference":
        raise SettingsError(f"{CORE_VARIABLE} is {core!r}; it must be native or reference")
    if precision not in ("auto", "float32"):
        raise SettingsError(
            f"precision: {precision} was given, but the reference core has no {precision}; "
            f"use float32, or unset {CORE_VARIABLE} for the native core"
        )
    from .reference.engine import ReferenceEngine

    return ReferenceEngine(settings, vocabulary_size, weights)
