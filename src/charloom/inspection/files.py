"""Traces as files: NumPy's .npz, Parquet and JSON, written while the text is read.

    .npz      arrays by name: the quantities (T, L, H), ids, log_probability, rank,
              expected (T + 1, A), expected_log_probability, and the texts symbols (T,)
              and characters (V,), what the ids stand for
    Parquet   a row for each step and layer: step, symbol, id, log_probability, rank,
              alternatives, alternative_log_probabilities, layer, and each quantity as a
              list of H numbers
    JSON      {"quantities", "layers", "units", "steps": [a step, ...], "next": {...}}; a
              step has what a row has, and each quantity as L lists of H numbers

Each appears all at once when the text has been read to its end. Memory does not grow with
the text; an .npz needs as much again on the disk until it is put together.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy

from ..engines.weights import Array
from ..errors import SettingsError, TextError
from ..files import replacing
from ..model.model import Model, Text, check_model
from ..model.tracing import Trace, symbols


def save_trace(
    model: Model,
    text: Text,
    path: str | Path,
    *,
    format: Literal["npz", "parquet", "json", "png"] | None = None,
    quantity: str | None = None,
    layer: int | None = None,
) -> None:
    """Write what happens in a model while it reads a text, as numbers or as a picture.

    Without `format`, the suffix of `path` decides: .npz (arrays (T, L, H)), .parquet (a row
    for each step and layer; needs pyarrow), .json (an object for each step), or .png (a heat
    map of units x characters of one `quantity`, by default C_t (or h_t of a cell that carries no
    C), and one `layer`, from 1, by default the top one; needs matplotlib; it holds the first 400
    characters). See the top of this file for the fields.

    SettingsError for a format, quantity or layer that does not exist, and for a quantity or
    layer where all of them are written; OutputError if the file cannot be written.

    >>> import charloom, tempfile, pathlib, numpy
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "trace.npz"
    >>> charloom.save_trace(model, "the cat", path)
    >>> with numpy.load(path) as arrays:
    ...     arrays["C_t"].shape
    (7, 2, 4)
    """
    check_model("model", model)
    form = format or Path(path).suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise SettingsError(
            f"format: {form!r} was given for {path}; it must be one of {', '.join(FORMATS)}"
        )
    if form == "png":
        from .pictures import plot_trace

        pieces = model.trace_pieces(text)
        plot_trace(path, pieces, quantity=quantity, layer=layer)
        return
    for name, value in (("quantity", quantity), ("layer", layer)):
        if value is not None:
            raise SettingsError(
                f"{name}: {value!r} was given, but a {form} file holds every one; leave it out"
            )
    WRITERS[f".{form}"](path, model.trace_pieces(text))


def write_npz(path: str | Path, pieces: Iterable[Trace]) -> None:
    """Write a trace as an .npz, which `numpy.load` opens without pickle."""
    with tempfile.TemporaryDirectory(prefix="charloom-") as folder:
        members: dict[str, _Column] = {}
        last: Trace | None = None
        for piece in _some(pieces):
            for name, values in _columns(piece).items():
                members.setdefault(name, _Column(Path(folder, name), values)).add(values)
            last = piece
        assert last is not None
        for name in ("expected", "expected_log_probability"):
            members[name].add(getattr(last, name)[-1:])
        known = symbols(last.vocabulary, np.arange(last.vocabulary.size))
        with replacing(path) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
            for name, column in members.items():
                with _member(archive, name) as member:
                    column.copy_to(member)
            with _member(archive, "characters") as member:
                npy.write_array(member, np.array(known), allow_pickle=False)


def write_parquet(path: str | Path, pieces: Iterable[Trace]) -> None:
    """Write a trace as Parquet. SettingsError, with the pip command, without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise SettingsError(
            "Parquet needs pyarrow, which is not installed; pip install 'charloom[parquet]'"
        ) from None
    with replacing(path) as file:
        writer: Any = None
        try:
            for piece in _some(pieces):
                table = pyarrow.table(dict(_table(pyarrow, piece)))
                if writer is None:
                    # hardly two numbers are equal: dictionaries would double the file
                    how = {"use_dictionary": ["symbol"], "compression": "zstd"}
                    writer = parquet.ParquetWriter(file, table.schema, **how)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()


def write_json(path: str | Path, pieces: Iterable[Trace]) -> None:
    """Write a trace as JSON; its numbers have the 9 digits that tell every float32 apart."""
    with replacing(path) as file:
        for text in _json(_some(pieces)):
            file.write(text.encode())


WRITERS = {".npz": write_npz, ".parquet": write_parquet, ".json": write_json}
"""The writer of each kind of file, by its suffix."""

FORMATS = ("npz", "parquet", "json", "png")


def _some(pieces: Iterable[Trace]) -> Iterator[Trace]:
    empty = True
    for piece in pieces:
        empty = False
        yield piece
    if empty:
        raise TextError("the text is empty; a trace needs at least one character")


def _columns(piece: Trace) -> dict[str, Array]:
    """What has a row for each step."""
    return {
        **piece.quantities,
        "ids": piece.ids,
        "symbols": np.array(piece.symbols, "<U2"),
        "log_probability": piece.log_probability,
        "rank": piece.rank,
        "expected": piece.expected[:-1],
        "expected_log_probability": piece.expected_log_probability[:-1],
    }


class _Column:
    """An array that grows on the disk, and then becomes a member of an .npz."""

    def __init__(self, path: Path, like: Array) -> None:
        self._path, self._rows = path, 0
        self._dtype, self._row = like.dtype, like.shape[1:]

    def add(self, values: Array) -> None:
        with self._path.open("ab") as file:
            file.write(np.ascontiguousarray(values, self._dtype).data)
        self._rows += len(values)

    def copy_to(self, member: IO[bytes]) -> None:
        header = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, *self._row),
        }
        npy.write_array_header_1_0(member, header)
        with self._path.open("rb") as file:
            shutil.copyfileobj(file, member, 2**20)
        self._path.unlink()


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A member to write to, dated like every other one: equal traces, equal bytes."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _table(pyarrow: Any, piece: Trace) -> Iterator[tuple[str, Any]]:
    """The columns of a piece: rows in the order of steps, and in a step of layers."""
    T, L, _ = piece.h_t.shape
    step = np.arange(piece.start, piece.start + T)
    chosen = piece.expected[:-1]
    names = symbols(piece.vocabulary, chosen.ravel())

    def lists(values: Any, width: int) -> Any:
        return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values), width)

    yield "step", np.repeat(step, L)
    yield "layer", np.tile(np.arange(L, dtype=np.int32), T)
    yield "symbol", np.repeat(np.array(piece.symbols, object), L)
    yield "id", np.repeat(piece.ids, L)
    yield "log_probability", np.repeat(piece.log_probability, L)
    yield "rank", np.repeat(piece.rank, L)
    width = chosen.shape[1]
    each = np.repeat(np.array(names, object).reshape(T, width), L, axis=0).ravel()
    yield "alternatives", lists(each, width)
    shares = np.repeat(piece.expected_log_probability[:-1], L, axis=0)
    yield "alternative_log_probabilities", lists(shares.ravel(), width)
    for name, values in piece.quantities.items():
        yield name, lists(np.ascontiguousarray(values).ravel(), values.shape[2])


def _json(pieces: Iterable[Trace]) -> Iterator[str]:
    last: Trace | None = None
    for piece in pieces:
        if last is None:
            _, L, H = piece.h_t.shape
            head = {"quantities": list(piece.quantities), "layers": L, "units": H}
            yield json.dumps(head)[:-1] + ', "steps": [\n'
        for t in range(len(piece)):
            yield ("" if last is None and t == 0 else ",\n") + _step(piece, t)
        last = piece
    assert last is not None
    after = json.dumps({"alternatives": _alternatives(last, len(last))})
    yield f'\n], "next": {after}}}\n'


def _step(piece: Trace, t: int) -> str:
    known = {
        "step": piece.start + t,
        "symbol": piece.symbols[t],
        "id": int(piece.ids[t]),
        "log_probability": float(piece.log_probability[t]),
        "rank": int(piece.rank[t]),
        "alternatives": _alternatives(piece, t),
    }
    quantities = ", ".join(
        f'"{name}": [' + ", ".join(map(_numbers, values[t])) + "]"
        for name, values in piece.quantities.items()
    )
    return f"{json.dumps(known)[:-1]}, {quantities}}}"


def _alternatives(piece: Trace, step: int) -> list[dict[str, Any]]:
    names = symbols(piece.vocabulary, piece.expected[step])
    shares = piece.expected_log_probability[step].tolist()
    return [
        {"symbol": symbol, "log_probability": nats}
        for symbol, nats in zip(names, shares, strict=True)
    ]


def _numbers(values: Array) -> str:
    return "[" + ", ".join(f"{value:.9g}" for value in values.tolist()) + "]"
