"""Waiting for what has to come, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds, after which it will not come; a test that passes waits for none of them."""


def wait_until(come: Callable[[], object], every: float = 0.02) -> None:
    """Look until it has come."""
    until = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < until, f"it has not come in {PATIENCE:.0f} seconds"
        time.sleep(every)
