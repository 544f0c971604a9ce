"""The container of models and checkpoints: a safetensors file with a description and a digest.

    8 bytes   N, little-endian
    N bytes   JSON: name, dtype, shape and place of each tensor, and "__metadata__"
    the rest  the tensors, raw

`__metadata__` has one key, "charloom", whose value is JSON again: the format number, the
kind of file, a digest over every byte, and all that is not a tensor. The digest is a SHA-256
of the whole file with the digest's own 64 characters as zeros, so it covers every byte.
docs/file-format.md has the details, and loads a model with PyTorch alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..engines.weights import Array
from ..errors import ModelFileError
from ..files import replacing

FORMAT = 1
"""Raised when a file of this version would be misread by an older charloom."""

MODEL_FILE = "model.safetensors"
"""The best model, in a run folder."""

_MARK = rb"{\"digest\":\""  # where it begins: "digest" sorts before all other keys
_BLANK = b"0" * 64


def write_container(
    path: str | Path, kind: str, tensors: dict[str, Array], content: dict[str, Any]
) -> None:
    """Write tensors and a description, all at once; equal content gives equal bytes.

    Raises OutputError, and leaves what was at `path`, if it cannot be written.
    """
    description = {"digest": _BLANK.decode(), "format": FORMAT, "kind": kind, **content}
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    data = save_tensors(tensors, {"charloom": text})
    before, after, digest = _digest(data)
    with replacing(path) as file:
        file.write(before)
        file.write(digest)
        file.write(after)


def read_container(path: Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the description of a file that is whole, ours, and of this kind.

    Raises ModelFileError if it is missing, truncated, damaged in any byte, foreign or newer.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(
            f"{path}: there is no such file; give a model file or the folder of a run"
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from None
    content = _description(path, data)
    if content["format"] != FORMAT:
        raise ModelFileError(
            f"{path}: is of format {content['format']}, and this charloom reads format "
            f"{FORMAT}; upgrade with: pip install --upgrade charloom"
        )
    if content.get("kind") != kind:
        raise ModelFileError(
            f"{path}: is a {content.get('kind')} file, not a {kind} file; in the folder of "
            f"a run the model is {MODEL_FILE}"
        )
    try:
        return load_tensors(data), content
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(f"{path}: its tensors cannot be read ({error})") from None


def _description(path: Path, data: bytes) -> dict[str, Any]:
    """The JSON of a file whose every byte is as it was written."""

    def refuse(why: str) -> NoReturn:
        raise ModelFileError(f"{path}: {why}")

    foreign = "is not a charloom model; give a file that charloom saved"
    size = int.from_bytes(data[:8], "little")
    if not data:
        refuse("is empty; a save never leaves such a file, so take another copy")
    if len(data) > 8 and data[8:9] != b"{":
        refuse(foreign)
    truncated = f"is truncated: it ends after {len(data)} bytes; take another copy"
    if len(data) < 8 + size:
        refuse(truncated)
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__", {})
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        text = metadata.get("charloom")
        missing = 8 + size + end - len(data)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        refuse("is damaged, or is not a charloom model; take another copy")
    if text is None:
        refuse(foreign)
    if missing > 0:
        refuse(truncated)
    try:
        before, _, digest = _digest(data)
        if data[len(before) : len(before) + len(digest)] != digest:
            raise ValueError
        content = json.loads(text)
        content["format"] = int(content["format"])
    except (ValueError, TypeError, KeyError):
        refuse("is damaged: its bytes are not those that were written; take another copy")
    return content


def _digest(data: bytes) -> tuple[memoryview, memoryview, bytes]:
    """What stands before the digest and after it, and what it must be."""
    start = data.index(_MARK) + len(_MARK)
    view = memoryview(data)
    before, after = view[:start], view[start + len(_BLANK) :]
    digest = hashlib.sha256(before)
    digest.update(_BLANK)
    digest.update(after)
    return before, after, digest.hexdigest().encode()
