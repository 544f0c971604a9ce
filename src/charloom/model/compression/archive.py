r"""The file of a compressed text.

    charloom archive 3\n
    {"digest": ..., "bytes": 440, ...}\n     sealed JSON: what decoding needs to know
    the model, if it is inside               a model file of 8 bits
    the code                                 see coding.py

The digest covers the JSON, which holds the SHA-256 of what follows and of the file that was
compressed: an archive that was damaged is an error, and never another text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ...errors import ModelFileError, SettingsError, shown
from ...files import replacing
from ...settings import ModelSettings
from ..storage.sealed import sealed, unsealed
from .counts import LONGEST

_MAGIC = b"charloom archive 3\n"
_LONGEST = 1 << 20  # bytes of the JSON

Count = Annotated[int, Field(ge=0, lt=2**60)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How the network learns from each chunk after it was coded."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    final_learning_rate: Annotated[float, Field(gt=0, lt=1)]
    """At the end of the text; in between it falls in a straight line."""
    sequence_length: Annotated[int, Field(ge=1, le=2**20)]
    """Characters of a chunk."""
    beta1: Annotated[float, Field(ge=0, lt=1)]
    longest_context: Annotated[int, Field(ge=0, le=LONGEST)] = 0
    """Characters of the contexts that are counted and mixed in; 0 for the network alone."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the JSON says."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    bytes: Count
    """Of the file that was compressed."""
    sha256: Digest
    """Of that file."""
    characters: Count
    code_sha256: Digest
    """Of all that follows the JSON."""
    kernels: str
    """What has to compute the probabilities."""
    learning: Learning | None
    model: Digest | None = None
    """The digest of the model that it was compressed with; None for a new network."""
    model_bytes: Count = 0
    """Of that model, if it is inside."""
    network: ModelSettings | None = None
    """The shape of a new network."""
    vocabulary: dict[str, Any] | None = None
    """Of a new network."""


_SCHEMA = TypeAdapter(Header)


def write_archive(path: str | Path, header: Header, model: bytes, code: bytes) -> int:
    """Write an archive, all at once; its size in bytes. OutputError if it cannot be written."""
    written = _MAGIC + sealed(_SCHEMA.dump_python(header, mode="json")) + b"\n" + model + code
    with replacing(path) as file:
        file.write(written)
    return len(written)


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_archive(path: str | Path) -> tuple[Header, bytes, bytes]:
    """The header, the model inside (or no bytes) and the code; ModelFileError if it is damaged."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(len(_MAGIC))
            if data == _MAGIC:  # else it may be of any size, and a device has no end
                data += file.read()
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}; give the name of an archive") from None
    if not data.startswith(_MAGIC):
        if data.startswith(_MAGIC[:-2]):
            raise ModelFileError(
                f"{path}: was written by another version of charloom; decompress it with that one, "
                "or upgrade (pip install --upgrade charloom)"
            )
        raise ModelFileError(f"{path}: is not an archive of charloom compress")
    end = data.find(b"\n", len(_MAGIC), len(_MAGIC) + _LONGEST)
    try:
        header = _SCHEMA.validate_python(unsealed(data[len(_MAGIC) : max(end, 0)]))
    except (ValueError, ValidationError, SettingsError, RecursionError) as error:
        raise _damaged(path, shown(error)) from None
    rest = data[end + 1 :]
    if sha256(rest) != header.code_sha256 or header.model_bytes > len(rest):
        raise _damaged(path, "its bytes are not those that were written")
    return header, rest[: header.model_bytes], rest[header.model_bytes :]


def _damaged(path: Path, why: str) -> ModelFileError:
    return ModelFileError(f"{path}: is damaged ({why}); put another copy in its place")
