"""Models and runs as files that appear all at once, or not at all.

Both are safetensors files, without pickle:

    8 bytes   N, little-endian
    N bytes   JSON: name, dtype, shape and place of each tensor, and "__metadata__"
    the rest  the tensors, raw

`__metadata__` has one key, "charloom", whose value is JSON again: the format number, the
kind of file, a digest over every byte, and all that is not a tensor. See
docs/file-format.md, which also loads a model with PyTorch alone.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..engines.base import Array, OptimizerState, State, Weights, weight_shapes
from ..errors import ModelFileError, OutputError, SettingsError
from ..settings import ModelSettings
from ..text.vocabulary import Vocabulary

FORMAT = 1
"""Raised when a file of this version would be misread by an older charloom."""

MODEL_FILE = "model.safetensors"
"""The best model, in a run folder."""

CHECKPOINT_FILE = "checkpoint.safetensors"
"""The run itself, in a run folder."""


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """What a model file holds."""

    settings: ModelSettings
    vocabulary: Vocabulary
    weights: Weights
    """float32, under the names of core.contract: one bias per layer."""
    record: dict[str, Any] = field(default_factory=dict)
    """How the model came about, as plain JSON. Two of its keys are read again: "text"
    (TextSettings.model_dump()) and "training" (TrainingSettings.model_dump())."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that a run needs, besides its settings and ids, to go on as if never stopped."""

    weights: Weights
    optimizer: OptimizerState
    state: State
    """Carried along the streams."""
    progress: dict[str, Any]
    """Plain JSON; floats come back bit for bit, inf and nan included."""


def write_model(path: str | Path, model: ModelFile) -> None:
    """Write a model file; equal content gives equal bytes.

    Raises OutputError, and leaves what was at `path`, if it cannot be written.
    """
    tensors: dict[str, Array] = {}
    for name in weight_shapes(model.settings, model.vocabulary.size):
        values = np.ascontiguousarray(model.weights[name], np.float32)
        first, *others = _stored_names(name)
        tensors[first] = values
        tensors |= {other: np.zeros_like(values) for other in others}
    content = {
        "settings": model.settings.model_dump(),
        "vocabulary": model.vocabulary.to_json(),
        "record": model.record,
    }
    _write(path, "model", tensors, content)


def read_model(path: str | Path) -> ModelFile:
    """Read a model file.

    Raises ModelFileError if it is missing, truncated, damaged in any byte, foreign, newer,
    or does not hold the tensors that its settings call for.
    """
    path = Path(path)
    tensors, content = _read(path, "model")
    try:
        settings = ModelSettings(**content["settings"])
        vocabulary = Vocabulary.from_json(content["vocabulary"])
        record = dict(content["record"])
    except (KeyError, TypeError, ValueError, SettingsError, ModelFileError) as error:
        raise ModelFileError(f"{path}: its description makes no sense ({error})") from None
    weights = {}
    for name, shape in weight_shapes(settings, vocabulary.size).items():
        stored = [_tensor(path, tensors, part, shape) for part in _stored_names(name)]
        weights[name] = stored[0] if len(stored) == 1 else stored[0] + stored[1]
    if tensors:
        named = ", ".join(sorted(tensors))
        raise ModelFileError(f"{path}: its settings do not call for its tensors {named}")
    return ModelFile(settings=settings, vocabulary=vocabulary, weights=weights, record=record)


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a run, arrays in their own dtype; equal content gives equal bytes."""
    optimizer, state = checkpoint.optimizer, checkpoint.state
    tensors = {"state.hidden": state.hidden, "state.cell": state.cell}
    for group, arrays in (
        ("weights", checkpoint.weights),
        ("mean", optimizer.mean),
        ("mean_square", optimizer.mean_square),
    ):
        tensors |= {f"{group}/{name}": values for name, values in arrays.items()}
    content = {"optimizer_steps": optimizer.steps, "progress": checkpoint.progress}
    _write(path, "checkpoint", tensors, content)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a run, or raise ModelFileError as `read_model` does."""
    path = Path(path)
    tensors, content = _read(path, "checkpoint")
    groups: dict[str, Weights] = {"weights": {}, "mean": {}, "mean_square": {}}
    try:
        state = State(hidden=tensors.pop("state.hidden"), cell=tensors.pop("state.cell"))
        for name, values in tensors.items():
            group, _, weight = name.partition("/")
            groups[group][weight] = values
        optimizer = OptimizerState(
            steps=content["optimizer_steps"],
            mean=groups["mean"],
            mean_square=groups["mean_square"],
        )
        progress = content["progress"]
    except KeyError as error:
        raise ModelFileError(f"{path}: {error} does not fit a checkpoint") from None
    return Checkpoint(
        weights=groups["weights"], optimizer=optimizer, state=state, progress=progress
    )


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` when the block ends well.

    Until then `path` is what it was, whether the block raises, the process is killed or
    the power fails: the bytes go to a hidden file beside it, which is synced, renamed, and
    the folder synced. Raises OutputError if the disk is full or the folder not writable.
    """
    path = Path(path).resolve()  # through a link, so that the link stays one
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        if os.name == "posix":
            _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(_why_not(path, error)) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why_not(path: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            step = "free some space and save again; what was there is untouched"
        case errno.ENOENT | errno.ENOTDIR:
            step = f"make the folder {path.parent} first"
        case errno.EISDIR:
            step = "a folder is in the way; give the name of a file"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            step = "choose a folder that you may write to"
        case _:
            step = "what was there is untouched"
    return f"{path}: cannot be written ({error.strerror or error}); {step}"


# Between a file and its tensors and content. The digest is a SHA-256 of the whole file
# with the digest's own 64 characters as zeros, so there is no byte it does not cover.

_MARK = rb"{\"digest\":\""  # where it begins: "digest" sorts before all other keys
_BLANK = b"0" * 64


def _write(path: str | Path, kind: str, tensors: dict[str, Array], content: dict[str, Any]) -> None:
    description = {"digest": _BLANK.decode(), "format": FORMAT, "kind": kind, **content}
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    data = save_tensors(tensors, {"charloom": text})
    before, after, digest = _digest(data)
    with replacing(path) as file:
        file.write(before)
        file.write(digest)
        file.write(after)


def _digest(data: bytes) -> tuple[memoryview, memoryview, bytes]:
    """What stands before the digest and after it, and what it must be."""
    start = data.index(_MARK) + len(_MARK)
    view = memoryview(data)
    before, after = view[:start], view[start + len(_BLANK) :]
    digest = hashlib.sha256(before)
    digest.update(_BLANK)
    digest.update(after)
    return before, after, digest.hexdigest().encode()


def _read(path: Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the content of a file that is whole, ours, and of this kind."""
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


def _stored_names(name: str) -> tuple[str, ...]:
    """The tensors whose sum is this weight: PyTorch has two biases for our one."""
    if ".bias_l" in name:
        return name.replace("bias", "bias_ih"), name.replace("bias", "bias_hh")
    return (name,)


def _tensor(path: Path, tensors: dict[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    """Take one tensor out of the file's, and check it."""
    if name not in tensors:
        raise ModelFileError(f"{path}: the tensor {name} is missing")
    values = tensors.pop(name)
    if values.shape != shape or values.dtype != np.float32:
        raise ModelFileError(
            f"{path}: the tensor {name} is {values.dtype} {values.shape}; "
            f"its settings call for float32 {shape}"
        )
    return values
