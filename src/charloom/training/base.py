"""A base: another model, whose weights a run starts from in place of first values.

Its vocabulary grows by the characters that the run's text adds:

    what reads or predicts a known character, and all else   as it is, to the last bit
    what reads a new character                               what reads the unknown
    what predicts a new character                            what predicts the unknown; the
                                                             unknown's probability is shared
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.weights import Weights
from ..errors import SettingsError
from ..model.bases import find
from ..model.model import Model
from ..model.scoring import evaluate
from ..model.storage.provenance import BaseFacts
from ..settings import AUTOMATIC, ModelSettings, Settings, TextSettings, TrainingSettings
from ..text.corpus import Corpus, InMemory, build_corpus
from ..text.reading import Sources, beginning, read
from ..text.sharded import is_prepared
from ..text.vocabulary import Vocabulary
from .folder import digest_of

LONGEST = 200_000
"""Characters of a text that starts from the English base where nothing else is asked for: so far
it was measured, and better by 0.14 bits with a fifth of the work (docs/measurements.md)."""

MOST_BITS = 3.6
"""Bits a character of such a text by the base. English prose has 1.7 to 3.3, and gains
much even there; an English page with markup and code has 4.2 and gains nothing; other
languages have 4.2 and more."""

_SAMPLE = 2**14


@dataclass(frozen=True, kw_only=True)
class Base:
    """A model to start from, and what the record of a run says of it."""

    model: Model
    facts: BaseFacts

    @classmethod
    def open(cls, given: str | Path | Model) -> Base:
        """The base that a file, a run's folder, a name such as "english" or a Model gives."""
        if isinstance(given, Model):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.safetensors"
                given.save(path)
                return cls(model=given, facts=BaseFacts(name="a Model", sha256=digest_of(path)))
        path = find(given)
        model = Model.load(path)
        name = Path(given).name[:200] or "."
        return cls(model=model, facts=BaseFacts(name=name, sha256=digest_of(path)))

    def text_settings(self, given: TextSettings) -> TextSettings:
        """How the text is read: as that of the base, where nothing else was given."""
        own = {
            "vocabulary": self.model.vocabulary.kind,
            "normalization": self.model.text_settings.normalization,
        }
        self._refuse_another(given, {"vocabulary": own["vocabulary"]})
        if _is_given(given, "normalization"):
            del own["normalization"]
        return given.replace(**own)

    def model_settings(self, given: ModelSettings) -> ModelSettings:
        """The shape of the base; SettingsError if another one was given."""
        own = self.model.settings.model_dump()
        self._refuse_another(given, own)
        return ModelSettings(**own)

    def _refuse_another(self, given: Settings, own: dict[str, Any]) -> None:
        for name, value in own.items():
            if _is_given(given, name) and getattr(given, name) != value:
                raise SettingsError(
                    f"{name}: {getattr(given, name)} was given, but {self.facts.name}, which the "
                    f"run starts from, has {value}; leave it out"
                )

    def check(self, training: TrainingSettings) -> None:
        """SettingsError for members: the base is one network."""
        if training.members > 1:
            raise SettingsError(
                f"members: {training.members} were given, but {self.facts.name}, which the run "
                "starts from, is one network; leave it out, or start from nothing"
            )

    def weights(self, vocabulary: Vocabulary) -> Weights:
        """The weights for its vocabulary, or for one that has grown out of it."""
        return grown(self.model.weights, self.model.vocabulary, vocabulary)


def suggested(
    corpus: Corpus, text: TextSettings, model: ModelSettings, training: TrainingSettings
) -> Base | None:
    """The English base for a short text that it predicts well, unless a network was described.

    What was measured is in docs/measurements.md, "A base to start from".
    """
    described = any(_is_given(model, name) for name in ModelSettings.model_fields)
    described |= _is_given(training, "first_values") or training.batches == "windows"
    described |= _is_given(training, "members") and training.members > 1
    described |= text.vocabulary != "characters" or not text.unknown
    if described or len(corpus.ids) > LONGEST or corpus.unknown_count:
        return None
    base = Base.open("english")
    sample = corpus.vocabulary.decode(corpus.ids[:_SAMPLE])
    score = evaluate(base.model.predictor, base.model.vocabulary.encode(sample))
    return base if score.bits_per_character <= MOST_BITS else None


def base_of(
    sources: Sources,
    text: TextSettings,
    model: ModelSettings,
    training: TrainingSettings,
    start_from: str | Path | Model | None = "auto",
) -> Base | None:
    """The base that `train` would start from with these; a long text is not read to its end."""
    if start_from is None:
        return None
    if start_from != "auto":
        base = Base.open(start_from)
        base.text_settings(text), base.model_settings(model)  # refuse others
        base.check(training)
        return base
    if is_prepared(sources):
        return None
    short = beginning(read(sources, text), LONGEST + 1)
    if len(short) > LONGEST:
        return None
    return suggested(build_corpus(InMemory(short), text), text, model, training)


def grown(weights: Weights, before: Vocabulary, after: Vocabulary) -> Weights:
    """The weights of one vocabulary for another that has all its characters, and perhaps more.

    SettingsError where there are more and no unknown, from which a new one could start.
    """
    if after == before:
        return dict(weights)
    if before.unknown_id is None:
        new = "".join(c for c in after.characters if c not in before.mapping)
        raise SettingsError(
            f"start_from: the text has characters that this model does not know ({new[:20]!r}), "
            "and it has no unknown that they could start from; start from a model that was "
            "trained with `unknown=True`",
            "unknown",
        )
    places = [before.mapping.get(c, before.unknown_id) for c in after.characters]
    rows = np.array([*places, before.unknown_id])
    made = {}
    for name, values in weights.items():
        by_character = name.startswith(("embedding.", "head."))
        if name.endswith("weight_ih_l0") and "embedding.weight" not in weights:
            made[name] = values[:, rows]  # one-hot input: a column for each character
        else:
            made[name] = values[rows] if by_character else values
    shared = rows == before.unknown_id
    made["head.bias"][shared] -= np.float32(math.log(shared.sum()))
    return made


def _is_given(settings: Settings, name: str) -> bool:
    """Whether a setting was chosen; one that only repeats its default was not, if it has one."""
    field = type(settings).model_fields[name]
    automatic = field.json_schema_extra == AUTOMATIC
    default = not automatic and getattr(settings, name) == field.default
    return name in settings.model_fields_set and not default
