"""Which group of processes this one is in, by the environment that torchrun sets."""

from __future__ import annotations

import os

from ..errors import SettingsError
from .group import ALONE, Group


def group_of(engine: str, device: str = "auto") -> Group:
    """The group that the environment says this process is in (torchrun sets it).

    SettingsError for an engine that trains in one process only.
    """
    if engine == "auto" and device not in ("auto", "cpu"):
        engine = "torch"
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "MASTER_ADDR" not in os.environ:
        return ALONE
    if engine != "torch":
        raise SettingsError(
            f"engine: {engine} trains in one process, and this is one of "
            f"{os.environ['WORLD_SIZE']}; use engine torch, or start it without torchrun"
        )
    from .pytorch.group import joined

    return joined()


def was_restarted() -> bool:
    """Whether torchrun has started its processes again, since one of them has died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
