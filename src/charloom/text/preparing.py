"""A text larger than one machine, prepared once: ids in shards, by several processes.

    corpus/plan.json              the pieces of work, from the sources and settings
    corpus/work/00000.*.json      what is known of each, until the corpus is whole
    corpus/shards/00000.0.ids
    corpus/index.json             written last: vocabulary, facts, the digest of every shard

Sources are cut into pieces of work of at most 256 MB, at the ends of lines. Each is read twice:
for its characters, of which the vocabulary is made, and for its ids. What is done is on the
disk, so a preparation that was stopped goes on. The ids are those of `build_corpus`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import CharloomError, OutputError, SettingsError, TextError
from ..files import named, read_whole, replacing
from ..settings import TextSettings
from .corpus import Seen
from .reading import COMPRESSED, Sources, Stretch, lasting_sources, name_of, read_stretch
from .sharded import FORMAT, INDEX, SHARDS, digest_of_index, read_index
from .vocabulary import Vocabulary
from .workers import Lost, work_on

PLAN, WORK = "plan.json", "work"

PIECE_OF_WORK = 256 << 20
"""Bytes of sources that one process works on at a time."""

LARGEST_SHARD = 1 << 30
"""Bytes of ids in one file."""

READING = ("encoding", "errors", "normalization", "vocabulary", "minimum_count", "unknown")
"""The settings that a corpus is prepared with."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A piece of work: stretches of files, one after the other."""

    number: int
    stretches: list[Stretch]
    last: bool
    """Whether no other follows it."""

    def text(self, settings: TextSettings) -> Iterator[str]:
        """Its text; a file that another follows ends with a line feed, as in `read`."""
        last = ""
        for stretch in self.stretches:
            for number, piece in enumerate(read_stretch(stretch, settings)):
                if number == 0 and last not in ("", "\n"):
                    yield "\n"
                last = piece[-1]
                yield piece
        if not self.last and last not in ("", "\n"):
            yield "\n"


@dataclass(frozen=True, kw_only=True)
class _Counting:
    """The first reading of a piece: which characters it has."""

    folder: Path
    settings: TextSettings

    def __call__(self) -> Callable[[Task], str | None]:
        """What counts a piece; the complaint if its text cannot be used."""
        return lambda task: _told(lambda: self._count(task))

    def result(self, task: Task) -> Path:
        """Where the counts are."""
        return self.folder / WORK / f"{task.number:05}.counts.json"

    def _count(self, task: Task) -> None:
        seen, characters, utf8 = Seen(), 0, 0
        for piece in task.text(self.settings):
            seen.provisional_ids(piece)
            characters += len(piece)
            utf8 += len(piece) if piece.isascii() else len(piece.encode())
        counts = {c: n for c, n in zip(seen.characters, seen.counts.tolist(), strict=True) if n}
        _write(self.result(task), {"counts": counts, "characters": characters, "utf8_bytes": utf8})


@dataclass(frozen=True, kw_only=True)
class _Encoding:
    """The second reading of a piece: its ids, in one shard or more."""

    folder: Path
    settings: TextSettings
    vocabulary: Vocabulary

    def __call__(self) -> Callable[[Task], str | None]:
        """What writes the shards of a piece; the complaint if its text cannot be used."""
        return lambda task: _told(lambda: self._encode(task))

    def result(self, task: Task) -> Path:
        """Where the facts about the shards are."""
        return self.folder / WORK / f"{task.number:05}.shards.json"

    def _encode(self, task: Task) -> None:
        shards, unknown, position = [], 0, 0
        pieces = task.text(self.settings)
        piece = next(pieces, None)
        while piece is not None:
            name = f"{task.number:05}.{len(shards)}.ids"
            digest, size = hashlib.sha256(), 0
            with replacing(self.folder / SHARDS / name) as file:
                while piece is not None:
                    if size and size + 4 * len(piece) > LARGEST_SHARD:
                        break  # an id has at most four bytes
                    ids = self.vocabulary.encode(piece, start=position)
                    file.write(ids.data)
                    digest.update(ids.data)
                    size, position = size + ids.nbytes, position + len(piece)
                    if self.vocabulary.has_unknown:
                        unknown += int(np.count_nonzero(ids == self.vocabulary.unknown_id))
                    piece = next(pieces, None)
            count = size // self.vocabulary.dtype.itemsize
            shards.append({"name": name, "ids": count, "sha256": digest.hexdigest()})
        _write(self.result(task), {"shards": shards, "unknown_count": unknown})


def prepare(
    sources: Sources,
    output: str | Path,
    *,
    text: TextSettings | None = None,
    workers: int = 1,
    piece: int = PIECE_OF_WORK,
) -> dict[str, Any]:
    """Give ids to a text of any size, in the folder `output`, which `train` takes as a text.

    Started again, it does what is missing. Memory does not grow with the text, in any of the
    `workers`; a `piece` of work has so many bytes at most. Returns the index: the facts of the
    corpus. Raises TextError for a source that cannot be used, SettingsError if the folder is of
    other sources or settings, and OutputError if it cannot be written.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("the fox")
    >>> _ = (folder / "b.txt").write_text("the crow")
    >>> prepare([folder / "a.txt", folder / "b.txt"], folder / "corpus")["characters"]
    16
    """
    settings, folder = TextSettings.of(text, "text"), named(output)
    tasks = _tasks(sources, settings, piece)
    if not tasks:
        raise TextError("all texts are empty; give others")
    plan = {
        "settings": {name: getattr(settings, name) for name in READING},
        "tasks": [[_identity(stretch) for stretch in task.stretches] for task in tasks],
    }
    _begin(folder, plan)
    try:
        if not (folder / INDEX).exists():
            _do_all(folder, settings, plan["settings"], tasks, workers)
    except (OutputError, FileNotFoundError):
        if not (folder / INDEX).exists():  # by another process, which has tidied up since
            raise
    return read_index(folder)


def _do_all(
    folder: Path,
    settings: TextSettings,
    described: dict[str, Any],
    tasks: list[Task],
    workers: int,
) -> None:
    """Do what is missing of all work, and write the index."""
    for part in (WORK, SHARDS):
        (folder / part).mkdir(exist_ok=True)
    counting = _Counting(folder=folder, settings=settings)
    _do(counting, tasks, workers)
    counts: Counter[str] = Counter()
    characters = utf8_bytes = 0
    for task in tasks:
        found = _read(counting.result(task))
        counts.update(found["counts"])
        characters += found["characters"]
        utf8_bytes += found["utf8_bytes"]
    vocabulary = Vocabulary.bytes()
    if settings.vocabulary == "characters":
        vocabulary = Vocabulary.from_counts(counts, settings.minimum_count, settings.unknown)
    encoding = _Encoding(folder=folder, settings=settings, vocabulary=vocabulary)
    _do(encoding, tasks, workers)
    done = [_read(encoding.result(task)) for task in tasks]
    shards = [shard for found in done for shard in found["shards"]]
    index = {
        "format": FORMAT,
        "settings": described,
        "vocabulary": vocabulary.to_json(),
        "characters": characters,
        "utf8_bytes": utf8_bytes,
        "unknown_count": sum(found["unknown_count"] for found in done),
        "shards": shards,
    }
    index["sha256"] = digest_of_index(index)
    with replacing(folder / INDEX) as file:
        file.write(json.dumps(index).encode())
    for work in (counting, encoding):  # of no more use
        for task in tasks:
            work.result(task).unlink(missing_ok=True)
    for part in (WORK, SHARDS):
        for left in (folder / part).glob(".[0-9]*.*.partial"):
            left.unlink(missing_ok=True)
    with suppress(OSError):  # where a user has put something
        (folder / WORK).rmdir()


def _told(work: Callable[[], None]) -> str | None:
    try:
        work()
    except OutputError:
        raise
    except (CharloomError, MemoryError) as error:
        return str(error) or "not enough memory"
    return None


def _do(work: Any, tasks: list[Task], workers: int) -> None:
    """Do what is missing of some work."""
    missing = [task for task in tasks if not _is_whole(work.result(task))]
    if workers == 1:
        done: Any = zip(missing, map(work(), missing), strict=False)
    else:
        done = work_on(missing, work, min(workers, max(len(missing), 1)))
    for task, complaint in done:
        if isinstance(complaint, Lost):
            raise TextError(f"{name_of(task.stretches[0].path)}: {complaint}")
        if complaint is not None:
            raise TextError(complaint)


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    path, written = folder / PLAN, json.dumps(plan).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _refuse_what_others_made(folder)
            with suppress(FileExistsError), replacing(path, new=True) as file:
                file.write(written)
        before = read_whole(path)
    except ValueError:
        before = b""  # no plan of ours is as long
    except OSError as error:
        raise OutputError(
            f"{folder}: the folder cannot be made ({error.strerror}); choose another one as "
            "`output`",
            "output",
        ) from None
    if before != written:
        raise SettingsError(
            f"output: {folder} is prepared from other sources or with other settings, or a source "
            "has changed since; choose another folder"
        )


def _refuse_what_others_made(folder: Path) -> None:
    for name in (INDEX, WORK, SHARDS):
        if os.path.lexists(folder / name) and not (folder / PLAN).exists():
            raise OutputError(
                f"{folder}: holds {name}, and no {PLAN} of a corpus; choose another folder as "
                "`output`",
                "output",
            )


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write what came of some work, after its digest."""
    data = json.dumps(content).encode()
    with replacing(path) as file:
        file.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)


def _read(path: Path) -> dict[str, Any]:
    """What `_write` wrote; ValueError for anything else."""
    digest, _, data = read_whole(path).partition(b"\n")
    if hashlib.sha256(data).hexdigest().encode() != digest:
        raise ValueError("its bytes are not those that were written")
    return json.loads(data)


def _is_whole(path: Path) -> bool:
    try:
        _read(path)
    except (OSError, ValueError):
        return False
    return True


def _identity(stretch: Stretch) -> dict[str, Any]:
    """What of a stretch must not change until the corpus is whole."""
    status = stretch.path.stat()
    about = {"path": str(stretch.path.absolute()), "size": status.st_size}
    return {**asdict(stretch), **about, "modified": status.st_mtime_ns}


def _tasks(sources: Sources, settings: TextSettings, piece: int) -> list[Task]:
    """The pieces of work, in the order of the text."""
    groups: list[list[Stretch]] = [[]]
    size = 0
    for source in lasting_sources(sources):
        if not isinstance(source, Path | str):
            raise TextError(f"{name_of(source)}: is no file, and a corpus is prepared from files")
        path = Path(source)
        try:
            whole = path.stat().st_size
        except OSError as error:
            raise TextError(f"{name_of(path)}: cannot be read ({error.strerror})") from None
        for stretch, length in _stretches(path, whole, settings, piece):
            if groups[-1] and size + length > piece:
                groups.append([])
                size = 0
            groups[-1].append(stretch)
            size += length
    groups = [group for group in groups if group]
    return [
        Task(number=number, stretches=group, last=number == len(groups) - 1)
        for number, group in enumerate(groups)
    ]


def _stretches(
    path: Path, size: int, settings: TextSettings, piece: int
) -> Iterator[tuple[Stretch, int]]:
    """A file in stretches that end with a line, and their bytes; whole if it cannot be cut."""
    plain = path.suffix.lower() not in COMPRESSED and settings.encoding.lower() in _CUTTABLE
    if not plain or size <= piece:
        if size:
            yield Stretch(path), size
        return
    start = 0
    with path.open("rb") as file:
        while start < size:
            stop = size
            if start + piece < size:
                file.seek(start + piece)
                stop = _end_of_line(file, size)
            yield Stretch(path, start, stop), stop - start
            start = stop


def _end_of_line(file: BinaryIO, size: int) -> int:
    """Where the next line starts, from the position of the file on."""
    while block := file.read(1 << 16):
        if (at := block.find(b"\n")) >= 0:
            return file.tell() - len(block) + at + 1
    return size


_CUTTABLE = ("utf-8", "utf8", "ascii", "latin-1", "iso-8859-1", "cp1252")
"""Encodings in which the byte 0x0A is always a line feed."""
