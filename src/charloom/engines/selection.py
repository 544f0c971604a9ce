"""Which engine computes a network: native, PyTorch's or the reference; only that one is loaded."""

from __future__ import annotations

import os
from typing import Any, cast

from ..errors import SettingsError
from ..settings import ComputingSettings, ModelSettings
from .base import Engine
from .group import ALONE, Group
from .members import MembersEngine
from .weights import Weights

ENGINE_VARIABLE = "CHARLOOM_ENGINE"
"""The environment variable that chooses the engine where `engine` is auto."""

ENGINES = ("native", "torch", "reference")


def chosen_engine(engine: str = "auto", device: str = "auto") -> str:
    """The name of the engine that `open_engine` opens.

    >>> chosen_engine("reference"), chosen_engine(device="cuda")
    ('reference', 'torch')
    """
    if engine != "auto":
        return engine
    elsewhere = device not in ("auto", "cpu")
    name = os.environ.get(ENGINE_VARIABLE) or ("torch" if elsewhere else "native")
    if name not in ENGINES:
        known = "native, torch or reference"
        raise SettingsError(f"{ENGINE_VARIABLE} is {name!r}; it must be {known}")
    return name


def open_engine(
    settings: ModelSettings,
    vocabulary_size: int,
    weights: Weights,
    *,
    precision: str = "auto",
    threads: int = 0,
    engine: str = "auto",
    device: str = "auto",
    group: Group = ALONE,
    members: int = 1,
) -> Engine:
    """The engine that computes this network, with a copy of these weights.

    `engine` auto is what the environment variable CHARLOOM_ENGINE names; without one it is
    torch where `device` is a GPU, and else native. `precision` is auto, float32, bfloat16,
    float16 (torch) or, for a trained network, int8 (native); `threads` 0 uses every core of
    the processor. In a group of processes they take its steps together. Several `members` are
    computed side by side (members.py). SettingsError for what does not go together or is not
    installed.
    """
    ComputingSettings(threads=threads, device=device)
    name = chosen_engine(engine, device)
    if members > 1:
        if name == "torch":
            raise SettingsError(
                f"members: {members} were given, but engine torch trains one network; use 1, or "
                "`engine` native",
                "engine",
            )

        def open_one(share: ModelSettings, weights: Weights) -> Engine:
            how: dict[str, Any] = {"precision": precision, "threads": threads, "engine": engine}
            return open_engine(share, vocabulary_size, weights, device=device, **how)

        return MembersEngine(settings, vocabulary_size, weights, members, open_one)
    if name == "torch":
        how = {"precision": precision, "threads": threads, "device": device}
        return _torch_engine(settings, vocabulary_size, weights, group, how)
    if device not in ("auto", "cpu"):
        raise SettingsError(
            f"device: {device} was given, but the {name} engine computes on the processor; "
            "use engine torch"
        )
    if name == "native":
        from .native import NativeEngine

        return NativeEngine(
            settings, vocabulary_size, weights, precision=precision, threads=threads
        )
    if precision not in ("auto", "float32"):
        raise SettingsError(
            f"precision: {precision} was given, but the reference engine has no {precision}; "
            f"use float32, or the native engine ({ENGINE_VARIABLE}=native)"
        )
    from .reference.engine import ReferenceEngine

    return ReferenceEngine(settings, vocabulary_size, weights)


PORTABLE = "baseline"
"""The kernels whose float32 results are the same bits on every processor."""


def exact_engine(
    settings: ModelSettings,
    vocabulary_size: int,
    weights: Weights,
    *,
    kernels: str = PORTABLE,
    threads: int = 0,
) -> Engine:
    """The native engine in float32 on kernels that were named; SettingsError if it lacks them.

    >>> exact_engine(ModelSettings(hidden_size=8), 0, {}, kernels="cray")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    charloom.errors.SettingsError: kernels 'cray' were asked for; this processor has ...
    """
    from .native import NativeEngine, available_kernels

    if kernels not in available_kernels():
        has = ", ".join(available_kernels())
        raise SettingsError(f"kernels {kernels!r} were asked for; this processor has {has}")
    return NativeEngine(
        settings, vocabulary_size, weights, precision="float32", kernels=kernels, threads=threads
    )


def fastest_kernels() -> str:
    """The fastest kernels that this processor has, by their name."""
    from .native import available_kernels

    return available_kernels()[0]


def _torch_engine(
    settings: ModelSettings,
    vocabulary_size: int,
    weights: Weights,
    group: Group,
    how: dict[str, Any],
) -> Engine:
    try:
        from .pytorch.engine import TorchEngine
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise SettingsError(
            "engine: torch needs PyTorch, which is not installed; pip install 'charloom[torch]'"
        ) from None
    if group.size > 1:
        from .pytorch.shared import SharedEngine

        return SharedEngine(settings, vocabulary_size, weights, cast("Any", group), **how)
    return TorchEngine(settings, vocabulary_size, weights, **how)
