"""Clipping and Adam on a device, in the form of `engines.reference.adam`.

PyTorch's fused Adam is used with its corrections of the bias switched off, by a step count
for which they are 1: then epsilon is added to the uncorrected square root, as ours is, and
the correction is part of a learning rate that is computed here. The count of steps is on the
device, since only the device knows whether a step was finite and so taken.
"""

from __future__ import annotations

import math

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]
from torch.optim.adam import adam  # pyright: ignore[reportMissingImports]

from ..base import OptimizerState, StepSettings

_FOREVER = 1e30  # steps after which beta ** steps is 0


class Adam:
    """Adam with its memory, as tensors beside the weights; changes weights in place."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        device = next(iter(weights.values())).device
        self.steps = torch.zeros((), dtype=torch.int64, device=device)
        self.mean = {name: torch.zeros_like(w.detach()) for name, w in weights.items()}
        self.mean_square = {name: torch.zeros_like(w.detach()) for name, w in weights.items()}
        self._counts = [torch.tensor(_FOREVER, device=device) for _ in weights]

    def load(self, state: OptimizerState | None) -> None:
        """Take over a copy of `state`, or zeros, in the same tensors as before."""
        self.steps.fill_(state.steps if state else 0)
        for name in self.mean:
            for own, given in (
                (self.mean, state and state.mean),
                (self.mean_square, state and state.mean_square),
            ):
                if given:
                    own[name].copy_(torch.from_numpy(np.array(given[name], np.float32)))
                else:
                    own[name].zero_()

    def step(
        self,
        weights: dict[str, Tensor],
        gradients: list[Tensor],
        learning_rate: Tensor,
        scale: Tensor,
        skip: Tensor,
        settings: StepSettings,
    ) -> None:
        """Move every weight against its gradient divided by `scale`, unless `skip` is 1.

        `learning_rate`, `scale` and `skip` are single float32 numbers on the device.
        """
        n = (self.steps + 1).float()
        alpha = learning_rate * _correction(settings.beta2, n).sqrt()
        alpha = alpha / _correction(settings.beta1, n)
        adam(
            list(weights.values()),
            gradients,
            list(self.mean.values()),
            list(self.mean_square.values()),
            [],
            self._counts,
            fused=True,
            capturable=True,
            grad_scale=scale,
            found_inf=skip,
            amsgrad=False,
            beta1=settings.beta1,
            beta2=settings.beta2,
            lr=alpha,
            weight_decay=0.0,
            eps=settings.epsilon,
            maximize=False,
        )
        self.steps += (1 - skip).long()


def _correction(beta: float, n: Tensor) -> Tensor:
    """1 - beta^n, exact in float32 also for a beta near 1."""
    return -torch.expm1(n * math.log(beta)) if beta else torch.ones_like(n)
