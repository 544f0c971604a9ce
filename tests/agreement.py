"""What agreement with PyTorch and with Keras means.

`found` is what `golden/make_golden.py` computed with them, just now or once and for all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.testing import assert_allclose

from charloom.engines.base import Engine, State, StepSettings
from charloom.engines.cell import CELLS
from charloom.engines.reference.engine import ReferenceEngine
from charloom.engines.weights import Weights, folded_bias, weight_shapes
from charloom.settings import ModelSettings
from charloom.text.batches import NOT_COUNTED

Found = dict[str, np.ndarray]
OpenEngine = Callable[[ModelSettings, int, Weights], Engine]


def reference64(settings: ModelSettings, vocabulary_size: int, weights: Weights) -> Engine:
    """The reference engine in float64."""
    return ReferenceEngine(settings, vocabulary_size, weights, dtype=np.float64)


def weights_from_torch(found: Found) -> Weights:
    """PyTorch's weights under our names: its two biases are added up where they can be."""
    settings = settings_from_torch(found)
    weights = {}
    for name in weight_shapes(settings, len(found["head.bias"])):
        if ".bias_l" in name:
            both = (found[name.replace("bias", f"bias_{of}")] for of in ("ih", "hh"))
            weights[name] = folded_bias(settings, *(bias.astype(np.float64) for bias in both))
        else:
            weights[name] = found[name]
    return weights


def settings_from_torch(found: Found) -> ModelSettings:
    """The settings that a PyTorch network's weights have."""
    embedding = found.get("embedding.weight")
    return ModelSettings(
        cell=next(cell for cell in CELLS if f"{cell}.weight_hh_l0" in found),
        hidden_size=found["head.weight"].shape[1],
        num_layers=sum("bias_ih" in name for name in found if not name.startswith("gradient")),
        embedding_size=0 if embedding is None else embedding.shape[1],
    )


def check_against_torch(
    found: Found, open_engine: OpenEngine, *, rtol: float = 1e-12, atol: float = 1e-13
) -> None:
    """Logits, states, the loss and the gradient of every weight."""
    weights = weights_from_torch(found)
    engine = open_engine(settings_from_torch(found), len(found["head.bias"]), weights)
    before = State(hidden=found["hidden"], cell=found["cell"])
    inputs, targets = found["inputs"], found["targets"]

    logits, after = engine.logits(inputs, before)
    assert_allclose(logits, found["logits"], rtol, atol)
    assert_allclose(after.hidden, found["next.hidden"], rtol, atol)
    assert_allclose(after.cell, found["next.cell"], rtol, atol)

    # With beta1 = 0 Adam's mean after one step is the gradient itself.
    step = engine.train_step(inputs, targets, before, StepSettings(learning_rate=1e-3, beta1=0.0))
    assert_allclose(step.nats / step.characters, found["loss"], rtol, atol)
    gradients = engine.optimizer_state().mean
    assert gradients.keys() == weights.keys()
    for name, gradient in gradients.items():
        theirs = gradient_of(found, name)
        assert_allclose(gradient, theirs, rtol, atol, err_msg=name)


def gradient_of(found: Found, name: str) -> np.ndarray:
    """PyTorch's gradient by one of our weights."""
    if ".bias_l" not in name:
        return found[f"gradient.{name}"]
    # The slope in the sum of two biases is the slope in each of them.
    of_input, of_state = (
        found["gradient." + name.replace("bias", f"bias_{of}")] for of in ("ih", "hh")
    )
    cell = CELLS[name.partition(".")[0]]
    apart = len(cell.apart) * len(of_state) // len(cell.gates)
    return np.concatenate([of_input, of_state[len(of_state) - apart :]])


def weights_from_keras(found: Found) -> Weights:
    """The blog's network: Keras's kernels stand the other way round, i f c o is i f g o."""
    return {
        "lstm.weight_ih_l0": found["kernel"].T,
        "lstm.weight_hh_l0": found["recurrent_kernel"].T,
        "lstm.bias_l0": found["bias"],
        "head.weight": found["dense_kernel"].T,
        "head.bias": found["dense_bias"],
    }


def losses_after_keras(
    found: Found, open_engine: OpenEngine, steps: int | None = None
) -> np.ndarray:
    """The loss of the first steps, from Keras's first weights, in Keras's order of windows."""
    settings = ModelSettings(hidden_size=75, num_layers=1)
    engine = open_engine(settings, 27, weights_from_keras(found))
    losses = []
    for epoch in found["order"]:
        for start in range(0, len(epoch), 32):
            windows = found["windows"][epoch[start : start + 32]].T.astype(np.int32)
            inputs, targets = windows[:-1], np.full_like(windows[1:], NOT_COUNTED)
            targets[-1] = windows[-1]  # many to one: only the last character is asked for
            step = engine.train_step(
                inputs,
                targets,
                State.zeros(settings, len(windows.T)),
                StepSettings(learning_rate=1e-3),
            )
            losses.append(step.nats / step.characters)
            if len(losses) == steps:
                return np.array(losses)
    return np.array(losses)
