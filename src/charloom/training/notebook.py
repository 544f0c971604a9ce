"""A run as a notebook shows it: a line, and a curve that moves while it trains."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Protocol

from ..model.scoring import Score
from .curve import Curve, curve_html
from .plan import Plan
from .saving import Saving
from .schedule import UNPLANNED_STEPS

SECONDS = 1.0
"""The shortest time between two drawings."""


class Run(Protocol):
    """What is shown of a run."""

    plan: Plan

    @property
    def step(self) -> int: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def best(self) -> Score | None: ...  # noqa: D102


def summary(run: Run) -> str:
    """A run in one line."""
    shape, best = run.plan.model, run.best
    planned = f" of {run.steps:,}" if run.steps < UNPLANNED_STEPS else ""
    told = f"step {run.step:,}{planned}, {shape.cell} {shape.num_layers} x {shape.hidden_size}"
    if best is not None:
        told += f", best {best.bits_per_character:.3f} bits per character held out"
    return f"Run({told})"


class Views:
    """Where a run is shown. A view that cannot be drawn never ends the run."""

    def __init__(self, saving: Saving | None, start: int) -> None:
        """Of a run that goes on from the step `start`; what is before is read when it is shown."""
        self.curve = Curve()
        """Of the steps since."""
        self._saving, self._start = saving, start
        self._before: Curve | None = None
        self._drawn = 0.0
        self._views: list[Any] = []

    def html(self, run: Run) -> str:
        """The line and the curve."""
        if self._before is None:
            self._before = Curve(() if self._saving is None else self._saving.history(self._start))
        planned = run.steps if run.steps < UNPLANNED_STEPS else run.step
        return curve_html([self._before, self.curve], planned, summary(run))

    def show(self, run: Run) -> None:
        """Show it where the notebook is now; in a terminal's IPython, only once."""
        from IPython.core.getipython import get_ipython  # pyright: ignore[reportMissingImports]
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        view = display(self._content(run), raw=True, display_id=True)
        if hasattr(get_ipython(), "kernel"):
            self._views.append(view)

    def refresh(self, run: Run, *, at_once: bool = False) -> None:
        """Draw it anew everywhere, if it is time to."""
        if not self._views or (time.monotonic() - self._drawn < SECONDS and not at_once):
            return
        self._drawn = time.monotonic()
        with suppress(Exception):
            for view in self._views:
                view.update(self._content(run), raw=True)

    def _content(self, run: Run) -> dict[str, str]:
        """What is shown, by its MIME type."""
        return {"text/plain": summary(run), "text/html": self.html(run)}
