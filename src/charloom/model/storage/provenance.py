"""Provenance: how a model came about, as far as that is known.

It is the `record` of a model file (docs/file-format.md). Every field may be missing, since
a model can be made without a run. Three are used again: `text`, because other texts are read
as the model's own was, `training`, because a model of lines reads every line by itself, and
`calibration`, by which the odd ones among other lines are found.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue

from ...settings import Settings, TextSettings, TrainingSettings
from ..oddity.calibration import Calibration
from ..scoring import Score

Count = Annotated[int, Field(ge=0, lt=2**63)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal."""


def _fields(stored: Any) -> Any:
    """The fields of a Score, without the figures that follow from them."""
    return {n: stored[n] for n in _SCORE if n in stored} if isinstance(stored, dict) else stored


def _countable(score: Score) -> Score:
    counts = (score.characters, score.utf8_bytes, score.unknown_characters)
    if not all(0 <= count < 2**63 for count in counts) or not score.nats >= 0:
        raise ValueError(f"a measurement has counts and nats of at least 0, not {score}")
    return score


_SCORE = [field.name for field in fields(Score)]

Measured = Annotated[Score, BeforeValidator(_fields), AfterValidator(_countable)]
"""A Score as `Score.to_json` stored it."""


class CorpusFacts(Settings):
    """What is known of a text besides its ids and vocabulary (see `Corpus`)."""

    characters: Count
    utf8_bytes: Count
    sha256: Digest
    unknown_count: Count


class PartFacts(Settings):
    """A stretch of a text: where in its ids it starts and stops, and the hash of its text."""

    start: Count
    stop: Count
    sha256: Digest


class SplitFacts(Settings):
    """What was trained on, and what was held out."""

    training: PartFacts
    validation: PartFacts


class BaseFacts(Settings):
    """The model that a run started from."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """As it was given, without its folder."""
    sha256: Digest
    """Of its file, or of what saving it would write."""


class Provenance(Settings):
    """Where a model comes from: its text, its training, its measurements.

    A key that is not listed here is kept, if it is JSON: others may add to a file what they
    know of a model, and loading and saving it must not lose that.

    >>> Provenance(step=7, note="the fox").to_json()
    {'step': 7, 'note': 'the fox'}
    >>> Provenance(step=-1)
    Traceback (most recent call last):
        ...
    charloom.errors.SettingsError: step: -1 was given; it must be at least 0
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    step: Count | None = Field(default=None, description="optimizer steps behind these weights")
    steps: Count | None = Field(default=None, description="steps of the whole run, as planned")
    validation: Measured | None = Field(default=None, description="of these weights")
    precision: str | None = Field(default=None, description="of the products of training")
    kernels: str | None = Field(default=None, description="what computed them")
    text: TextSettings = Field(default=TextSettings(), description="how the text was read")
    training: TrainingSettings | None = Field(default=None, description="how it was trained")
    corpus: CorpusFacts | None = Field(default=None, description="the text")
    split: SplitFacts | None = Field(default=None, description="which part was trained on")
    base: BaseFacts | None = Field(default=None, description="the model that it started from")
    calibration: Calibration | None = Field(
        default=None, description="how strange the lines are that were held out"
    )

    @property
    def lines(self) -> bool:
        """Whether it was trained on lines, each a text of its own."""
        return self.training is not None and self.training.batches == "lines"

    @property
    def seed(self) -> int:
        """The seed of the run; without one, 0."""
        return self.training.seed if self.training else 0

    def to_json(self) -> dict[str, Any]:
        """What was given, as plain JSON; what was left out stays out."""
        given = self.model_fields_set | set(self.__pydantic_extra__)
        stored = {name: value for name, value in self.model_dump().items() if name in given}
        if self.validation is not None:
            stored["validation"] = self.validation.to_json()
        return stored
