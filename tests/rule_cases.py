"""Rules of the kinds that people write, and models, for tests and the longer campaign."""

import json
import re
from collections.abc import Callable
from functools import cache

from jsonschema import Draft202012Validator
from models import fox_model

from charloom import Model, TrainingSettings, Vocabulary
from charloom.model.storage.provenance import Provenance

ASCII = "".join(map(chr, range(32, 127))) + "\n"
KINDS = ("characters", "bytes", "lines")


@cache
def rule_model(kind: str = "characters", characters: str = ASCII + "éß€") -> Model:
    """Random weights; of characters, of bytes, or of lines."""
    bytes_alone = kind == "bytes"
    vocabulary = Vocabulary.bytes() if bytes_alone else Vocabulary.of(characters, unknown=True)
    model = fox_model(vocabulary)
    if kind == "lines":
        provenance = Provenance(training=TrainingSettings(batches="lines"))
        model = Model(model.settings, vocabulary, model.weights, provenance)
        assert model.lines
    return model


PATTERNS = [
    r"\d{3}",
    r"[a-z]+",
    r"(yes|no|perhaps)",
    r"[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8})?",
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?",
    r"[a-z0-9._]+@[a-z0-9]+(\.[a-z]{2,3})+",
    r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)",
    r"#[0-9a-fA-F]{6}",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?",
    r'"([^"\\\n]|\\["\\n])*"',
    r"\[(\d+(, \d+)*)?\]",
    r"[^,\n]{1,10}(,[^,\n]{1,10}){2}",
    r"(?i)the (fox|crow)( and the (fox|crow))*",
    r"(a|b)*abb",
    r"(ab|ba)*",
    r"(ha){1,7}!?",
    r".{0,20}[.!?]",
    r"[a-zé]+(€|ß)\d",
]


def _balances(text: str) -> bool:
    while text != (text := text.replace("()", "")):
        pass
    return not text


def _is_sum(text: str) -> bool:
    return bool(re.fullmatch(r"[1-9+()]+", text)) and isinstance(eval(text), int)


GRAMMARS: list[tuple[str, Callable[[str], object]]] = [
    ('start: sum\nsum: item ("+" item)*\nitem: /[1-9]/ | "(" sum ")"', _is_sum),
    ('start: "a" start "b" | "-"', lambda t: re.fullmatch("a*-b*", t) and len(t) % 2),
    (
        'start: tag+\ntag: "<b>" tag* "</b>" | "<i/>" | /[a-z ]+/',
        lambda t: (
            t and _balances(re.sub(r"<i/>|[a-z ]", "", t.replace("<b>", "(").replace("</b>", ")")))
        ),
    ),
]
"""With what says whether a text is of it."""


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


_SHORT = {"type": "string", "maxLength": 6}
SCHEMAS: list[dict[str, object]] = [
    {"type": "integer", "minimum": -20, "maximum": 300},
    {"enum": ["fox", "crow", 3, None, [1, "two"]]},
    {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 4},
    {"type": "string", "pattern": "^[A-Z][a-z]{1,5}(-[0-9]+)?$"},
    _object(name=_SHORT, age={"type": "integer", "minimum": 0}, left={"type": "boolean"}),
    {
        "anyOf": [
            _object(x={"type": "number"}),
            {"type": "array", "items": _SHORT},
            {"type": "null"},
        ]
    },
    {
        "$defs": {"tree": {"anyOf": [_object(of={"$ref": "#/$defs/tree"}), {"type": "integer"}]}},
        "$ref": "#/$defs/tree",
    },
    _object(host={"type": "string", "format": "ipv4"}, tags={"type": "array", "items": _SHORT}),
]


def fits_schema(schema: dict[str, object], text: str) -> bool:
    """Whether it is JSON that fits, by another program than the one that writes it."""
    formats = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema, format_checker=formats).is_valid(json.loads(text))
