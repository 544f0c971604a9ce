"""A rule from plain values, such as a command's flags have, or the file of a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SettingsError
from ...settings import TextSettings
from ...text.copies import CopyIndex
from ...text.reading import read
from .both import Both
from .copies import NoCopies
from .grammar import Grammar, JsonSchema
from .pattern import Pattern
from .rule import Rule

if TYPE_CHECKING:
    from ..model import Model

GIVEN: dict[str, Any] = dict.fromkeys(
    ("pattern", "json_schema", "grammar", "no_copies", "training_text")
)
"""The names of the values, none of them given."""


def rule_given(
    model: Model,
    *,
    pattern: str | None = None,
    json_schema: str | None = None,
    grammar: str | None = None,
    no_copies: int | None = None,
    training_text: str | Path | CopyIndex | None = None,
    prompt: str = "",
    reading: TextSettings | None = None,
) -> Rule | None:
    """The rule for what follows a prompt: one of the first three, `no_copies`, both, or none.

    `no_copies` compares with the `training_text`: an index, or a file, folder or glob that is read
    and indexed, as the model's own text was or as `reading` says. SettingsError for values that do
    not go together.

    >>> from charloom import Model, ModelSettings, Vocabulary
    >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("abc 123"))
    >>> rule_given(model, pattern="[a-c]+")
    Pattern(pattern='[a-c]+')
    """
    from ..model import check_model  # which imports the rules

    check_model("model", model)
    reading = model.text_settings if reading is None else TextSettings.of(reading, "reading")
    given = {"pattern": pattern, "json_schema": json_schema, "grammar": grammar}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        named = " and ".join(f"`{name}`" for name in names)
        raise SettingsError(f"{named} were given; give one of them", *names)
    if (no_copies is None) != (training_text is None):
        raise SettingsError(
            "`no_copies` and `training_text` go together; give both", "no_copies", "training_text"
        )
    rule: Rule | None = None
    if pattern is not None:
        rule = Pattern(model.normalized(pattern, "pattern"))
    elif json_schema is not None:
        rule = JsonSchema(json_schema)
    elif grammar is not None:
        rule = Grammar(grammar)
    if no_copies is None or training_text is None:
        return rule
    if not isinstance(training_text, CopyIndex):
        training_text = CopyIndex.of(read(training_text, reading))
    copies = NoCopies(training_text, no_copies, after=prompt)
    return copies if rule is None else Both(rule, copies)
