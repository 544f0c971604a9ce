"""What a file in another format says of the model in it, as JSON, and what is kept of that.

The weights may have been changed since, by a program that left the description as it was. The
digest in it tells, and then what was measured of the old weights is dropped.
"""

from __future__ import annotations

import json
from typing import Any

from ..engines.weights import Weights
from ..errors import ModelFileError
from ..model.model import Model
from ..model.storage.provenance import Provenance
from ..model.storage.sealed import parse_json
from ..text.vocabulary import Vocabulary


def description(model: Model) -> str:
    """Settings, vocabulary, record and digest of a model: equal models, equal JSON."""
    known = model.describe()
    kept = {name: known[name] for name in ("format", "settings", "vocabulary", "record")}
    return json.dumps({**kept, "digest": model.digest}, sort_keys=True)


def described(text: bytes) -> tuple[Vocabulary, dict[str, Any]]:
    """The vocabulary and all else of a description; ModelFileError if it makes no sense."""
    try:
        content = parse_json(text)
        return Vocabulary.from_json(content["vocabulary"]), content
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelFileError("its description of the model cannot be read") from None


def restored(
    settings: Any, vocabulary: Vocabulary, weights: Weights, content: dict[str, Any], source: str
) -> Model:
    """A model with the record of a description, without what is no longer true of it.

    `source` is the name of the file, which the record names.
    """
    model = Model(settings, vocabulary, weights)
    record = content.get("record")
    if not isinstance(record, dict):
        record = {}
    if content.get("digest") != model.digest:
        unchanged = {name: value for name, value in record.items() if name not in _OF_WEIGHTS}
        record = {**unchanged, "imported": source}
    model.provenance = Provenance(**record)
    return model


_OF_WEIGHTS = ("validation", "step", "precision", "kernels")
