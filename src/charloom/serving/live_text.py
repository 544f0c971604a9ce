"""A model writes, and shows its gates while it does.

What is written is what `Model.generate` writes; every character is traced as it comes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from threading import Lock
from typing import Any

import numpy as np

from ..engines.base import Array, State
from ..model.model import Model
from ..model.tracing import log_softmax
from ..settings import SamplingSettings
from .activations import GATES

_PROMPT_BLOCK = 512


def write(
    model: Model,
    prompt: str,
    *,
    length: int,
    sampling: SamplingSettings,
    layer: int,
    lock: Lock,
) -> Iterator[dict[str, Any]]:
    """Yield {"character", "nats", "gates"} for each character that follows the prompt.

    `nats` is its surprise by the model's own distribution, whatever the sampling, and null
    where nothing was predicted. `gates` is base64 of bytes, (3, H): the forget, input and
    output gates while it was read, 0 to 255 for 0 to 1; empty for a plain RNN.
    """
    before = "\n" + prompt.rpartition("\n")[2] if model.lines else prompt
    if not before and model.vocabulary.newline_id is not None:
        before = "\n"
    with lock:
        shares, state = _read(model, before)
    pieces = model.generate(prompt, length=length, **sampling.model_dump())
    while True:
        with lock:
            piece = next(pieces, None)
        if piece is None:
            return
        for character in piece:
            ids = model.vocabulary.encode(character).astype(np.int32)
            with lock:
                trace = model.engine.trace(ids[:, None], state)
            rows = [shares, *log_softmax(trace.logits[:-1, 0])]
            known = [-row[i] for row, i in zip(rows, ids, strict=True) if row is not None]
            yield {
                "character": character,
                "nats": float(sum(known)) if len(known) == len(ids) else None,
                "gates": _bytes([getattr(trace, name)[layer, -1, 0] for name in GATES]),
            }
            shares, state = log_softmax(trace.logits[-1, 0]), trace.state


def _read(model: Model, text: str) -> tuple[Array | None, State]:
    """What the model expects after a text, and its state."""
    state, shares = State.zeros(model.settings, 1), None
    ids = model.vocabulary.encode(text).astype(np.int32)[:, None]
    for start in range(0, len(ids), _PROMPT_BLOCK):
        logits, state = model.engine.logits(ids[start : start + _PROMPT_BLOCK], state)
        shares = log_softmax(logits[-1, 0])
    return shares, state


def _bytes(gates: list[Array]) -> str:
    scaled = np.rint(np.concatenate(gates) * 255).astype(np.uint8)
    return base64.b64encode(scaled.tobytes()).decode("ascii")
