"""Model files: settings, vocabulary, weights and how they came about, for any PyTorch to load.

The container is container.py's; the tensors have PyTorch's names and shapes, its two biases
included. In a file of 8 bits a matrix is whole numbers, and a tensor of its name and `.scale`
has what each of its rows is to be multiplied by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ...engines.int8 import whole_numbers
from ...engines.weights import Array, Weights, folded_bias, torch_biases, weight_shapes
from ...errors import ModelFileError, SettingsError, shown
from ...settings import ModelSettings
from ...text.vocabulary import Vocabulary
from .container import read_container, write_container
from .provenance import Provenance

_SCALE = ".scale"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """What a model file holds."""

    settings: ModelSettings
    vocabulary: Vocabulary
    weights: Weights
    """float32, under the names of engines/weights.py: one bias per layer."""
    provenance: Provenance = field(default_factory=Provenance)
    """How the model came about: the record of the file."""


def write_model(path: str | Path, model: ModelFile, *, bits: Literal[8, 32] = 32) -> None:
    """Write a model file; equal content gives equal bytes.

    With 8 bits its matrices are rounded, and it is a quarter of the size. Raises OutputError,
    and leaves what was at `path`, if it cannot be written.
    """
    tensors: dict[str, Array] = {}
    for name in weight_shapes(model.settings, model.vocabulary.size):
        values = np.ascontiguousarray(model.weights[name], np.float32)
        if bits == 8 and values.ndim == 2:
            tensors[name], tensors[name + _SCALE] = whole_numbers(values)
            continue
        stored = torch_biases(model.settings, values) if _is_bias(name) else [values]
        tensors |= dict(zip(_stored_names(name), stored, strict=True))
    content = {
        "settings": model.settings.model_dump(),
        "vocabulary": model.vocabulary.to_json(),
        "record": model.provenance.to_json(),
    }
    write_container(path, "model", tensors, content)


def read_model(path: str | Path) -> ModelFile:
    """Read a model file.

    Raises ModelFileError if it is missing, truncated, damaged in any byte, foreign, newer,
    or does not hold the tensors that its settings call for.
    """
    path = Path(path)
    tensors, content = read_container(path, "model")
    try:
        settings = ModelSettings(**content["settings"])
        vocabulary = Vocabulary.from_json(content["vocabulary"])
        provenance = Provenance(**content["record"])
    except (KeyError, TypeError, ValueError, SettingsError, ModelFileError) as error:
        raise ModelFileError(f"{path}: its description makes no sense ({shown(error)})") from None
    weights = {}
    for name, shape in weight_shapes(settings, vocabulary.size).items():
        if _is_bias(name):
            shape = weights[name.replace("bias", "weight_hh")].shape[:1]
        stored = [_tensor(path, tensors, part, shape) for part in _stored_names(name)]
        weights[name] = folded_bias(settings, *stored) if _is_bias(name) else stored[0]
    if tensors:
        named = shown(", ".join(sorted(tensors)))
        raise ModelFileError(f"{path}: its settings do not call for its tensors {named}")
    return ModelFile(
        settings=settings, vocabulary=vocabulary, weights=weights, provenance=provenance
    )


def _is_bias(name: str) -> bool:
    return ".bias_l" in name


def _stored_names(name: str) -> tuple[str, ...]:
    """The tensors that hold this weight: PyTorch has two biases for our one."""
    if _is_bias(name):
        return name.replace("bias", "bias_ih"), name.replace("bias", "bias_hh")
    return (name,)


def _tensor(path: Path, tensors: dict[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    """Take one tensor out of the file's, and check it; whole numbers with their scale."""
    if name not in tensors:
        raise ModelFileError(f"{path}: the tensor {name} is missing")
    values = tensors.pop(name)
    if len(shape) == 2 and values.shape == shape and values.dtype == np.int8:
        return values.astype(np.float32) * _tensor(path, tensors, name + _SCALE, shape[:1])[:, None]
    if values.shape != shape or values.dtype != np.float32:
        raise ModelFileError(
            f"{path}: the tensor {name} is {values.dtype} {values.shape}; "
            f"its settings call for float32 {shape}"
        )
    return values
