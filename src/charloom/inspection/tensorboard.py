"""The losses of a run as events that TensorBoard shows while the run trains.

The extra `tensorboard` installs what writes them; PyTorch and TensorFlow are not needed.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..files import named
from ..training.progress import Progress
from ..training.run import Run

logger = logging.getLogger(__name__)


def tensorboard(run: Run, folder: str | Path) -> Iterator[Progress]:
    """Train a run, and write each step as TensorBoard's events into a folder.

    It is iterated like the run itself. The scalars are the bits per character of training and
    of the held-out text, the learning rate and the gradient norm. Of a run that is resumed,
    what comes after its step is replaced. Events that cannot be written cost the events, not
    the run. SettingsError, with the pip command, without tensorboard.

    >>> import charloom, tempfile
    >>> run = charloom.train(
    ...     charloom.InMemory("the cat sat on the mat. " * 20),
    ...     model=charloom.ModelSettings(hidden_size=4, num_layers=1),
    ...     training=charloom.TrainingSettings(steps=3),
    ... )
    >>> try:
    ...     steps = charloom.tensorboard(run, tempfile.mkdtemp())
    ... except charloom.CharloomError:  # the extra is missing
    ...     steps = run
    >>> [progress.step for progress in steps]
    [1, 2, 3]
    """
    return _passed_on(run, _Events(named(folder), run.step))


def _passed_on(run: Run, events: _Events) -> Iterator[Progress]:
    try:
        for progress in run:
            events.add(progress)
            yield progress
    finally:
        events.close()


class _Events:
    """A file of events. What fails is logged once, and nothing more is written."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2  # pyright: ignore[reportMissingImports]
            from tensorboard.summary.writer.event_file_writer import EventFileWriter  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise SettingsError(
                "events need tensorboard, which is not installed; "
                "pip install 'charloom[tensorboard]'"
            ) from None
        events: Any = event_pb2  # whose names are made when it is loaded
        summaries: Any = summary_pb2
        self._event, self._summary = events.Event, summaries.Summary
        self._folder = folder
        self._waiting: deque[Progress] = deque()  # their numbers may be on a device
        self._writer: Any = None
        try:
            self._writer = EventFileWriter(str(folder))
            # what an earlier file says of later steps is not shown then
            begin = events.SessionLog(status=events.SessionLog.START)
            self._write(self._event(wall_time=time.time(), step=step + 1, session_log=begin))
        except OSError as error:
            self._give_up(error)

    def add(self, progress: Progress) -> None:
        """Add a step; it is written once reading its numbers waits for nothing."""
        self._waiting.append(progress)
        while self._waiting and self._waiting[0].outcome.ready:
            self._put(self._waiting.popleft())

    def close(self) -> None:
        """Write what waits, and close the file."""
        while self._waiting:
            self._put(self._waiting.popleft())
        if self._writer is not None:
            try:
                self._writer.close()
            except Exception as error:
                self._give_up(error)

    def _put(self, progress: Progress) -> None:
        scalars = {
            "bits_per_character/training": progress.bits_per_character,
            "gradient_norm": progress.gradient_norm,
            "learning_rate": progress.learning_rate,
        }
        if progress.validation is not None:
            scalars["bits_per_character/held_out"] = progress.validation.bits_per_character
        values = [self._summary.Value(tag=t, simple_value=v) for t, v in scalars.items()]
        summary = self._summary(value=values)
        self._write(self._event(wall_time=time.time(), step=progress.step, summary=summary))

    def _write(self, event: Any) -> None:
        if self._writer is not None:
            try:
                self._writer.add_event(event)
            except Exception as error:  # of the thread that writes
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._writer = None
        logger.warning("%s: no more events for TensorBoard are written (%s)", self._folder, error)
