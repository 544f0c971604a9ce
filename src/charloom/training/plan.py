"""The plan of a run: what is decided before its first step, and never changed.

It is the content of run.json, and with the files of ids all that a checkpoint does not hold.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer

from ..model.storage.provenance import BaseFacts, CorpusFacts, Digest, SplitFacts
from ..settings import ModelSettings, Settings, TextSettings, TrainingSettings
from ..text.vocabulary import Vocabulary

FORMAT = 2
"""Of run.json; raised where an older charloom would misread it. Only a run that starts from a
base needs 2."""


def _vocabulary(stored: Any) -> Vocabulary:
    return stored if isinstance(stored, Vocabulary) else Vocabulary.from_json(stored)


class IdsFile(Settings):
    """A file of ids in the folder of a run, and the digest of its bytes."""

    name: Annotated[str, Field(pattern=r"^(text|validation)(\.[0-9a-f]{8})?\.ids$")]
    sha256: Digest


class BaseFile(Settings):
    """A model file in the folder of a run: the weights that it starts with, from a base."""

    name: Annotated[str, Field(pattern=r"^base(\.[0-9a-f]{8})?\.safetensors$")]
    sha256: Digest


class PreparedFile(Settings):
    """A corpus that `prepare` has made, outside of the folder of a run, and its digest."""

    path: str
    sha256: Digest


class Plan(Settings):
    """What a run is."""

    format: Literal[1, 2] = 1
    text: TextSettings
    model: ModelSettings
    training: TrainingSettings
    vocabulary: Annotated[
        InstanceOf[Vocabulary], BeforeValidator(_vocabulary), PlainSerializer(Vocabulary.to_json)
    ]
    corpus: CorpusFacts
    validation: CorpusFacts | None = None
    """The facts of the validation text, if it is a text of its own."""
    split: SplitFacts
    choice: str = ""
    """What was chosen where nothing was given, in a line."""
    steps: int | None = Field(default=None, ge=1, lt=2**63)
    """Steps chosen before the first one, where they were not given."""
    most_steps: int | None = Field(default=None, ge=1, lt=2**63)
    """Of a run of so many minutes: more would not make it better."""
    ids: IdsFile | None = None
    """None where they are in memory."""
    validation_ids: IdsFile | None = None
    prepared: PreparedFile | None = None
    """In place of `ids`, where the text was prepared."""
    base: BaseFacts | None = None
    """The model whose weights it starts from, where that is not from first values."""
    base_file: BaseFile | None = None
    """Those weights, if the run has a folder."""
