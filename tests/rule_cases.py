"""Twenty patterns of the kinds that people write, and models, for tests and the longer campaign."""

from functools import cache

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
