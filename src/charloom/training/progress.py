"""What a training step reports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..engines.base import Outcome
from ..model.scoring import Score


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What came of one optimizer step."""

    step: int
    """Steps done, this one included."""
    steps: int
    """Steps of the whole run, as planned now."""
    epoch: float
    """Passes over the text so far."""
    outcome: Outcome
    """Its `nats` and `gradient_norm`, which on a GPU cost a wait when they are read."""
    characters: int
    """Characters that were predicted in this step."""
    learning_rate: float
    seconds: float
    """Time the run has taken so far, what was before a stop included."""
    validation: Score | None = None
    """Surprisal of the held-out text, if this step was followed by a validation."""
    best: bool = False
    """Whether that was the best validation so far."""

    @property
    def nats(self) -> float:
        """Surprisal of the characters of this step, in total, before the update."""
        return self.outcome.nats

    @property
    def gradient_norm(self) -> float:
        """Of the mean loss, before clipping."""
        return self.outcome.gradient_norm

    @property
    def nats_per_character(self) -> float:
        """The loss of this step."""
        return self.nats / max(self.characters, 1)

    @property
    def bits_per_character(self) -> float:
        """The loss of this step in bits."""
        return self.nats_per_character / math.log(2)

    def to_json(self) -> dict[str, Any]:
        """The line of log.jsonl; a validation is in it only if there was one."""
        names = ("step", "steps", "epoch", "nats", "characters", "learning_rate")
        names += ("gradient_norm", "seconds", "bits_per_character")
        entry: dict[str, Any] = {name: getattr(self, name) for name in names}
        if self.validation is not None:
            entry |= {"validation": self.validation.to_json(), "best": self.best}
        return entry
