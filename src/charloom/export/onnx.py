"""A model as one ONNX graph, which onnxruntime and others run.

    ids (T, B) int64, hidden (L, B, H)[, cell (L, B, H)]
    -> logits (T, B, V), next_hidden (L, B, H)[, next_cell (L, B, H)]

T and B are free, and numbers are float32. A text starts from states of zeros, and the states
that come out go in again with the ids that follow. `cell` is there for an LSTM alone. The key
"charloom" of the graph's metadata has the settings, the vocabulary and the record as JSON.

Source: the operators LSTM, GRU and RNN of https://onnx.ai/onnx/operators/ (opset 14).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.cell import CELLS
from ..errors import SettingsError, counted
from ..files import replacing
from ..model.model import Model
from .description import description
from .layers import layers_of

OPSET = 17
IR_VERSION = 8
"""Both of 2022: newer ones have nothing that is needed here, and older runtimes refuse them."""

MOST_BYTES = 2**31 - 2**20
"""Of one file: protobuf, which ONNX is written in, ends at 2 GB."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """The operator of a cell, and the order of its gates."""

    name: str
    gates: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


OPERATORS = {
    "lstm": Operator(name="LSTM", gates=("input", "output", "forget", "candidate")),
    "gru": Operator(
        name="GRU",
        gates=("update", "reset", "candidate"),
        attributes={"linear_before_reset": 1},  # the reset gate stands behind the product
    ),
    "rnn": Operator(name="RNN", gates=("all",)),
}
"""Every cell, by the name that ModelSettings.cell gives."""


def build(model: Model) -> Any:
    """The graph, an `onnx.ModelProto` that `onnx.checker` has found right.

    SettingsError if onnx is not installed, or the weights are more than ONNX's 2 GB.
    """
    try:
        import onnx  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise SettingsError(
            ".onnx needs the package onnx, which is not installed; pip install 'charloom[onnx]'"
        ) from None
    if 4 * model.parameters > MOST_BYTES:
        raise SettingsError(
            f".onnx: the model has {counted(model.parameters, 'weight')}, more than fit in an ONNX "
            "file, which ends at 2 GB; export the model as safetensors (it is one)"
        )
    made = onnx.helper.make_model(
        _graph(onnx, model),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="charloom",
    )
    onnx.helper.set_model_props(made, {"charloom": description(model)})
    onnx.checker.check_model(made, full_check=True)
    return made


def save(model: Model, path: str | Path) -> None:
    """Write the graph, all at once; equal models give equal bytes.

    OutputError, and what was at `path` is left, if it cannot be written.
    """
    data = build(model).SerializeToString(deterministic=True)
    with replacing(path) as file:
        file.write(data)


def _graph(onnx: Any, model: Model) -> Any:
    settings, weights, V = model.settings, model.weights, model.vocabulary.size
    operator, H, L = OPERATORS[settings.cell], settings.hidden_size, settings.num_layers
    states = ("hidden", "cell") if CELLS[settings.cell].has_cell_state else ("hidden",)
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, values: Any) -> str:
        stored = np.ascontiguousarray(values)
        constants.append(onnx.numpy_helper.from_array(stored.reshape(np.shape(values)), name))
        return name

    def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        nodes.append(onnx.helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))

    if settings.embedding_size:
        table = constant("embedding.weight", weights["embedding.weight"])
        node("Gather", [table, "ids"], ["input_0"], axis=0)
    else:
        values = constant("off_on", np.array([0, 1], np.float32))
        node("OneHot", ["ids", constant("depth", np.array(V)), values], ["input_0"], axis=-1)
    axis = constant("axis_1", np.array([1]))
    for state in states:
        pieces = [f"{state}_{k}" for k in range(L)]
        node("Split", [state, constant(f"{state}_sizes", np.ones(L, np.int64))], pieces, axis=0)
    for k, layer in enumerate(layers_of(settings, weights, operator.gates)):
        biases = np.concatenate([layer.bias_ih, layer.bias_hh])
        arrays = {"W": layer.weight_ih, "R": layer.weight_hh, "B": biases}
        given = [constant(f"{name}_{k}", values[None]) for name, values in arrays.items()]
        before = [f"{state}_{k}" for state in states]
        after = [f"next_{state}_{k}" for state in states]
        node(
            operator.name,
            [f"input_{k}", *given, "", *before],  # "": all texts are equally long
            [f"steps_{k}", *after],
            hidden_size=H,
            **operator.attributes,
        )
        node("Squeeze", [f"steps_{k}", axis], [f"input_{k + 1}"])  # the axis of directions
    head = constant("head.weight", weights["head.weight"].T)
    node("MatMul", [f"input_{L}", head], ["products"])
    node("Add", ["products", constant("head.bias", weights["head.bias"])], ["logits"])
    for state in states:
        node("Concat", [f"next_{state}_{k}" for k in range(L)], [f"next_{state}"], axis=0)

    def value(name: str, shape: list[Any], kind: Any = onnx.TensorProto.FLOAT) -> Any:
        return onnx.helper.make_tensor_value_info(name, kind, shape)

    ids = value("ids", ["T", "B"], onnx.TensorProto.INT64)
    return onnx.helper.make_graph(
        nodes,
        "charloom",
        [ids, *(value(state, [L, "B", H]) for state in states)],
        [
            value("logits", ["T", "B", V]),
            *(value(f"next_{state}", [L, "B", H]) for state in states),
        ],
        constants,
    )
