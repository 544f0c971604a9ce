"""The lock of a folder: while one process has it, no other writes there.

It is a lock on the file .lock, which the system gives up when its process ends, however that
happens. The file itself stays: without its lock it means nothing.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from ..errors import OutputError, TrainingError

try:
    import fcntl
except ImportError:  # Windows has no flock, and opens no file twice for writing anyway
    fcntl = None

NAME = ".lock"


class Lock:
    """The right to write in a folder, until `release`, or the end of the process.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with Lock(folder) as lock:
    ...     lock.holds()
    True
    """

    _held: ClassVar[weakref.WeakValueDictionary[tuple[int, int], Lock]] = (
        weakref.WeakValueDictionary()
    )

    def __init__(self, folder: Path) -> None:
        """Take the lock; TrainingError if another run has it."""
        self.path = folder / NAME
        self.is_new = False
        """Whether this process made the file."""
        while True:
            try:
                self._file = self._open()
            except OSError as error:
                raise self._failed(error) from None
            self.release = weakref.finalize(self, os.close, self._file)
            try:
                if fcntl:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                raise TrainingError(self._taken()) from None
            except OSError as error:
                self.release()
                raise self._failed(error) from None
            if self.holds():
                break
            self.release()  # its file was deleted in the meantime: take the one that is there now
        self._held[_identity(os.fstat(self._file))] = self

    def _open(self) -> int:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            self.is_new = False
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        self.is_new = True
        return file

    def holds(self) -> bool:
        """Whether the folder is still the one that was locked, not another in its place."""
        try:
            return _identity(os.stat(self.path)) == _identity(os.fstat(self._file))  # noqa: PTH116
        except OSError:
            return False

    def check(self) -> None:
        """TrainingError if the folder was moved or replaced."""
        if not self.holds():
            raise TrainingError(
                f"{self.path.parent}: was moved, deleted or replaced while a run was training "
                "in it; nothing more is written there, so resume the run where it is now"
            )

    def _taken(self) -> str:
        try:
            holder = self._held.get(_identity(os.stat(self.path)))  # noqa: PTH116
        except OSError:
            holder = None
        if holder is not None and holder.release.alive:
            return (
                f"{self.path.parent}: a Run of this very process is training here; go on with "
                "that one, or call its stop() first"
            )
        return (
            f"{self.path.parent}: another process is training here; wait for it, stop it, or "
            "choose another folder"
        )

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path.parent}: cannot be locked for writing ({error.strerror}); choose a "
            "folder that you may write to"
        )

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
