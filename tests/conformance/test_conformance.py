"""Every engine of charloom replays the conformance vectors; other runtimes: tests/peers/."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from replay import CASES, FOLDER, check

from charloom.engines.cell import CELLS
from charloom.engines.native import NativeEngine, available_kernels
from charloom.engines.random import stream_seeds
from charloom.engines.reference.engine import ReferenceEngine
from charloom.model.model import Model


def test_every_cell_with_every_input_and_bytes_has_vectors():
    kinds = {f"{cell}_{kind}" for cell in CELLS for kind in ("one_hot", "embedding")}
    assert set(CASES) == kinds | {"lstm_bytes"}
    for case in CASES:
        model = Model.load(FOLDER / f"{case}.safetensors")
        assert all(values.any(axis=-1).all() for values in model.weights.values())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_reference_replays_them(case, dtype):
    check(case, partial(engine, ReferenceEngine, dtype=dtype))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kernels", available_kernels())
def test_the_native_core_replays_them_on_every_instruction_set(case, kernels):
    check(case, partial(engine, NativeEngine, precision="float32", kernels=kernels))


def engine(kind, model: Model, **options):
    return kind(model.settings, model.vocabulary.size, model.weights, **options)


@pytest.mark.parametrize("case", CASES)
def test_model_generate_gives_their_texts(case):
    model = Model.load(FOLDER / f"{case}.safetensors", precision="float32")
    for text in json.loads((FOLDER / f"{case}.json").read_text("utf-8"))["texts"]:
        options = {name: text[name] for name in ("temperature", "top_k", "top_p", "seed")}
        pieces = model.generate(text["prompt"], length=len(text["ids"]), **options)
        assert "".join(pieces) == text["text"]
        assert int(text["stream_seed"]) == stream_seeds(text["seed"], 1)[0]


def test_a_wrong_number_and_a_wrong_gate_are_found():
    def swapped(model: Model) -> ReferenceEngine:
        gates = {
            name: np.roll(values, model.settings.hidden_size, axis=0) if "_hh_" in name else values
            for name, values in model.weights.items()
        }
        return ReferenceEngine(model.settings, model.vocabulary.size, gates)

    with pytest.raises(AssertionError):
        check("lstm_one_hot", swapped)
