"""Parts: the rows of one input in a file of their own, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ...files import replacing
from ...text.records import need_parquet

_BATCH = 10_000  # rows that are in memory at a time

_FORGOTTEN = 3600  # seconds after which a file that nobody writes to is one of a dead process

ROW = "row"
"""The column that says which text of its input a row is about."""


def part_of(folder: Path, source: Path, form: str) -> Path:
    """Where the part of an input stands: its name, and eight digits that stand for its folder.

    >>> part_of(Path("out"), Path("/books/a b.txt"), "jsonl").as_posix()
    'out/a_b.txt.dd091155.jsonl'
    """
    full = os.path.abspath(source)  # noqa: PTH100  not resolved: a link has a name of its own
    digest = hashlib.sha256(os.fsencode(full)).hexdigest()[:8]
    name = re.sub(r"[^\w.-]", "_", source.name)[:100]
    return folder / f"{name}.{digest}.{form}"


def is_done(part: Path, source: Path) -> bool:
    """Whether a part is there, and not older than its input."""
    try:
        return part.stat().st_mtime_ns >= source.stat().st_mtime_ns
    except OSError:
        return False


def write_part(
    part: Path, rows: Iterable[dict[str, Any]], columns: dict[str, type], form: str
) -> int:
    """Write the rows of an input; how many they were. OutputError if they cannot be written."""
    write = _write_parquet if form == "parquet" else _write_json_lines
    with replacing(part) as file:
        return write(file, rows, {ROW: int, **columns})


def remove_partial(folder: Path, parts: Iterable[Path]) -> None:
    """Remove what processes that died have left of some parts of a folder.

    Another process may be writing the same part: its file is not that old.
    """
    names = {part.name for part in parts}
    for left in folder.glob(".*.partial"):
        with suppress(FileNotFoundError):
            forgotten = time.time() - left.stat().st_mtime > _FORGOTTEN
            if forgotten and left.name[1:].rsplit(".", 2)[0] in names:
                left.unlink()


def _write_json_lines(
    file: BinaryIO, rows: Iterable[dict[str, Any]], columns: dict[str, type]
) -> int:
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007  the last one is what is returned
        line = json.dumps({name: row[name] for name in columns}, ensure_ascii=False)
        file.write(line.encode() + b"\n")
    return count


def _write_parquet(file: BinaryIO, rows: Iterable[dict[str, Any]], columns: dict[str, type]) -> int:
    parquet = need_parquet()
    import pyarrow

    types = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))
            count += len(batch)
    return count


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        yield batch
