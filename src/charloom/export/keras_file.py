"""A .keras file becomes a model, without Keras: nothing in it is ever executed.

The archive has the layers as JSON and their weights as HDF5. Both are read here, layer by layer:
one that charloom computes is taken, any other is refused by its name. So no class, function or
Lambda that a file names is loaded.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.weights import Array, Weights
from ..errors import ModelFileError, SettingsError, shown
from ..model.model import Model
from ..model.storage.characters import Characters, with_vocabulary
from ..model.storage.sealed import parse_json
from ..settings import ModelSettings
from .description import described, restored
from .keras import DESCRIPTION, LAYERS
from .layers import Layer, weights_of

CELLS = {kind.name: cell for cell, kind in LAYERS.items()}
IGNORED = ("InputLayer", "Dropout")
"""Layers without a part in what a trained network computes."""

_RECURRENT = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "go_backwards": False,
    "return_state": False,
    "reset_after": True,
}
REQUIRED: dict[str, dict[str, Any]] = {
    **dict.fromkeys(CELLS, _RECURRENT),
    "Embedding": {"mask_zero": False},
    "Dense": {"activation": ("softmax", "linear")},
    "Activation": {"activation": "softmax"},
}
"""What each layer that charloom computes must be, where Keras says it at all."""

ROUNDED = ("float64", "float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
"""Types of numbers whose weights can be taken as float32; the others are quantized."""

MOST_TIMES = 100
"""How much larger the parts of an archive may be than the file."""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A layer of the file: its class, its settings, and where its weights are."""

    kind: str
    name: str
    config: dict[str, Any]
    group: str


def load(path: str | Path, characters: Characters | Path | None = None) -> Model:
    """The model of a Keras `Sequential` of one-hot or embedded input, recurrent layers and Dense.

    `characters` say what its ids stand for; a file that charloom exported knows.
    ModelFileError if the file is damaged, or has a layer without a twin here: its name is told.
    """
    path = Path(path)
    h5py = _h5py()
    try:
        parts, weights_file, text = _read(path)
        settings = _settings(parts)
        with h5py.File(io.BytesIO(weights_file), "r") as stored:
            weights = _weights(parts, settings, stored)
        vocabulary, content = described(text) if text else (None, {})
    except (SettingsError, ModelFileError) as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, RecursionError, OSError) as error:
        raise ModelFileError(
            f"{path}: cannot be read as a .keras file ({shown(error)}); save it with Keras 3"
        ) from None
    vocabulary, weights = with_vocabulary(weights, characters, vocabulary)
    return restored(settings, vocabulary, weights, content, path.name)


def _h5py() -> Any:
    try:
        import h5py  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise SettingsError(
            "reading .keras needs the package h5py, which is not installed; "
            "pip install 'charloom[keras]'"
        ) from None
    return h5py


def _read(path: Path) -> tuple[list[_Part], bytes, bytes]:
    """The layers, the weights as HDF5, and charloom's description or nothing."""
    if not path.is_file():  # a device may have no end
        raise ModelFileError("there is no such file; give a .keras file")
    with path.open("rb") as file:
        begins = file.read(8)
    if begins == b"\x89HDF\r\n\x1a\n":
        raise ModelFileError("is of the older format HDF5; load it in Keras and save it as .keras")
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if sum(sizes.values()) > MOST_TIMES * path.stat().st_size:
            raise ModelFileError("its parts are more than a model has; give another copy")
        config = parse_json(archive.read("config.json"))
        if config.get("class_name") != "Sequential":
            raise ModelFileError(
                f"is a {shown(config.get('class_name'), 40)}; only a Sequential has a twin "
                "in charloom"
            )
        text = archive.read(DESCRIPTION) if DESCRIPTION in sizes else b""
        return _parts(config["config"]["layers"]), archive.read("model.weights.h5"), text


def _parts(layers: list[dict[str, Any]]) -> list[_Part]:
    """The layers that have a part in what is computed; ModelFileError for one we have not."""
    found, seen = [], Counter[str]()
    for layer in layers:
        kind, config = str(layer["class_name"]), dict(layer["config"])
        name = shown(config.get("name", kind), 40)
        if kind not in (*IGNORED, *REQUIRED) or layer["module"] != "keras.layers":
            raise ModelFileError(
                f"its layer {name} is of the class {shown(kind, 40)}, which has no twin in "
                f"charloom; those with one are {', '.join(sorted((*IGNORED, *REQUIRED)))}"
            )
        snake = {"SimpleRNN": "simple_rnn", "InputLayer": "input_layer"}.get(kind, kind.lower())
        group = f"layers/{snake}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        for option, expected in REQUIRED.get(kind, {}).items():
            allowed = expected if isinstance(expected, tuple) else (expected,)
            if config.get(option, allowed[0]) not in allowed:
                raise ModelFileError(
                    f"its layer {name} ({kind}) has {option}={shown(config[option], 40)}, which "
                    f"has no twin in charloom; it must be {' or '.join(map(str, allowed))}"
                )
        dtype = config.get("dtype", "float32")
        policy = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
        if policy not in ROUNDED:
            raise ModelFileError(f"its layer {name} is quantized ({shown(policy, 40)})")
        found.append(_Part(kind=kind, name=name, config=config, group=group))
    return [part for part in found if part.kind not in IGNORED]


def _settings(parts: Sequence[_Part]) -> ModelSettings:
    """The network that these layers are, if they stand in an order that has a twin."""
    kinds = [part.kind for part in parts]
    embedding, parts = (parts[0], parts[1:]) if kinds[:1] == ["Embedding"] else (None, parts)
    recurrent = [part for part in parts if part.kind in CELLS]
    rest = [part.kind for part in parts[len(recurrent) :]]
    outputs = parts[len(recurrent)].config["activation"] if rest else None
    stacked = all(part.kind in CELLS for part in parts[: len(recurrent)])
    ends = rest == ["Dense"] or (rest == ["Dense", "Activation"] and outputs == "linear")
    if not (recurrent and stacked and ends):
        raise ModelFileError(
            f"its layers are {', '.join(kinds) or 'none'}; those of charloom are an Embedding or "
            f"none, then {', '.join(CELLS)}, and a Dense"
        )
    shapes = {(part.kind, part.config["units"]) for part in recurrent}
    if len(shapes) > 1:
        told = ", ".join(f"{part.kind} of {part.config['units']}" for part in recurrent)
        raise ModelFileError(f"its layers are {told}; those of charloom are all alike")
    if not all(part.config["return_sequences"] for part in recurrent[:-1]):
        raise ModelFileError("one of its lower layers does not return sequences")
    return ModelSettings(
        cell=CELLS[recurrent[0].kind],  # pyright: ignore[reportArgumentType]
        hidden_size=recurrent[0].config["units"],
        num_layers=len(recurrent),
        embedding_size=embedding.config["output_dim"] if embedding else 0,
    )


def _weights(parts: Sequence[_Part], settings: ModelSettings, stored: Any) -> Weights:
    """The weights of these layers, in an HDF5 file, under our names."""
    kind, H = LAYERS[settings.cell], settings.hidden_size
    G = H * len(kind.gates)
    dense = next(part for part in parts if part.kind == "Dense")
    V = dense.config["units"]
    inputs = settings.embedding_size or V
    weights: Weights = {}
    layers = []

    def take(part: _Part, *shapes: tuple[int, ...]) -> list[Array]:
        """The weights of a layer; those that it has not, a bias, are zero."""
        place = part.group + ("/cell" if part.kind in CELLS else "")
        biased = part.config.get("use_bias", True)
        given = shapes if biased else shapes[:-1]
        found = [_array(stored, f"{place}/vars/{n}", s) for n, s in enumerate(given)]
        return found if biased else [*found, np.zeros(shapes[-1], np.float32)]

    for part in parts:
        if part.kind == "Embedding":
            (weights["embedding.weight"],) = take(part, (V, settings.embedding_size))
        elif part.kind == "Dense":
            head, weights["head.bias"] = take(part, (H, V), (V,))
            weights["head.weight"] = np.ascontiguousarray(head.T)
        elif part.kind in CELLS:
            biases = (2, G) if kind.two_biases else (G,)
            kernel, recurrent, bias = take(part, (inputs, G), (H, G), biases)
            bias = bias if kind.two_biases else np.stack([bias, np.zeros_like(bias)])
            layers.append(
                Layer(
                    weight_ih=np.ascontiguousarray(kernel.T),
                    weight_hh=np.ascontiguousarray(recurrent.T),
                    bias_ih=bias[0],
                    bias_hh=bias[1],
                )
            )
            inputs = H
    return {**weights, **weights_of(settings, layers, kind.gates)}


def _array(stored: Any, place: str, shape: tuple[int, ...]) -> Array:
    """One array of the file, float32; ModelFileError if it is not there in this shape."""
    found = stored.get(place)
    if found is None or getattr(found, "shape", None) != shape:
        is_ = "missing" if found is None else f"{found.shape}"
        raise ModelFileError(f"the weights {place} are {is_}; its layers call for {shape}")
    whole = found.id.get_storage_size() == found.dtype.itemsize * found.size
    if not whole or found.external or found.is_virtual or found.dtype.kind != "f":
        raise ModelFileError(f"the weights {place} are not stored as Keras stores them")
    return found[()].astype(np.float32)
