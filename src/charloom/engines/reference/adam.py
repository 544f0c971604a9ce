"""How the gradient moves the weights: Adam, clipping, and the learning rate over a run.

Adam is Keras's: both corrections of the bias are folded into the learning rate, and
epsilon is added to the uncorrected square root (Kingma and Ba, 2015, end of section 2).
"""

from __future__ import annotations

import math

import numpy as np

from ..base import OptimizerState, StepSettings
from ..weights import Weights


class Adam:
    """Adam with its memory: changes weights in place.

    >>> weights = {"w": np.array([1.0, 1.0])}
    >>> adam = Adam(weights)
    >>> adam.step(weights, {"w": np.array([100.0, -0.01])}, StepSettings(learning_rate=0.1))
    >>> weights["w"].round(3)                  # the first step is the learning rate long
    array([0.9, 1.1])
    """

    def __init__(self, weights: Weights) -> None:
        self.steps = 0
        self.mean = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self.mean_square = {name: np.zeros_like(weight) for name, weight in weights.items()}

    def step(self, weights: Weights, gradients: Weights, settings: StepSettings) -> None:
        """Move every weight w against its gradient g.

        m += (1 - beta1) (g - m)        the running mean
        v += (1 - beta2) (g^2 - v)      the running mean square
        w -= alpha m / (sqrt(v) + epsilon)
        """
        self.steps += 1
        beta1, beta2 = settings.beta1, settings.beta2
        correction = math.sqrt(1 - beta2**self.steps) / (1 - beta1**self.steps)
        alpha = settings.learning_rate * correction
        for name, w in weights.items():
            g, m, v = gradients[name], self.mean[name], self.mean_square[name]
            m += (g - m) * (1 - beta1)
            v += (g * g - v) * (1 - beta2)
            w -= alpha * m / (np.sqrt(v) + settings.epsilon)

    def state(self) -> OptimizerState:
        """A copy of the memory."""
        return OptimizerState(
            steps=self.steps,
            mean={name: m.copy() for name, m in self.mean.items()},
            mean_square={name: v.copy() for name, v in self.mean_square.items()},
        )

    def load(self, state: OptimizerState) -> None:
        """Take over a copy of `state`, in the type of the weights."""
        self.steps = state.steps
        for name in self.mean:
            self.mean[name][...] = state.mean[name]
            self.mean_square[name][...] = state.mean_square[name]


def global_norm(gradients: Weights) -> float:
    """The length of all gradients taken as one vector, added up in float64.

    >>> global_norm({"a": np.array([3.0]), "b": np.array([[4.0]])})
    5.0
    """
    squares = (np.square(g, dtype=np.float64).sum() for g in gradients.values())
    return math.sqrt(sum(map(float, squares)))


def clip_by_global_norm(gradients: Weights, limit: float) -> float:
    """Scale all gradients in place to a norm of at most `limit`; the norm before that.

    A limit of 0 does not clip.

    >>> gradients = {"a": np.array([3.0]), "b": np.array([4.0])}
    >>> clip_by_global_norm(gradients, 1.0), gradients["a"].round(12)
    (5.0, array([0.6]))
    """
    norm = global_norm(gradients)
    if limit and norm > limit:
        for gradient in gradients.values():
            gradient *= limit / norm
    return norm
