"""Settings of the inspections: recall, context and units."""

from __future__ import annotations

import math

from pydantic import ConfigDict, Field

from ..settings import LARGEST, MOST_STEPS, Settings

FEWEST = 200
"""Characters in which a claim about a unit can be searched and tested."""


class RecallSettings(Settings):
    """The size of the recall experiment."""

    hidden_size: int = Field(default=32, ge=1, le=4096, description="units of the LSTM")
    distance: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="most letters in between, in training",
    )
    steps: int = Field(
        default=1500, ge=1, le=MOST_STEPS, description="optimizer steps of each network"
    )
    seeds: int = Field(
        default=3, ge=1, le=100, description="so many networks of each kind, from that seed on"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of weights and texts")

    @property
    def distances(self) -> list[int]:
        """Where recall is measured: 1, 2, 4, ... up to twice the distance of training."""
        return [2**n for n in range(int(math.log2(2 * self.distance)) + 1)]


class ContextSettings(Settings):
    """How many places of a text are predicted, and how far before them to look."""

    characters: int = Field(
        default=50_000,
        ge=100,
        le=LARGEST,
        description="read only this many from the start of the text",
    )
    places: int = Field(
        default=512, ge=1, le=LARGEST, description="places of the text that are predicted"
    )
    distance: int = Field(
        default=256, ge=1, le=2**16, description="the longest context, and the furthest change"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of the replaced characters")


class UnitsSettings(Settings):
    """How units are searched for, and which claims about them are kept."""

    model_config = ConfigDict(allow_inf_nan=False)

    characters: int = Field(
        default=20_000,
        ge=FEWEST,
        le=LARGEST,
        description="read only this many from the start of the text",
    )
    alpha: float = Field(
        default=0.05, ge=1e-5, lt=0.5, description="probability of any claim where nothing is true"
    )
    least: float = Field(
        default=0.5, ge=0, lt=1, description="smallest correlation that is worth a claim"
    )
    shuffles: int = Field(
        default=200, ge=20, le=10**6, description="searches on shuffled labels, for each"
    )
    untrained: int = Field(
        default=12, ge=3, le=1000, description="untrained networks that a claim is compared with"
    )
    letter_shuffled: int = Field(
        default=12, ge=3, le=1000, description="and networks trained on shuffled letters"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of shuffles and controls")
