"""A model writes, and shows its gates while it does.

What is written is what `Model.generate` writes; every character is traced as it comes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from threading import Lock
from typing import Any

import numpy as np

from ..engines.base import State
from ..engines.cell import CELLS
from ..engines.loss import log_softmax
from ..engines.weights import Array
from ..model.generation import generate
from ..model.model import Model
from ..settings import SamplingSettings


def write(
    model: Model,
    prompt: str,
    *,
    length: int,
    sampling: SamplingSettings,
    layer: int,
    lock: Lock,
    stream: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield {"character", "nats", "gates"} for each character that follows the prompt.

    `nats` is its surprisal by the model's own distribution, whatever the sampling, and null
    where nothing was predicted. `gates` is base64 of bytes, (gates, H): the gates of the
    cell while it was read, 0 to 255 for 0 to 1; empty for a plain RNN. `stream` is the number of
    the text among those that `Model.generate_many` draws with the seed.
    """
    gates = CELLS[model.settings.cell].fractions
    prompt = model.normalized(prompt, "prompt")
    with lock:
        shares, state = _read(model, prompt)
    pieces = generate(model.predictor, prompt, length=length, sampling=sampling, first=stream)
    while True:
        with lock:
            piece = next(pieces, None)
        if piece is None:
            return
        for character in piece:
            ids = model.vocabulary.encode(character).astype(np.int32)
            with lock:
                trace = model.engine.trace(ids[:, None], state)
            after = _log_probabilities(trace.logits)
            rows = [shares, *after[:-1]]
            known = [-row[i] for row, i in zip(rows, ids, strict=True) if row is not None]
            yield {
                "character": character,
                "nats": float(sum(known)) if len(known) == len(ids) else None,
                "gates": _bytes([trace.quantities[name][layer, -1, 0] for name in gates]),
            }
            shares, state = after[-1], trace.state


def _read(model: Model, prompt: str) -> tuple[Array | None, State]:
    """What the model expects after a prompt, and its state."""
    ids = model.predictor.context(prompt)
    if not len(ids):
        return None, model.engine.zero_state(1)
    logits, state = model.engine.logits(ids[-1:, None], model.predictor.read(ids[:-1]))
    return _log_probabilities(logits)[-1], state


def _log_probabilities(logits: Array) -> Array:
    """(T, V) float64 of logits (T, 1, V)."""
    return log_softmax(logits[:, 0].astype(np.float64))


def _bytes(gates: list[Array]) -> str:
    scaled = np.rint(np.concatenate([[], *gates]) * 255).astype(np.uint8)
    return base64.b64encode(scaled.tobytes()).decode("ascii")
