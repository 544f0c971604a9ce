"""Files that appear all at once, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError, counted


def named(path: str | Path) -> Path:
    """A path that was given; OutputError for an empty str, which would be this folder.

    >>> named("book.run").name
    'book.run'
    """
    if path == "":
        raise OutputError("an empty name was given for a file or folder; give its name, or '.'")
    return Path(path)


LARGEST = 32 << 20
"""Bytes of a file that is neither text nor weights; run.json with all of Unicode has 13 million."""


def read_whole(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a plan, an index or a list.

    ValueError for a longer file, perhaps a device without an end.

    >>> read_whole(Path("/dev/zero"), most=9)
    Traceback (most recent call last):
    ValueError: it has more than 9 bytes
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {counted(most, 'byte')}")
    return data


@contextmanager
def replacing(path: str | Path, *, new: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` when the block ends well.

    Until then `path` is what it was, whether the block raises, the process is killed or
    the power fails: the bytes go to a hidden file beside it, which is synced, renamed, and
    the folder synced. With `new` it takes no file's place: FileExistsError if one is there at
    the end, perhaps that of a process which was faster. Raises OutputError if the disk is full
    or the folder not writable.
    """
    path = named(path).resolve()  # through a link, so that the link stays one
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if new:
            _name_once(partial, path)
        else:
            partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if new and isinstance(error, FileExistsError):
            raise
        raise OutputError(_why_not(path, error)) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _name_once(partial: Path, path: Path) -> None:
    """Give a file its name, which no other file has."""
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP):
            raise
        if path.exists():  # on a disk without links; two processes at one instant may pass here
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        partial.replace(path)


def sync_folder(folder: Path) -> None:
    """See the names in a folder on the disk: a file that was made, renamed or removed there."""
    if os.name != "posix":
        return  # other systems open no folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why_not(path: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            step = "free some space and save again; what was there is untouched"
        case errno.ENOENT | errno.ENOTDIR if not path.parent.is_dir():
            step = f"make the folder {path.parent} first"
        case errno.EISDIR:
            step = "a folder is in the way; give the name of a file"
        case errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOENT:
            step = "choose a folder that you may write to"
        case _:
            step = "what was there is untouched"
    return f"{path}: cannot be written ({error.strerror or error}); {step}"
