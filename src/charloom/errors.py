"""Every error that charloom raises on purpose, as a tree.

    CharloomError
    ├── SettingsError         a setting, flag or combination of them is not possible
    ├── TextError             a text cannot be found, read, decoded or is too short
    │   └── UnknownCharacterError   a character that this model has no way to read
    ├── ModelFileError        a model file or run folder is missing, damaged, foreign or newer
    ├── OutputError           something could not be written: no space, no permission
    ├── TrainingError         a run that cannot go on, such as a loss that is not finite
    └── GroupError            another process that trains the same network has ended

Each message says what was given, what was expected, and the next step. Settings in it are
named as Python names them, in backquotes, and `settings` lists those names, so that who shows
the message can name them otherwise: the command line prints `batch_size` as --batch-size.
It prints one line, with exit status 2 for a SettingsError and 1 for the others.
"""

from __future__ import annotations

import reprlib

_CUT = reprlib.Repr()
_CUT.maxstring = _CUT.maxother = 60
_CUT.maxlist = _CUT.maxtuple = 3


def shown(value: object, most: int = 160) -> str:
    r"""What a file or a caller gave, for a message: one printable line that is not long.

    >>> shown("a\nb"), shown("x" * 1000, most=10)
    ('a\\nb', 'xxxxxxx...')
    """
    text = str(value)
    if len(text) > most:
        text = text[: most - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def short_repr(self: object) -> str:
    """The `__repr__` of a dataclass that can hold much: one line, in which long fields are cut.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Text:
    ...     text: str
    ...     __repr__ = short_repr
    >>> Text("the fox " * 1000)
    Text(text='the fox the fox the fox the...x the fox the fox the fox ')
    """
    names = getattr(self, "__dataclass_fields__")  # noqa: B009
    values = [f"{name}={_CUT.repr(getattr(self, name))}" for name in names]
    return f"{type(self).__name__}({', '.join(values)})".replace("\n", "")


def counted(count: int, noun: str) -> str:
    """A count and its noun, for a message.

    >>> counted(1, "layer"), counted(1200, "step")
    ('1 layer', '1,200 steps')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


class CharloomError(Exception):
    """Base of all errors raised on purpose; catching it catches them all.

    >>> error = CharloomError("`steps` and `minutes` were given", "steps", "minutes")
    >>> str(error), error.settings
    ('`steps` and `minutes` were given', ('steps', 'minutes'))

    Attributes:
        settings: names of the settings and arguments that the message has in backquotes.

    """

    def __init__(self, message: str, *settings: str) -> None:
        super().__init__(message)
        self.settings = settings


class SettingsError(CharloomError):
    """A setting is out of range, or two of them do not go together.

    A message about one setting starts with its name and a colon.

    >>> SettingsError("layer: 3 was given; the model has layers 1 to 2").settings
    ('layer',)
    """

    def __init__(self, message: str, *settings: str) -> None:
        name, colon, _ = message.partition(": ")
        own = (name,) if colon and name.isidentifier() else ()
        super().__init__(message, *own, *settings)


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


class GroupError(CharloomError):
    """Another process that trains the same network has ended, or could not begin."""
