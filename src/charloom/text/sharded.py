"""Ids in many files that are read as one array: those of a text larger than one machine.

Only what is asked for is mapped into memory: a process that reads some stretches of the text
opens the files that have them, and no others.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileError, TextError

INDEX, SHARDS = "index.json", "shards"
"""In the folder of a corpus."""

FORMAT = 1

_OPEN = 64  # files that are mapped at a time


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of ids."""

    path: Path
    ids: int
    """How many it has."""


class ShardedIds:
    """A one-dimensional array of ids in shards, of which slices are read.

    A slice within one shard is a view of the file; one across shards is a copy.
    """

    ndim = 1

    def __init__(
        self,
        shards: Sequence[Shard],
        dtype: np.dtype[Any],
        sha256: str,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self.shards, self.dtype, self.sha256 = list(shards), dtype, sha256
        self._ends = np.cumsum([shard.ids for shard in shards]).tolist()
        self._start = start
        self._stop = (self._ends[-1] if self._ends else 0) if stop is None else stop
        self._mapped = lru_cache(_OPEN)(self._map)

    def __len__(self) -> int:
        return self._stop - self._start

    def part(self, start: int, stop: int) -> ShardedIds:
        """Some of them, not read yet."""
        start, stop, _ = slice(start, stop).indices(len(self))
        return ShardedIds(
            self.shards, self.dtype, self.sha256, self._start + start, self._start + stop
        )

    def __getitem__(self, which: slice | int) -> Any:
        if isinstance(which, int):
            which = which % len(self)
            return self[which : which + 1][0]
        start, stop, step = which.indices(len(self))
        if step != 1:
            raise ValueError("only stretches of these ids can be read")
        at, stop = self._start + start, self._start + max(stop, start)
        found = []
        while at < stop:
            number = bisect_right(self._ends, at)
            first = self._ends[number] - self.shards[number].ids
            until = min(stop, self._ends[number])
            found.append(self._mapped(number)[at - first : until - first])
            at = until
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.empty(0, self.dtype)

    def _map(self, number: int) -> NDArray[Any]:
        shard = self.shards[number]
        try:
            if shard.path.stat().st_size != shard.ids * self.dtype.itemsize:
                raise ModelFileError(
                    f"{shard.path}: is not {shard.ids} ids long; prepare the corpus again"
                )
            return np.asarray(np.memmap(shard.path, self.dtype, "r"))
        except OSError as error:
            raise ModelFileError(f"{shard.path}: cannot be read ({error.strerror})") from None


def digest_of_index(index: dict[str, Any]) -> str:
    """What stands for a corpus: the digest of its index, which has those of its shards."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a corpus; TextError if it is damaged or newer."""
    path = folder / INDEX
    try:
        index = json.loads(path.read_bytes())
        digest = index.pop("sha256")
        whole = digest_of_index(index) == digest
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TextError(f"{path}: is no index of a corpus ({error}); prepare it again") from None
    if not whole or index.get("format") != FORMAT:
        raise TextError(f"{path}: is damaged, or of a newer format; prepare it again")
    return {**index, "sha256": digest}


def is_prepared(sources: Any) -> Path | None:
    """The folder, if one is given that `prepare` has made."""
    if isinstance(sources, list | tuple) and len(sources) == 1:
        sources = sources[0]
    if not isinstance(sources, str | Path) or sources in ("", "-"):
        return None
    folder = Path(sources)
    with suppress(OSError):
        if (folder / INDEX).is_file() and (folder / SHARDS).is_dir():
            return folder
    return None
