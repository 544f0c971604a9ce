"""The places in a notebook where a run is shown, drawn anew while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SECONDS = 1.0
"""The shortest time between two drawings."""


class Views:
    """Where a run is shown. A view that cannot be drawn never ends the run."""

    def __init__(self, draw: Callable[[], dict[str, str]]) -> None:
        """`draw` gives what is shown, by its MIME type."""
        self._draw, self._drawn = draw, 0.0
        self._views: list[Any] = []

    def show(self) -> None:
        """Show it where the notebook is now; in a terminal's IPython, only once."""
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        view = display(self._draw(), raw=True, display_id=True)
        if hasattr(get_ipython(), "kernel"):
            self._views.append(view)

    def refresh(self, *, at_once: bool = False) -> None:
        """Draw it anew everywhere, if it is time to."""
        if not self._views or (time.monotonic() - self._drawn < SECONDS and not at_once):
            return
        self._drawn = time.monotonic()
        with suppress(Exception):
            for view in self._views:
                view.update(self._draw(), raw=True)
