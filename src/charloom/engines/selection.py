"""Which engine computes a network: the native one, or the reference; only that one is loaded."""

from __future__ import annotations

import os

from ..errors import SettingsError
from ..settings import ComputingSettings, ModelSettings
from .base import Engine
from .weights import Weights

ENGINE_VARIABLE = "CHARLOOM_ENGINE"
"""The environment variable that chooses the engine: native (the default) or reference."""


def open_engine(
    settings: ModelSettings,
    vocabulary_size: int,
    weights: Weights,
    *,
    precision: str = "auto",
    threads: int = 0,
) -> Engine:
    """The engine that computes this network, with a copy of these weights.

    The native one, unless the environment says CHARLOOM_ENGINE=reference. `precision` is
    auto, float32, bfloat16 or, for a trained network, int8; `threads` 0 uses every core of
    the processor. SettingsError for an engine, a precision or a number of threads that there
    is not.
    """
    ComputingSettings(threads=threads)
    name = os.environ.get(ENGINE_VARIABLE, "native")
    if name == "native":
        from .native import NativeEngine

        return NativeEngine(
            settings, vocabulary_size, weights, precision=precision, threads=threads
        )
    if name != "reference":
        raise SettingsError(f"{ENGINE_VARIABLE} is {name!r}; it must be native or reference")
    if precision not in ("auto", "float32"):
        raise SettingsError(
            f"precision: {precision} was given, but the reference engine has no {precision}; "
            f"use float32, or unset {ENGINE_VARIABLE} for the native engine"
        )
    from .reference.engine import ReferenceEngine

    return ReferenceEngine(settings, vocabulary_size, weights)
