"""What each verb says of a text, as rows of a table: their columns, and how they are computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ...settings import SamplingSettings, TextSettings
from ...text.copies import CopyIndex
from ...text.normalizing import Normalized
from ...text.reading import lasting_sources, read
from ..generation import writers_of
from ..model import Model
from ..rules.given import GIVEN, rule_given
from ..scoring import Score

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb that works on many files."""

    columns: dict[str, type]
    """Of its rows, in their order."""
    rows: Callable[[Model, Normalized, dict[str, Any]], Iterable[Row]]
    """The rows of a text, but for the number of its row; the last argument has the options."""


def _evaluate(model: Model, text: Normalized, options: dict[str, Any]) -> Iterator[Row]:
    score = model.evaluate(text, exact=options["exact"])
    yield {**figures(score), **model.computed_with}


def figures(score: Score) -> Row:
    """A score and what follows from it; None where a text without characters has no figure.

    >>> figures(Score(nats=3.0, characters=2))["nats_per_character"]
    1.5
    >>> figures(Score())["bits_per_character"] is None
    True
    """
    found = score.to_json()
    found |= {"bits_per_byte": score.bits_per_byte, "perplexity": score.perplexity}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in found.items()
    }


def _score(model: Model, text: Normalized, options: dict[str, Any]) -> Iterator[Row]:
    for part in model.score(text, by=options["by"]):
        yield {
            "start": part.start,
            "text": part.text,
            "bits": part.bits,
            "nats": part.nats,
            "rank": part.rank,
            "unknown_characters": part.unknown_characters,
        }


def _generate(model: Model, text: Normalized, options: dict[str, Any]) -> Iterator[Row]:
    prompt = "".join(text)
    sampling = {name: options[name] for name in SamplingSettings.model_fields}
    texts = model.generate_many(
        prompt,
        count=options["count"],
        length=options["length"],
        stop=options["stop"],
        rule=rule_given(model, prompt=prompt, **{name: options[name] for name in GIVEN}),
        **sampling,
    )
    for number, generated in enumerate(texts):
        yield {"number": number, "prompt": prompt, "text": generated}


def opened(options: dict[str, Any], reading: TextSettings) -> dict[str, Any]:
    """The options with the training text indexed, once for all inputs of a worker."""
    source = options.get("training_text")
    if source is None:
        return options
    return {**options, "training_text": CopyIndex.of(read(source, reading))}


def check_rule(model: Model, options: dict[str, Any], reading: TextSettings) -> None:
    """SettingsError if `generate` has a rule that no text can fulfil.

    TextError if there is no `training_text`. It is indexed here, which may take long, only beside
    another rule: with `no_copies` alone there is always a text, an empty one if need be.
    """
    given = {name: options[name] for name in GIVEN}
    if given["training_text"] is not None:
        lasting_sources(given["training_text"])
        if all(given[name] is None for name in ("pattern", "json_schema", "grammar")):
            given["training_text"] = CopyIndex.of(["\n"])
    rule = rule_given(model, **given, reading=reading)
    writers_of(model.predictor, 1, options["length"], options["stop"], rule)


VERBS = {
    "evaluate": Verb(
        columns={
            "bits_per_character": float,
            "nats_per_character": float,
            "bits_per_byte": float,
            "perplexity": float,
            "nats": float,
            "characters": int,
            "utf8_bytes": int,
            "unknown_characters": int,
            "precision": str,
            "kernels": str,
        },
        rows=_evaluate,
    ),
    "score": Verb(
        columns={
            "start": int,
            "text": str,
            "bits": float,
            "nats": float,
            "rank": int,
            "unknown_characters": int,
        },
        rows=_score,
    ),
    "generate": Verb(columns={"number": int, "prompt": str, "text": str}, rows=_generate),
}
"""The verbs that work on many files."""
