"""Write tests/conformance/ anew: small models, and what every runtime must compute with them.

    python scripts/make_conformance.py

The weights are random multiples of 2^-10 and the expected numbers are the reference engine's
in float64, so each run writes the same files. tests/conformance/README.md has the format.
"""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from charloom.engines.base import State
from charloom.engines.cell import CELLS
from charloom.engines.random import stream_seeds, uniform
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.sampling import draw
from charloom.engines.weights import weight_shapes
from charloom.model.model import Model
from charloom.settings import ModelSettings, SamplingSettings
from charloom.text.vocabulary import Vocabulary

FOLDER = Path(__file__).parent.parent / "tests" / "conformance"
TEXT = "the fox saw a crow, «é»\n"
TOLERANCE = 1e-5
LENGTH = 40
SAMPLINGS: list[dict[str, Any]] = [
    {"temperature": 0.0},
    {"temperature": 0.8},
    {"temperature": 1.0, "top_k": 5, "top_p": 0.9},
]
NOISE = {"logits": 1e-3, "state": 1e-5}
"""A text is one that stays the same with so much noise in every step, so that rounding never
decides."""
DISTINCT = 6
"""Characters that the likeliest text has at least: one that repeats itself would show little."""


def main(folder: Path = FOLDER) -> None:
    """Write a model file and a JSON file for each kind of network."""
    characters = Vocabulary.of(TEXT, unknown=True)
    for cell in CELLS:
        for kind, size in (("one_hot", 0), ("embedding", 3)):
            settings = ModelSettings(cell=cell, hidden_size=6, num_layers=2, embedding_size=size)
            write(folder, f"{cell}_{kind}", settings, characters)
    settings = ModelSettings(cell="lstm", hidden_size=5, num_layers=1, embedding_size=2)
    write(folder, "lstm_bytes", settings, Vocabulary.bytes())


def write(folder: Path, name: str, settings: ModelSettings, vocabulary: Vocabulary) -> None:
    """One model, and what is expected of it."""
    model, texts = next(
        (model, texts)
        for model in (lively(settings, vocabulary, seed) for seed in count())
        if rounding(model) < TOLERANCE / 2
        and all(texts := [text(model, sampling) for sampling in SAMPLINGS])
        and len(set(texts[0]["ids"])) >= DISTINCT
    )
    model.save(folder / f"{name}.safetensors")
    expected = {
        "model": f"{name}.safetensors",
        "tolerance": TOLERANCE,
        "vocabulary_size": vocabulary.size,
        "passages": passages(model),
        "texts": texts,
    }
    (folder / f"{name}.json").write_text(as_json(expected), encoding="utf-8")


def lively(settings: ModelSettings, vocabulary: Vocabulary, seed: int) -> Model:
    """A model whose weights and biases are all large enough to matter."""
    random = np.random.default_rng(seed)
    weights = {
        name: (np.rint(1536 * random.normal(size=shape)) / 1024).astype(np.float32)
        for name, shape in weight_shapes(settings, vocabulary.size).items()
    }
    if vocabulary.kind == "bytes":  # texts of one byte a character, that can be printed
        weights["head.bias"][:32] = weights["head.bias"][127:] = -16
    return Model(settings, vocabulary, weights)


def rounding(model: Model) -> float:
    """How far float32 is from float64, in any number of the passages."""
    exact, single = (passages(model, dtype) for dtype in (np.float64, np.float32))
    return max(
        float(np.abs(np.subtract(one[name], other[name])).max())
        for one, other in zip(exact, single, strict=True)
        for name in one
    )


def passages(model: Model, dtype: Any = np.float64) -> list[dict[str, Any]]:
    """Two passages of ids, read one after the other: logits, and the state after each."""
    engine, found = reference(model, dtype), []
    state, random = engine.zero_state(1), np.random.default_rng(0)
    for length in (7, 3):
        ids = random.integers(0, model.vocabulary.size, length).astype(np.int32)
        ids[1] = model.vocabulary.size - 1  # the unknown
        logits, state = engine.logits(ids[:, None], state)
        arrays = {"logits": logits, "hidden": state.hidden, "cell": state.cell}
        rounded = {name: np.round(values, 7).tolist() for name, values in arrays.items()}
        alone = {name: [row[0] for row in rows] for name, rows in rounded.items()}  # B is 1
        found.append({"ids": ids.tolist(), **alone})
    return found


def text(model: Model, options: dict[str, Any], prompt: str = "the ") -> dict[str, Any] | None:
    """A text that follows a prompt; None where rounding would decide for each of ten seeds."""
    for seed in range(10):
        sampling = SamplingSettings(**options, seed=seed)
        stream_seed = stream_seeds(seed, 1)
        drawn = generated(model, sampling, stream_seed, prompt)
        if drawn is not None:
            return {
                "prompt": prompt,
                "prompt_ids": model.vocabulary.encode(prompt).tolist(),
                **sampling.model_dump(),
                "stream_seed": str(stream_seed[0]),
                "ids": drawn,
                "text": model.vocabulary.decode(drawn),
            }
    return None


def generated(
    model: Model, sampling: SamplingSettings, stream_seed: np.ndarray, prompt: str
) -> list[int] | None:
    """The ids that follow a prompt; None where a little noise would draw others."""
    engine, vocabulary = reference(model), model.vocabulary
    forbidden = () if vocabulary.unknown_id is None else (vocabulary.unknown_id,)
    random, drawn = np.random.default_rng(0), []
    streams = 32  # side by side, each with noise of its own
    ids = np.repeat(vocabulary.encode(prompt).astype(np.int32)[:, None], streams, axis=1)
    logits, state = engine.logits(ids, engine.zero_state(streams))
    for position in range(LENGTH):
        noise = random.normal(scale=NOISE["logits"], size=logits[-1].shape)
        u = np.repeat(uniform(stream_seed, position), streams)
        choices = draw(logits[-1] + noise, sampling, u, forbidden)
        if (choices != choices[0]).any():
            return None
        drawn.append(int(choices[0]))
        hidden, cell = (
            part * (1 + random.normal(scale=NOISE["state"], size=part.shape))
            for part in (state.hidden, state.cell)
        )
        logits, state = engine.logits(choices[None], State(hidden=hidden, cell=cell))
    return drawn


def reference(model: Model, dtype: Any = np.float64) -> ReferenceEngine:
    """The definition, in float64 unless told otherwise."""
    return ReferenceEngine(model.settings, model.vocabulary.size, model.weights, dtype=dtype)


def as_json(content: dict[str, Any]) -> str:
    """JSON with each innermost array in a line."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}\"]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


if __name__ == "__main__":
    main()
