"""The texts in a file: one in a text file, one in each row of JSON lines or Parquet.

book.txt                      one text, in row 0
pages.jsonl  pages.jsonl.gz   {"text": "..."} in each line
pages.parquet                 a column of strings (the extra `parquet`)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import SettingsError, TextError, shown
from ..settings import TextSettings
from .normalizing import Normalized, steps
from .reading import name_of, opened, read

JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet",)

_ROWS = 256  # of Parquet that are in memory at a time


def kind_of_file(path: Path) -> str:
    """What a file holds by its name: "text", "jsonl" or "parquet".

    >>> kind_of_file(Path("pages.jsonl.gz")), kind_of_file(Path("book.txt"))
    ('jsonl', 'text')
    """
    name = path.name.lower()
    if name.endswith(PARQUET):
        return "parquet"
    for ending in (".gz", ".xz", ".bz2"):
        name = name.removesuffix(ending)
    return "jsonl" if name.endswith(JSON_LINES) else "text"


def records(
    path: Path, settings: TextSettings, column: str = "text"
) -> Iterator[tuple[int, Normalized]]:
    """Yield each text with its row, from 0; a text that is long comes in pieces.

    TextError, naming file and row, if the file cannot be read or a row has no text.
    """
    kind = kind_of_file(path)
    if kind == "text":
        yield 0, read(path, settings)
        return
    values = _json_lines(path, column) if kind == "jsonl" else _parquet(path, column)
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise TextError(
                f"{name_of(path)}: row {row} (the first is 0) has {shown(repr(value), 40)} in the "
                f"column {column!r}; it must be a string"
            )
        pieces = steps([value], settings.normalization, f"{name_of(path)}, row {row}")
        yield row, Normalized(pieces, settings.normalization)


def need_parquet() -> Any:
    """pyarrow.parquet; SettingsError, naming the extra, where it is missing."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise SettingsError(
            "Parquet needs pyarrow, which is not installed; pip install 'charloom[parquet]'"
        ) from None
    return pyarrow.parquet


def _json_lines(path: Path, column: str) -> Iterable[Any]:
    with opened(path) as file:
        number = 0
        for line in file:
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise TextError(
                    f"{name_of(path)}: row {number} (the first is 0) is no JSON: {shown(error)}"
                ) from None
            if not isinstance(found, dict) or column not in found:
                raise TextError(
                    f"{name_of(path)}: row {number} (the first is 0) has no {column!r}; name the "
                    "`column` that holds the text",
                    "column",
                )
            yield found[column]
            number += 1


def _parquet(path: Path, column: str) -> Iterable[Any]:
    parquet = need_parquet()
    import pyarrow

    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise TextError(
                    f"{name_of(path)}: has no column {column!r}; name one of "
                    f"{shown(', '.join(names))} as `column`",
                    "column",
                )
            for batch in file.iter_batches(_ROWS, columns=[column], use_threads=False):
                yield from batch.column(0).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise TextError(f"{name_of(path)}: not readable as Parquet: {shown(error)}") from None
