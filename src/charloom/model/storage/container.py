r"""The container of models and checkpoints: a safetensors file with a description and a digest.

    8 bytes   N, little-endian
    N bytes   JSON: name, dtype, shape and place of each tensor, and "__metadata__"
    the rest  the tensors, raw

`__metadata__` has one key, "charloom", whose value is JSON again: the format number, the
kind of file, a digest over every byte, and all that is not a tensor. The digest is a SHA-256
of the whole file with the digest's own 64 characters as zeros, so it covers every byte.
docs/file-format.md has the details, and loads a model with PyTorch alone.

The file is written and read as a stream, header first, then array by array: the safetensors
library would need the whole of it a second time in memory. What it writes has these bytes, too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from ...engines.weights import Array
from ...errors import ModelFileError, OutputError, counted, shown
from ...files import replacing
from .sealed import BLANK, parse_json

FORMAT = 1
"""Raised where an older charloom would misread a file; a file has the lowest that it needs."""

FORMAT_8_BITS = 2
"""Of files with tensors of 8 bits and a sign, which format 1 has not."""

MODEL_FILE = "model.safetensors"
"""The best model, in a run folder."""

LONGEST_HEADER = 32 << 20
"""Bytes; a vocabulary of all of Unicode takes some 16 million."""

_MARK = rb"{\"digest\":\""  # where it begins, within a string within JSON: it is the first key
_DTYPES = {  # in the order in which the safetensors library writes them
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
    "F32": "<f4",
    "I32": "<i4",
    "I8": "|i1",
    "U8": "|u1",
}
_NAMES = {code: name for name, code in _DTYPES.items()}
_RANKS = {code: rank for rank, code in enumerate(_NAMES)}


def write_container(
    path: str | Path, kind: str, tensors: dict[str, Array], content: dict[str, Any]
) -> None:
    """Write tensors and a description, all at once; equal content gives equal bytes.

    Arrays that are contiguous are not copied. Raises OutputError, and leaves what was at
    `path`, if it cannot be written.
    """
    try:
        stored = {name: _stored(array) for name, array in tensors.items()}
        order = sorted(stored, key=lambda name: (_RANKS[stored[name].dtype.str], name))
        header = _header(kind, content, {name: stored[name] for name in order})
        arrays = [_bytes_of(stored[name]) for name in order]
        digest = hashlib.sha256(header)
        for array in arrays:
            digest.update(array)
        start = header.index(_MARK) + len(_MARK)
        header = header[:start] + digest.hexdigest().encode() + header[start + len(BLANK) :]
        with replacing(path) as file:
            for part in (header, *arrays):
                file.write(part)
    except MemoryError:
        raise OutputError(
            f"{path}: not enough memory to write it; free some and save again; what was there "
            "is untouched"
        ) from None


def _bytes_of(array: Array) -> memoryview:
    """The memory of a contiguous array, not a copy."""
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


def _stored(array: Array) -> Array:
    """An array as it stands in a file: little-endian, row by row."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _header(kind: str, content: dict[str, Any], tensors: dict[str, Array]) -> bytes:
    """Length and JSON, with a blank digest."""
    small = any(array.dtype == np.int8 for array in tensors.values())
    rest = {"format": FORMAT_8_BITS if small else FORMAT, "kind": kind, **content}
    body = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    entries: dict[str, Any] = {"__metadata__": {"charloom": f'{{"digest":"{BLANK}",{body[1:]}'}}
    place = 0
    for name, array in tensors.items():
        entries[name] = {
            "dtype": _NAMES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read_container(path: Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the content of a file that is whole, ours, and of this kind.

    Raises ModelFileError if it is missing, truncated, damaged in any byte, foreign or newer.
    What it takes is bounded by the size of the file.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(path, file)
            entries, content = _parsed(path, header)
            size = os.fstat(file.fileno()).st_size - len(header)
            end = max((offsets[1] for _, _, offsets in entries.values()), default=0)
            if size < end:
                _refuse(
                    path,
                    f"is truncated: it ends after {counted(len(header) + size, 'byte')}; {_COPY}",
                )
            start = header.find(_MARK) + len(_MARK)
            digest = hashlib.sha256(header[:start] + BLANK.encode() + header[start + len(BLANK) :])
            ours = content.get("format") in _FORMATS and content.get("kind") == kind
            tensors = _read_tensors(path, file, entries, digest) if ours else {}
            while block := file.read(1 << 20):  # what no tensor has counts, too
                digest.update(block)
    except FileNotFoundError:
        raise ModelFileError(
            f"{path}: there is no such file; give a model file or the folder of a run"
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from None
    except MemoryError:
        raise ModelFileError(f"{path}: not enough memory to read it; free some") from None
    if header[start : start + len(BLANK)] != digest.hexdigest().encode():
        _refuse(path, f"is damaged: its bytes are not those that were written; {_COPY}")
    found_format, found_kind = (shown(content.get(key), 30) for key in ("format", "kind"))
    if content.get("format") not in _FORMATS:
        raise ModelFileError(
            f"{path}: is of format {found_format}, and this charloom reads formats {FORMAT} to "
            f"{FORMAT_8_BITS}; upgrade with: pip install --upgrade charloom"
        )
    if content.get("kind") != kind:
        raise ModelFileError(
            f"{path}: is a {found_kind} file, not a {kind} file; in the folder of a run the "
            f"model is {MODEL_FILE}"
        )
    return tensors, {n: content[n] for n in content.keys() - {"digest", "format", "kind"}}


_FORMATS = (FORMAT, FORMAT_8_BITS)
_COPY = "take another copy"
_FOREIGN = "is not a charloom model; give a file that charloom saved"
_DAMAGED = f"is damaged, or is not a charloom model; {_COPY}"

_Entry = tuple[str, tuple[int, ...], tuple[int, int]]
"""dtype, shape, and where its bytes start and stop."""


def _refuse(path: Path, why: str) -> NoReturn:
    raise ModelFileError(f"{path}: {why}")


def _read_header(path: Path, file: BinaryIO) -> bytes:
    """Length and JSON of a file."""
    data = file.read(9)
    if not data:
        _refuse(path, "is empty; a save never leaves such a file, so take another copy")
    if len(data) == 9 and data[8:] != b"{":
        _refuse(path, _FOREIGN)
    size = int.from_bytes(data[:8], "little")
    found = os.fstat(file.fileno()).st_size
    if found < 8 + size:
        _refuse(path, f"is truncated: it ends after {counted(found, 'byte')}; {_COPY}")
    if size > LONGEST_HEADER:
        _refuse(path, _DAMAGED)
    return data[: 8 + size] + file.read(max(size - 1, 0))


def _parsed(path: Path, header: bytes) -> tuple[dict[str, _Entry], dict[str, Any]]:
    """The tensors of a header, and the content of its description."""
    try:
        entries = parse_json(header[8:])
        text = entries.pop("__metadata__", {}).get("charloom")
        tensors = {str(name): _entry(entry) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        _refuse(path, _DAMAGED)
    if text is None:
        _refuse(path, _FOREIGN)
    try:
        content = parse_json(text.encode())
        if header.find(_MARK) < 0 or not isinstance(content, dict):
            raise ValueError("no digest")
    except (ValueError, TypeError, AttributeError, RecursionError):
        _refuse(path, f"is damaged: its description cannot be read; {_COPY}")
    return tensors, content


def _entry(entry: Any) -> _Entry:
    """A tensor of a header; ValueError, TypeError or KeyError if it makes no sense."""
    dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if not all(isinstance(n, int) and 0 <= n < 2**48 for n in (*shape, start, stop)):
        raise ValueError("a size out of range")
    if len(shape) > 8 or not isinstance(dtype, str) or start > stop:
        raise ValueError("no such tensor")
    return dtype, shape, (start, stop)


def _read_tensors(
    path: Path, file: BinaryIO, entries: dict[str, _Entry], digest: Any
) -> dict[str, Array]:
    """The tensors, which follow each other without a gap; their bytes go into the digest."""
    tensors: dict[str, Array] = {}
    place = 0
    for name, (dtype, shape, (start, stop)) in _in_order(entries):
        if dtype not in _DTYPES or start != place:
            _refuse(
                path, f"its tensor {shown(name)} cannot be read ({shown(dtype, 20)} at {start})"
            )
        code = np.dtype(_DTYPES[dtype])
        if math.prod(shape) * code.itemsize != stop - start:
            _refuse(path, f"its tensor {shown(name)} is {shape}, which does not fit its bytes")
        array = np.empty(shape, code)
        view = _bytes_of(array)
        if file.readinto(view) != len(view):  # pyright: ignore[reportAttributeAccessIssue]
            _refuse(path, f"is truncated while it is read; {_COPY}")
        digest.update(view)
        tensors[name], place = array, stop
    return tensors


def _in_order(entries: dict[str, _Entry]) -> Iterable[tuple[str, _Entry]]:
    return sorted(entries.items(), key=lambda item: item[1][2])
