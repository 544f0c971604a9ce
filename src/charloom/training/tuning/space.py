"""What a search may choose: a range or a list of values for a setting, checked by its class.

learning_rate=log:1e-3:3e-2    between two numbers, evenly on a logarithmic scale
dropout=0:0.5                  between two numbers, evenly
batch_size=16,32,64            one of these values
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import SettingsError, shown
from ...settings import ModelSettings, TrainingSettings

DEFAULT = ("learning_rate=log:2e-3:5e-2", "dropout=0:0.7", "hidden_size=log:64:512")
"""What is searched where nothing is said: what most of a result hangs on."""

DEFAULT_FROM_BASE = ("learning_rate=log:1e-3:1e-2", "dropout=0:0.6", "batch_size=log:4:32")
"""The same for runs that start from another model, and so have its size."""


FIXED = ("steps", "epochs", "minutes", "seed", "threads", "engine", "device", "precision")
"""The budget of a trial, and how it is computed: the same for all, so that they compare."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The values of one setting that a search chooses from.

    >>> Space.parse("learning_rate=log:1e-3:3e-2")
    Space(name='learning_rate', low=0.001, high=0.03, log=True, choices=())
    >>> Space.parse("hidden_size=64,128").choices
    (64, 128)
    """

    name: str
    low: float | int = 0
    high: float | int = 0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Space:
        """The space that a text such as learning_rate=log:1e-3:3e-2 stands for.

        SettingsError for a setting that cannot be searched, or values that it cannot have.
        """
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        settings = _class_of(name)
        if not equals or not values:
            raise _wrong(text, "is no NAME=VALUES")
        if ":" not in values:
            chosen = tuple(_checked(settings, name, part.strip()) for part in values.split(","))
            if len(set(chosen)) < 2:
                raise _wrong(text, "has fewer than two values")
            return cls(name=name, choices=chosen)
        first, *ends = values.split(":") if values.startswith("log:") else ["", *values.split(":")]
        if len(ends) != 2:
            raise _wrong(text, "is no range")
        low, high = (_checked(settings, name, end.strip()) for end in ends)
        if isinstance(low, bool) or not all(isinstance(end, int | float) for end in (low, high)):
            raise _wrong(text, f"is no range of numbers, and {name} is none")
        if not low < high or (first and low <= 0):
            need = "rises, above 0" if first else "rises"
            raise _wrong(text, f"is no range that {need}")
        return cls(name=name, low=low, high=high, log=bool(first))

    def suggest(self, trial: Any) -> Any:
        """The value that a trial of Optuna has for this setting."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        suggest = trial.suggest_int if whole else trial.suggest_float
        return suggest(self.name, self.low, self.high, log=self.log)

    def has(self, value: Any) -> bool:
        """Whether a value is one of them."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high


def parse_spaces(texts: tuple[str, ...] | list[str]) -> list[Space]:
    """The spaces of a search; SettingsError if a setting is in two of them."""
    spaces = [Space.parse(text) for text in texts]
    names = [space.name for space in spaces]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"space: {name} was given twice; give it once")
    return spaces


def shapes_in(spaces: list[Space]) -> list[str]:
    """The settings in them of a network that starts from nothing.

    >>> shapes_in(parse_spaces(["cell=lstm,gru", "dropout=0:0.5"]))
    ['cell']
    """
    named = (*ModelSettings.model_fields, "first_values")
    return [space.name for space in spaces if space.name in named]


def default_spaces(from_base: bool, given: set[str]) -> list[str]:
    """What is searched where nothing is said, but for settings that were given a value.

    >>> default_spaces(True, {"dropout"})
    ['learning_rate=log:1e-3:1e-2', 'batch_size=log:4:32']
    """
    texts = DEFAULT_FROM_BASE if from_base else DEFAULT
    left = [text for text in texts if text.partition("=")[0] not in given]
    if not left:
        raise SettingsError(
            "space: all that is searched by default was given a value; say what is to be searched"
        )
    return left


def with_values(
    model: ModelSettings, training: TrainingSettings, values: dict[str, Any]
) -> tuple[ModelSettings, TrainingSettings]:
    """Settings with the values of a trial in them."""
    own = {n: v for n, v in values.items() if n in ModelSettings.model_fields}
    rest = {n: v for n, v in values.items() if n not in own}
    return model.replace(**own), training.replace(**rest)


def _class_of(name: str) -> type[ModelSettings] | type[TrainingSettings]:
    for settings in (ModelSettings, TrainingSettings):
        if name in settings.model_fields and name not in FIXED:
            return settings
    known = [*ModelSettings.model_fields, *TrainingSettings.model_fields]
    named = ", ".join(n for n in known if n not in FIXED)
    raise SettingsError(f"space: {shown(name)!r} cannot be searched; what can is {named}")


def _checked(settings: Any, name: str, value: str) -> Any:
    """A value as its setting has it: an int, a float, a bool or a word."""
    return getattr(settings(**{name: value}), name)


def _wrong(text: str, why: str) -> SettingsError:
    return SettingsError(
        f"space: {shown(text)!r} {why}; give one like learning_rate=log:1e-3:3e-2, dropout=0:0.5 "
        "or batch_size=16,32"
    )
