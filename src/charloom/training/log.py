"""The log of a run: a line per step, on disk as far as the checkpoint goes.

Each line has a digest of its own, and the steps in it follow each other, so a line that is
damaged or missing is noticed wherever the log is read.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import CharloomError, ModelFileError, OutputError, shown
from ..files import sync_folder
from ..model.storage.provenance import Count, Measured
from ..model.storage.sealed import sealed, unsealed
from ..settings import Settings

logger = logging.getLogger(__name__)

_LONGEST = 1 << 16
"""Bytes of a line; ours have some 500."""


class Entry(Settings):
    """A line of the log: the fields of a Progress, and its loss in bits."""

    step: Count
    steps: Count
    epoch: float
    nats: float
    characters: Count
    learning_rate: float
    gradient_norm: float
    seconds: float
    bits_per_character: float
    validation: Measured | None = None
    best: bool = False


class Log:
    """log.jsonl, open for adding lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[bytes] = []
        self._file = -1

    def open(self, steps: int) -> None:
        """Open it after so many steps, and cut off what comes after them.

        Raises ModelFileError if a line up to there is damaged or missing. A log that was
        deleted begins anew, with a warning.
        """
        end = self._end_of(steps)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self.close = weakref.finalize(self, os.close, self._file)
            os.ftruncate(self._file, end)
            os.fsync(self._file)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Close it; what waits is lost, and a resumed run computes it again."""

    def _end_of(self, steps: int) -> int:
        """Bytes up to the end of the line of a step."""
        if steps == 0:
            return 0
        end, last = 0, None
        for entry, end in _lines(self.path):  # noqa: B007  the last one is what is asked for
            last = entry.step
            if last >= steps:
                break
        if last is None:
            logger.warning(
                "%s: is missing or empty; it begins anew after step %s", self.path, f"{steps:,}"
            )
        elif last != steps:
            raise ModelFileError(
                f"{self.path}: ends at step {last:,}, and the checkpoint is of step {steps:,}; "
                "put the whole log back, or delete it to go on without"
            )
        return end

    def add(self, entry: dict[str, Any]) -> None:
        """Add a line; it waits in memory until `flush`."""
        self._waiting.append(sealed(entry) + b"\n")

    def flush(self, *, sync: bool = False) -> None:
        """Write the lines that wait, and see them on the disk if `sync`."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        try:
            while data:
                data = data[os.write(self._file, data) :]
            if sync:
                os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path}: cannot be written ({error.strerror}); once it can be, resume the run"
        )


def read_log(path: Path) -> Iterator[Entry]:
    """The entries of a log, which may be growing: a last line that is not whole is left out.

    Raises ModelFileError if the file is missing, or any other line is damaged.
    """
    if not path.exists():
        raise ModelFileError(f"{path}: is missing; it is written while a run trains")
    return (entry for entry, _ in _lines(path))


def _lines(path: Path) -> Iterator[tuple[Entry, int]]:
    """Each entry, and the bytes up to its end."""
    end, before = 0, None
    try:
        with path.open("rb") as file:
            while (line := file.readline(_LONGEST)).endswith(b"\n"):
                entry = _entry(path, line)
                if before is not None and entry.step != before + 1:
                    raise ModelFileError(
                        f"{path}: step {entry.step:,} follows step {before:,}; lines are "
                        "missing, so put the whole log back, or delete it to go on without"
                    )
                end, before = end + len(line), entry.step
                yield entry, end
            if len(line) == _LONGEST:
                raise _damaged(path, "a line is too long")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from None


def _entry(path: Path, line: bytes) -> Entry:
    try:
        return Entry(**unsealed(line[:-1]))
    except (ValueError, TypeError, CharloomError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, why: object) -> ModelFileError:
    return ModelFileError(
        f"{path}: is damaged ({shown(why)}); put another copy back, or delete it to go on without"
    )
