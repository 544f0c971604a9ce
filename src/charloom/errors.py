"""Every error that charloom raises on purpose, as a tree.

    CharloomError
    ├── SettingsError         a setting, flag or combination of them is not possible
    ├── TextError             a text cannot be found, read, decoded or is too short
    │   └── UnknownCharacterError   a character that this model has no way to read
    ├── ModelFileError        a model file or run folder is missing, damaged, foreign or newer
    ├── OutputError           something could not be written: no space, no permission
    └── TrainingError         a run that cannot go on, such as a loss that is not finite

Each message says what was given, what was expected, and the next step. The command
line prints it as one line: exit status 2 for a SettingsError, 1 for the others.
"""

from __future__ import annotations


def shown(value: object, most: int = 160) -> str:
    r"""What a file or a caller gave, for a message: one printable line that is not long.

    >>> shown("a\nb"), shown("x" * 1000, most=10)
    ('a\\nb', 'xxxxxxx...')
    """
    text = str(value)
    if len(text) > most:
        text = text[: most - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class CharloomError(Exception):
    """Base of all errors raised on purpose; catching it catches them all."""


class SettingsError(CharloomError):
    """A setting is out of range, or two of them do not go together."""


class TextError(CharloomError):
    """A text is missing, empty, not decodable, binary, or shorter than it must be."""


class UnknownCharacterError(TextError):
    """A character outside the vocabulary, where the model has no unknown to read it as."""


class ModelFileError(CharloomError):
    """A model file or run folder is missing, damaged, foreign, or of a newer format."""


class OutputError(CharloomError):
    """A file could not be written; what was there before is untouched."""


class TrainingError(CharloomError):
    """A run cannot go on; the last good model is kept."""
