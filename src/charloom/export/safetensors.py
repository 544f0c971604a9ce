"""A model file that another program has written or changed becomes a model again.

`charloom.Model.load` refuses it, since its digest is not that of its bytes. Here it is checked
tensor by tensor instead, and `Model.save` stamps it anew.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.cell import CELLS
from ..engines.weights import Weights, folded_bias, weight_shapes
from ..errors import ModelFileError, SettingsError, shown
from ..model.model import Model
from ..model.storage.characters import Characters, with_vocabulary
from ..settings import ModelSettings
from .description import described, restored


def save(model: Model, path: str | Path) -> None:
    """Write the model file: `Model.save`."""
    model.save(path)


def load(path: str | Path, characters: Characters | Path | None = None) -> Model:
    """The model of a safetensors file with the tensors of docs/file-format.md.

    Where the file has lost its description, the settings follow from names and shapes, and
    `characters` say what the ids stand for. ModelFileError if tensors are missing, too many or
    of another shape.
    """
    path = Path(path)
    if characters is None:
        with suppress(ModelFileError):  # untouched: all that it says is true
            return Model.load(path)
    try:
        tensors, text = _read(path)
        vocabulary, content = described(text) if text else (None, {})
        settings, weights = _network(tensors)
    except (SettingsError, ModelFileError) as error:
        raise ModelFileError(f"{path}: {error}") from None
    vocabulary, weights = with_vocabulary(weights, characters, vocabulary)
    return restored(settings, vocabulary, weights, content, path.name)


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The tensors, as float32, and charloom's description or nothing."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            text = (file.metadata() or {}).get("charloom", "")
    except FileNotFoundError:
        raise ModelFileError("there is no such file; give a safetensors file") from None
    except (SafetensorError, OSError, TypeError, AttributeError, ValueError) as error:
        raise ModelFileError(f"cannot be read ({shown(error)}); save it as float32") from None
    for name, values in tensors.items():
        if values.dtype.kind != "f":
            raise ModelFileError(f"its tensor {shown(name, 60)} is {values.dtype}, not float32")
    return {name: values.astype(np.float32) for name, values in tensors.items()}, text.encode()


def _network(tensors: dict[str, Any]) -> tuple[ModelSettings, Weights]:
    """Settings and weights, from names and shapes alone."""
    cell = next((name for name in CELLS if f"{name}.weight_hh_l0" in tensors), None)
    if cell is None or not {"head.weight", "head.bias"} <= tensors.keys():
        known = ", ".join(f"{name}.weight_hh_l0" for name in CELLS)
        raise ModelFileError(
            f"its tensors are {shown(', '.join(sorted(tensors)))}; a model has head.weight, "
            f"head.bias and one of {known}"
        )
    embedding = tensors.get("embedding.weight")
    settings = ModelSettings(
        cell=cell,  # pyright: ignore[reportArgumentType]
        hidden_size=tensors["head.weight"].shape[-1],
        num_layers=sum(name.startswith(f"{cell}.weight_hh_l") for name in tensors),
        embedding_size=0 if embedding is None else embedding.shape[-1],
    )
    size, weights = len(tensors["head.bias"]), {}
    rows = CELLS[cell].gate_rows(settings.hidden_size)
    for name, shape in weight_shapes(settings, size).items():
        if ".bias_l" in name:
            both = [
                _tensor(tensors, name.replace("bias", f"bias_{k}"), (rows,)) for k in ("ih", "hh")
            ]
            weights[name] = folded_bias(settings, *both)
        else:
            weights[name] = _tensor(tensors, name, shape)
    if tensors:
        raise ModelFileError(f"its tensors {shown(', '.join(sorted(tensors)))} belong to no model")
    return settings, weights


def _tensor(tensors: dict[str, Any], name: str, shape: tuple[int, ...]) -> Any:
    """Take one tensor out of the file's, and check it."""
    values = tensors.pop(name, None)
    if values is None or values.shape != shape:
        is_ = "missing" if values is None else f"{values.shape}"
        raise ModelFileError(f"its tensor {name} is {is_}; the others call for {shape}")
    return values
