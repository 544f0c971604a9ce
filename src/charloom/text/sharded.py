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
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from ..errors import ModelFileError, SettingsError, TextError, counted, shown
from ..files import read_whole
from ..settings import TextSettings

INDEX, SHARDS = "index.json", "shards"
"""In the folder of a corpus."""

FORMAT = 1

_AGAIN = "prepare it again"

_OPEN = 64  # files that are mapped at a time

_BLOCK = 1 << 20  # ids that are checked at a time

_LARGEST_INDEX = 64 << 20
"""Bytes; of a corpus of 25 TB it has some 16 million, with a vocabulary of all of Unicode."""

Count = Annotated[int, Field(ge=0, lt=2**60)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _ShardFacts(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[0-9]{1,18}\.[0-9]{1,18}\.ids$")]
    ids: Annotated[int, Field(ge=1, lt=2**60)]
    sha256: Digest


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    settings: dict[str, Any]
    vocabulary: dict[str, Any]
    characters: Count
    utf8_bytes: Count
    unknown_count: Count
    shards: list[_ShardFacts]
    sha256: Digest

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        settings = TextSettings(**self.settings)
        count = self.utf8_bytes if settings.vocabulary == "bytes" else self.characters
        if sum(shard.ids for shard in self.shards) != count:
            raise ValueError("its shards have not as many ids as its text")
        return self


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of ids."""

    path: Path
    ids: int
    """How many it has."""
    sha256: str


class ShardedIds:
    """A one-dimensional array of ids in shards, of which slices are read.

    A slice within one shard is a view of the file; one across shards is a copy. A shard is read
    through when it is first needed: ModelFileError if its bytes are not those that were written,
    or an id is not below `vocabulary_size`.
    """

    ndim = 1

    def __init__(
        self,
        shards: Sequence[Shard],
        dtype: np.dtype[Any],
        sha256: str,
        vocabulary_size: int,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self.shards, self.dtype, self.sha256 = list(shards), dtype, sha256
        self._vocabulary_size = vocabulary_size
        self._whole: set[int] = set()
        self._ends = np.cumsum([shard.ids for shard in shards]).tolist()
        self._start = start
        self._stop = (self._ends[-1] if self._ends else 0) if stop is None else stop
        self._mapped = lru_cache(_OPEN)(self._map)

    def __len__(self) -> int:
        return self._stop - self._start

    def part(self, start: int, stop: int) -> ShardedIds:
        """Some of them, not read yet."""
        start, stop, _ = slice(start, stop).indices(len(self))
        start, stop = self._start + start, self._start + stop
        found = ShardedIds(self.shards, self.dtype, self.sha256, self._vocabulary_size, start, stop)
        found._whole = self._whole
        return found

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
                    f"{shard.path}: is not {counted(shard.ids, 'id')} long; prepare the corpus "
                    "again"
                )
            ids = np.asarray(np.memmap(shard.path, self.dtype, "r"))
        except OSError as error:
            raise ModelFileError(f"{shard.path}: cannot be read ({error.strerror})") from None
        if number not in self._whole:
            self._check(shard, ids)
            self._whole.add(number)
        return ids

    def _check(self, shard: Shard, ids: NDArray[Any]) -> None:
        digest, largest = hashlib.sha256(), 0
        for at in range(0, len(ids), _BLOCK):
            block = ids[at : at + _BLOCK]
            digest.update(block.data)
            largest = max(largest, int(block.max()))
        if digest.hexdigest() != shard.sha256 or largest >= self._vocabulary_size:
            raise ModelFileError(
                f"{shard.path}: its bytes are not those that were written; prepare the corpus again"
            )


def digest_of_index(index: dict[str, Any]) -> str:
    """What stands for a corpus: the digest of its index, which has those of its shards."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a corpus; TextError if it is damaged or newer."""
    path = folder / INDEX
    try:
        index = json.loads(read_whole(path, _LARGEST_INDEX))
        digest = index.pop("sha256")
        whole = digest_of_index(index) == digest
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TextError(f"{path}: is no index of a corpus ({shown(error)}); {_AGAIN}") from None
    if not whole or index.get("format") != FORMAT:
        raise TextError(f"{path}: is damaged, or of a newer format; {_AGAIN}")
    try:
        return _Index.model_validate({**index, "sha256": digest}).model_dump()
    except (ValueError, SettingsError) as error:
        raise TextError(f"{path}: makes no sense ({shown(error)}); {_AGAIN}") from None


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
