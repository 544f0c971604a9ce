"""Texts that a check accepts; those that it refuses are drawn again, a bounded number of times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..settings import AmountSettings, SamplingSettings, check_within
from .generation import generate_many
from .predictor import Predictor

_TOGETHER = 64  # texts that are drawn side by side


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check accepted, and of how many texts."""

    texts: list[str]
    drawn: int
    """How many the check has seen."""

    @property
    def rate(self) -> float:
        """The share that was accepted."""
        return len(self.texts) / self.drawn if self.drawn else 0.0


def generate_checked(
    predictor: Predictor,
    prompt: str,
    check: Callable[[str], bool],
    *,
    count: int,
    tries: int,
    sampling: SamplingSettings,
    **options: Any,
) -> Checked:
    """The first `count` of the texts of `generate_many` that a check accepts.

    At most `count` times `tries` are drawn, so there may be fewer. The check is called with each
    text in its order. `options` are those of `generate_many`.
    """
    AmountSettings(count=count)
    check_within("tries", tries, 1, 10**9)
    accepted: list[str] = []
    drawn = 0
    while len(accepted) < count and drawn < count * tries:
        seldom = (drawn + 1) / (len(accepted) + 1)  # texts for one that is accepted, so far
        size = min(round((count - len(accepted)) * seldom), _TOGETHER, count * tries - drawn)
        texts = generate_many(
            predictor, prompt, count=size, first=drawn, sampling=sampling, **options
        )
        for text in texts:
            drawn += 1
            if check(text):
                accepted.append(text)
            if len(accepted) == count:
                break
    return Checked(texts=accepted, drawn=drawn)
