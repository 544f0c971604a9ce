"""Replay the conformance vectors on an engine: conformance/README.md says what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

from charloom.engines.base import Engine
from charloom.engines.random import uniform
from charloom.engines.sampling import draw
from charloom.model.model import Model
from charloom.settings import SamplingSettings

FOLDER = Path(__file__).parent / "conformance"
CASES = sorted(path.stem for path in FOLDER.glob("*.json"))


def check(name: str, open_engine: Callable[[Model], Engine], *, at_once: bool = False) -> None:
    """Every number and every text of one case.

    With `at_once` each text is read in one call, for a runtime that takes long to start one, and
    every character of it has to be what is drawn after those before it.
    """
    case = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    model = Model.load(FOLDER / case["model"])
    assert model.vocabulary.size == case["vocabulary_size"]
    engine = open_engine(model)
    check_passages(engine, case)
    for text in case["texts"]:
        (check_drawn if at_once else check_text)(engine, model, text)


def check_passages(engine: Engine, case: dict[str, Any]) -> None:
    state = engine.zero_state(1)
    for passage in case["passages"]:
        ids = np.array(passage["ids"], np.int32)[:, None]
        logits, state = engine.logits(ids, state)
        found = {"logits": logits, "hidden": state.hidden, "cell": state.cell}
        for name, values in found.items():
            assert_allclose(np.asarray(values)[:, 0], passage[name], rtol=0, atol=case["tolerance"])


def check_text(engine: Engine, model: Model, text: dict[str, Any]) -> None:
    prompt = model.vocabulary.encode(text["prompt"]).astype(np.int32)
    assert prompt.tolist() == text["prompt_ids"]
    assert model.vocabulary.decode(text["ids"]) == text["text"]
    unknown = model.vocabulary.unknown_id
    _, state = engine.logits(prompt[:-1, None], engine.zero_state(1))
    ids, _ = engine.generate(
        prompt[-1:],
        state,
        len(text["ids"]),
        SamplingSettings(**{name: text[name] for name in ("temperature", "top_k", "top_p")}),
        np.array([int(text["stream_seed"])], np.uint64),
        0,
        () if unknown is None else (unknown,),
    )
    assert ids[:, 0].tolist() == text["ids"]


def check_drawn(engine: Engine, model: Model, text: dict[str, Any]) -> None:
    ids = np.array([*text["prompt_ids"], *text["ids"]], np.int32)
    logits, _ = engine.logits(ids[:-1, None], engine.zero_state(1))
    sampling = SamplingSettings(**{n: text[n] for n in ("temperature", "top_k", "top_p")})
    unknown, seed = model.vocabulary.unknown_id, np.array([int(text["stream_seed"])], np.uint64)
    forbidden = () if unknown is None else (unknown,)
    for position, row in enumerate(logits[len(text["prompt_ids"]) - 1 :]):
        (drawn,) = draw(row, sampling, uniform(seed, position), forbidden)
        assert drawn == text["ids"][position]
