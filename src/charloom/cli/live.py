"""A run as one watches it: live on a terminal, and as plain lines everywhere else.

Both go to standard error, since results go to standard output. On a terminal a bar and a line
of numbers stay at the bottom, and validations and samples scroll by above them; elsewhere, and
where TERM is dumb, there is a line at each validation and about every ten seconds.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import charloom

from ..errors import counted
from .streams import is_terminal, tell

REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
SAMPLE_SECONDS = 5.0
"""Least time between two samples, which cost time themselves."""


UNPLANNED_STEPS = 10**12
"""`Run.steps` of a run of so many minutes until its speed is known."""


@contextmanager
def watching(run: charloom.Run) -> Iterator[Callable[[charloom.Progress], None]]:
    """Show a run on standard error: call what is yielded with each of its steps.

    Whatever goes wrong with the display ends the display and not the run.
    """
    view: _View | None = None
    with suppress(Exception):
        view = _Terminal(run) if _can_draw() else _Lines(run)
        view.start()

    def show(progress: charloom.Progress) -> None:
        nonlocal view
        if view is not None:
            try:
                view.show(progress)
            except Exception:
                view = None

    try:
        yield show
    finally:
        if view is not None:
            with suppress(Exception):
                view.stop()


def _can_draw() -> bool:
    """Whether standard error is a terminal that can move its cursor."""
    return is_terminal(sys.stderr) and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def opening(run: charloom.Run, name: str | Path) -> str:
    """The size of the text and of the network, and what was chosen to fit, in two lines."""
    plan, split = run.plan, run.plan.split
    model = plan.model
    training, held_out = (part.stop - part.start for part in (split.training, split.validation))
    return (
        f"{name}: {counted(training, 'character')} to train on and {held_out:,} held out, "
        f"{counted(plan.vocabulary.size, plan.vocabulary.kind[:-1])} known; {model.cell} with "
        f"{counted(model.num_layers, 'layer')} of {model.hidden_size}, "
        f"{counted(run.parameters, 'weight')}\n"
        f"  {plan.training.batches}: {plan.choice}"
    )


def closing(run: charloom.Run, name: str | Path) -> str:
    """The best measurement of a run, in a line."""
    best, at = run.best, run.best_step
    if best is None or at is None:
        return f"{name}  {run.step:,} of {counted(run.steps, 'step')}; nothing was validated"
    return (
        f"{name}  {_bits(best.nats_per_character)} per character held out, "
        f"at step {at:,} of {_count(run.steps)}"
        + (f"; {counted(run.step - at, 'step')} since, none better" if run.step > at else "")
    )


class _View:
    """What both ways of showing need: a smoothed loss, the speed, the time that is left."""

    def __init__(self, run: charloom.Run) -> None:
        self.run = run
        self.minutes = run.plan.training.minutes
        self.nats = self.characters = self.validation = 0.0
        self.began = self.shown = time.monotonic()
        self.read = 0  # characters since `began`
        self.unread: list[charloom.Progress] = []  # on a GPU to read a loss is to wait for it
        self.sampled = self.began

    def start(self) -> None:
        """Begin to show."""

    def show(self, progress: charloom.Progress) -> None:
        """Show a step, if it is time to."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop showing."""

    def count(self, progress: charloom.Progress) -> None:
        """Add a step to what is shown next."""
        self.unread.append(progress)
        self.read += progress.characters
        if progress.outcome.ready:
            self.smooth()

    def smooth(self) -> None:
        """Add the steps that wait to the mean over about the last 50 steps."""
        for progress in self.unread:
            self.nats = 0.98 * self.nats + progress.nats
            self.characters = 0.98 * self.characters + progress.characters
        self.unread.clear()

    def numbers(self) -> str:
        """Losses and speed."""
        self.smooth()
        parts = [f"training {_bits(self.nats / max(self.characters, 1))}"]
        best = self.run.best
        if best is not None:
            parts.append(f"validation {_bits(best.nats_per_character)}")
        seconds = max(time.monotonic() - self.began, 1e-6)
        parts.append(f"{_short(self.read / seconds)} characters/s")
        return ", ".join(parts)

    def share(self, progress: charloom.Progress) -> float:
        """How much of the run is done, 0 to 1."""
        if self.minutes is not None:
            return min(progress.seconds / (60 * self.minutes), 1.0)
        return progress.step / progress.steps

    def left(self, progress: charloom.Progress) -> str:
        """The time that is left, at the speed so far."""
        if self.minutes is not None:
            seconds = max(60 * self.minutes - progress.seconds, 0)
        else:
            seconds = progress.seconds / progress.step * (progress.steps - progress.step)
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

    def validated(self, progress: charloom.Progress) -> str:
        """A line about a validation."""
        assert progress.validation is not None
        return (
            f"step {progress.step:,}: validation "
            f"{_bits(progress.validation.nats_per_character)}"
            f"{', the best so far' if progress.best else ''}"
        )


class _Lines(_View):
    """One plain line now and then."""

    def show(self, progress: charloom.Progress) -> None:
        """Print a line, if it is time for one."""
        self.count(progress)
        if progress.validation is not None:
            tell(self.validated(progress))
        if time.monotonic() - self.shown >= LINE_SECONDS:
            self.shown = time.monotonic()
            tell(
                f"step {progress.step:,} of {_count(progress.steps)}: {self.numbers()}, "
                f"{self.left(progress)} left"
            )


class _Terminal(_View):
    """Rich's progress bar and a line of numbers, with validations and samples above them."""

    def __init__(self, run: charloom.Run) -> None:
        super().__init__(run)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        view = self

        class Bar(Progress):
            """The bar, and below it the losses and the speed."""

            def get_renderables(self) -> Iterator[Any]:
                yield self.make_tasks_table(self.tasks)
                yield Text(view.numbers())

        self.bar = Bar(
            BarColumn(bar_width=None),
            TextColumn("{task.fields[steps]}", style="cyan"),
            TextColumn("{task.fields[left]} left", style="cyan"),
            console=Console(stderr=True, highlight=False, markup=False),
            auto_refresh=False,
            transient=True,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.task = self.bar.add_task("", total=1.0, steps="", left="?")

    def start(self) -> None:
        """Show the bar."""
        self.bar.start()

    def stop(self) -> None:
        """Take the bar away."""
        self.bar.stop()

    def show(self, progress: charloom.Progress) -> None:
        """Draw anew, if it is time to."""
        self.count(progress)
        now = time.monotonic()
        if progress.validation is not None:
            self.bar.console.print(self.validated(progress))
            if now - self.sampled >= SAMPLE_SECONDS or self.run.finished:
                self.sampled = now
                self.bar.console.print("  " + charloom.visible(self.run.sample()), style="dim")
        if now - self.shown >= REDRAW_SECONDS or progress.step == progress.steps:
            self.shown = now
            self.bar.update(
                self.task,
                completed=self.share(progress),
                steps=f"{progress.step:,}/{_count(progress.steps)}",
                left=self.left(progress),
            )
            self.bar.refresh()


def _bits(nats: float) -> str:
    return f"{nats / math.log(2):.3f} bits ({nats:.3f} nats)"


def _count(steps: int) -> str:
    return "?" if steps >= UNPLANNED_STEPS else f"{steps:,}"


def _short(number: float) -> str:
    return f"{number / 1000:,.1f} k" if number >= 1000 else f"{number:,.0f}"
