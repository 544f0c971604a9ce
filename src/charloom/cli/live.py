"""A run as one watches it: live on a terminal, and as plain lines everywhere else.

Both go to standard error, since results go to standard output. On a terminal two lines at
the bottom are drawn again and again, and validations and samples scroll by above them;
otherwise there is a line at each validation and about every ten seconds.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..text.visible import visible
from ..training.progress import Progress
from ..training.run import Run
from ..training.schedule import UNPLANNED_STEPS

REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
SAMPLE_SECONDS = 5.0
"""Least time between two samples, which cost time themselves."""


@contextmanager
def watching(run: Run) -> Iterator[Callable[[Progress], None]]:
    """Show a run on standard error: call what is yielded with each of its steps."""
    view = _Terminal(run) if sys.stderr.isatty() else _Lines(run)
    with view:
        yield view.show


def opening(run: Run, name: str | Path) -> str:
    """What a run is about to do, in a line."""
    plan, split = run.plan, run.plan.split
    model, count = plan.model, plan.vocabulary.size
    training, held_out = (
        split[part]["stop"] - split[part]["start"] for part in ("training", "validation")
    )
    return (
        f"{name}: {training:,} characters to train on and {held_out:,} held out, {count:,} "
        f"{plan.vocabulary.kind} known; {model.cell} with {model.num_layers} layers of "
        f"{model.hidden_size}, {run.model.parameters:,} weights"
    )


def closing(run: Run, name: str | Path) -> str:
    """What has come of a run, in a line."""
    best, at = run.best, run.model.record["step"]
    if best is None:
        return f"{name}  {run.step:,} of {_count(run.steps)} steps; nothing was validated"
    return (
        f"{name}  {_bits(best.nats_per_character)} per character held out, "
        f"at step {at:,} of {_count(run.steps)}"
    )


class _View:
    """What both ways of showing need: a smoothed loss, the speed, the time that is left."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.minutes = run.plan.training.minutes
        self.nats = self.characters = self.validation = 0.0
        self.began = self.shown = time.monotonic()
        self.read = 0  # characters since `began`
        self.unread: list[Progress] = []  # on a GPU to read a loss is to wait for it
        self.sampled = self.began

    def __enter__(self) -> _View:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def count(self, progress: Progress) -> None:
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

    def share(self, progress: Progress) -> float:
        """How much of the run is done, 0 to 1."""
        if self.minutes is not None:
            return min(progress.seconds / (60 * self.minutes), 1.0)
        return progress.step / progress.steps

    def left(self, progress: Progress) -> str:
        """The time that is left, at the speed so far."""
        if self.minutes is not None:
            seconds = max(60 * self.minutes - progress.seconds, 0)
        else:
            seconds = progress.seconds / progress.step * (progress.steps - progress.step)
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

    def validated(self, progress: Progress) -> str:
        """A line about a validation."""
        assert progress.validation is not None
        return (
            f"step {progress.step:,}: validation "
            f"{_bits(progress.validation.nats_per_character)}"
            f"{', the best so far' if progress.best else ''}"
        )


class _Lines(_View):
    """One plain line now and then."""

    def show(self, progress: Progress) -> None:
        """Print a line, if it is time for one."""
        self.count(progress)
        if progress.validation is not None:
            print(self.validated(progress), file=sys.stderr, flush=True)
        if time.monotonic() - self.shown >= LINE_SECONDS:
            self.shown = time.monotonic()
            print(
                f"step {progress.step:,} of {_count(progress.steps)}: {self.numbers()}, "
                f"{self.left(progress)} left",
                file=sys.stderr,
                flush=True,
            )


class _Terminal(_View):
    """A bar and numbers that stay, with validations and samples above them."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False, markup=False)
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> _View:
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def show(self, progress: Progress) -> None:
        """Draw anew, if it is time to."""
        self.count(progress)
        now = time.monotonic()
        if progress.validation is not None:
            self.live.console.print(self.validated(progress))
            if now - self.sampled >= SAMPLE_SECONDS or self.run.finished:
                self.sampled = now
                self.live.console.print("  " + visible(self.run.sample()), style="dim")
        if now - self.shown >= REDRAW_SECONDS or progress.step == progress.steps:
            self.shown = now
            self.live.update(self.picture(progress), refresh=True)

    def picture(self, progress: Progress) -> Any:
        """The two lines that stay."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True)
        steps = Text(f"{progress.step:,}/{_count(progress.steps)}", "cyan")
        line.add_row(
            ProgressBar(total=1.0, completed=self.share(progress)),
            steps,
            Text(f"{self.left(progress)} left", "cyan"),
        )
        return Group(line, Text(self.numbers()))


def _bits(nats: float) -> str:
    return f"{nats / math.log(2):.3f} bits ({nats:.3f} nats)"


def _count(steps: int) -> str:
    return "?" if steps >= UNPLANNED_STEPS else f"{steps:,}"


def _short(number: float) -> str:
    return f"{number / 1000:,.1f} k" if number >= 1000 else f"{number:,.0f}"
