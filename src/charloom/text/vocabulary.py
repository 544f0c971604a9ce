"""A two-way map between characters and ids, and the surprisal of what is not in it.

characters   the sorted code points of a text are the ids 0, 1, 2, ...: the blog's
             mapping. The unknown character, where there is one, comes last, so that
             it moves no other id.
bytes        the 256 values of a UTF-8 byte are the ids; nothing is ever unknown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import (
    ModelFileError,
    SettingsError,
    TextError,
    UnknownCharacterError,
    counted,
    short_repr,
)

REPLACEMENT = "\ufffd"
"""What an unknown character is shown as: U+FFFD, the replacement character."""

SCALAR_VALUES = 0x110000 - 0x800
"""Characters that Unicode has room for: all code points but the surrogates."""


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows, and their ids.

    >>> v = Vocabulary.of("banana")
    >>> v.mapping
    {'a': 0, 'b': 1, 'n': 2}
    >>> v.encode("nab")
    array([2, 0, 1], dtype=uint8)
    >>> v.decode([2, 0, 1])
    'nab'
    """

    __repr__ = short_repr

    kind: Literal["characters", "bytes"] = "characters"
    characters: str = ""
    """Known code points in ascending order, ids 0, 1, 2, ...; empty for bytes."""
    has_unknown: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("characters", "bytes"):
            raise SettingsError(
                f"vocabulary: {self.kind!r} was given; it must be 'characters' or 'bytes'"
            )
        if self.kind == "bytes":
            if self.characters or self.has_unknown:
                raise SettingsError("a vocabulary of bytes has no characters and no unknown")
            return
        if not self.characters:
            raise SettingsError("a vocabulary of characters needs at least one character")
        codes = code_points(self.characters)
        if (codes[1:] <= codes[:-1]).any():
            raise SettingsError("a vocabulary's characters must be sorted and distinct")
        if ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise SettingsError("a vocabulary holds no halves of characters (surrogates)")

    @classmethod
    def of(cls, text: str, minimum_count: int = 1, unknown: bool = False) -> Vocabulary:
        """The characters of a text; without options, exactly the blog's."""
        return cls.from_counts(Counter(text), minimum_count, unknown)

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], minimum_count: int = 1, unknown: bool = False
    ) -> Vocabulary:
        """The characters that occur at least `minimum_count` times.

        Rarer ones are read as the unknown. Raises TextError when none is left, and
        SettingsError when some are rarer and there is no unknown.
        """
        kept = sorted(c for c, count in counts.items() if count >= minimum_count)
        if not counts:
            raise TextError("an empty text has no characters to make a vocabulary of")
        if not kept:
            raise TextError(
                f"no character occurs as often as {counted(minimum_count, 'time')} (the commonest: "
                f"{max(counts.values()):,}); lower `minimum_count`",
                "minimum_count",
            )
        if len(kept) < len(counts) and not unknown:
            raise SettingsError(
                f"`minimum_count` is {minimum_count} and `unknown` is off: "
                f"{counted(len(counts) - len(kept), 'rarer character')} would have no id; "
                "use `minimum_count=1` or `unknown=True`",
                "minimum_count",
                "unknown",
            )
        return cls("characters", "".join(kept), unknown)

    @classmethod
    def bytes(cls) -> Vocabulary:
        """The 256 bytes of UTF-8, which spell every text."""
        return cls("bytes")

    def grown(self, characters: str) -> Vocabulary:
        """A vocabulary of these characters and more; of bytes, the same.

        >>> Vocabulary.of("banana").grown("cab").characters
        'abcn'
        """
        if self.kind == "bytes":
            return self
        return Vocabulary.of(self.characters + characters, unknown=self.has_unknown)

    @property
    def size(self) -> int:
        """How many ids there are, the unknown's included."""
        if self.kind == "bytes":
            return 256
        return len(self.characters) + self.has_unknown

    @property
    def unknown_id(self) -> int | None:
        """The id of a character outside the vocabulary: the last one, if there is any."""
        return len(self.characters) if self.has_unknown else None

    @property
    def newline_id(self) -> int | None:
        """The id of the line feed, if it is known."""
        return self.mapping.get("\n")

    @property
    def unknown_nats(self) -> float:
        """Nats for saying which unknown character it was; 0 where there is none.

        Added to -ln p(unknown) it makes every score a true code length: all characters
        outside the vocabulary count as equally likely.
        """
        if not self.has_unknown:
            return 0.0
        return math.log(SCALAR_VALUES - len(self.characters))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest of uint8, uint16 and uint32 that holds every id."""
        return np.min_scalar_type(self.size - 1)

    @cached_property
    def mapping(self) -> dict[str, int]:
        """From character to id; of bytes, the 128 characters that are one byte long."""
        known = map(chr, range(128)) if self.kind == "bytes" else self.characters
        return {character: id for id, character in enumerate(known)}

    def encode(self, text: str, *, start: int = 0) -> NDArray[Any]:
        """The ids of a text, one per character (or UTF-8 byte), in `dtype`.

        A character outside the vocabulary becomes `unknown_id`; where there is none,
        UnknownCharacterError names the character, its code point and its position, counted
        from `start`.
        """
        if self.kind == "bytes":
            return np.frombuffer(_utf8(text, start), np.uint8)
        if self._ascii_table and text.isascii():  # the same, in a fifth of the time
            return np.frombuffer(text.encode().translate(self._ascii_table), np.uint8)
        ids = np.take(self._id_of_code_point, code_points(text))
        if not self.has_unknown and (unknown := ids == len(self.characters)).any():
            position = int(unknown.argmax())
            raise _unknown_character(text[position], start + position)
        return ids.astype(self.dtype, copy=False)

    def decode(self, ids: ArrayLike) -> str:
        """The text of some ids; the unknown, and bytes that are no UTF-8, show as U+FFFD.

        TextError for a number that is no id.
        """
        ids = np.asarray(ids, np.int64).ravel()
        if ids.size == 1 and 0 <= (id := ids.item()) < len(self.characters):  # the quick way
            return self.characters[id]
        if ids.size and not 0 <= ids.min() <= ids.max() < self.size:
            wrong = ids[(ids < 0) | (ids >= self.size)][0]
            raise TextError(
                f"{wrong} is not an id of this vocabulary; they are 0 to {self.size - 1}"
            )
        if self.kind == "bytes":
            return ids.astype(np.uint8).tobytes().decode("utf-8", "replace")
        return np.take(self._code_point_of_id, ids).tobytes().decode("utf-32-le")

    def unknown_characters(self, text: str) -> dict[str, int]:
        """The characters of a text that are not known, with their counts, commonest first.

        >>> Vocabulary.of("banana").unknown_characters("ananas, bananas")
        {'s': 2, ',': 1, ' ': 1}
        """
        if self.kind == "bytes":
            return {}
        codes = code_points(text)
        unknown = codes[np.take(self._id_of_code_point, codes) == len(self.characters)]
        return dict(Counter(unknown.tobytes().decode("utf-32-le", "surrogatepass")).most_common())

    def utf8_lengths(self) -> NDArray[np.uint8]:
        """(size,) bytes of UTF-8 per id; 0 for the unknown, as only the text tells."""
        if self.kind == "bytes":
            return np.ones(256, np.uint8)
        lengths = [len(character.encode()) for character in self.characters]
        return np.array(lengths + [0] * self.has_unknown, np.uint8)

    def to_json(self) -> dict[str, Any]:
        """What a model file keeps of it."""
        return {
            "kind": self.kind,
            "characters": self.characters,
            "unknown": self.has_unknown,
        }

    @classmethod
    def from_json(cls, stored: object) -> Vocabulary:
        """The vocabulary that `to_json` told of; ModelFileError for anything else."""
        complaint: object = "it needs kind, characters and unknown"
        match stored:
            case {"kind": str(kind), "characters": str(known), "unknown": bool(unknown)}:
                try:
                    return cls(kind, known, unknown)  # pyright: ignore[reportArgumentType]
                except SettingsError as error:
                    complaint = error
        raise ModelFileError(f"the stored vocabulary is damaged: {complaint}")

    @cached_property
    def _ascii_table(self) -> bytes | None:
        """The id of every ASCII character, where all have one and it is a byte; else None."""
        if not self.has_unknown or self.size > 256:
            return None
        return bytes(self._id_of_code_point[:128].astype(np.uint8)) + bytes(128)

    @cached_property
    def _id_of_code_point(self) -> NDArray[Any]:
        """(0x110000,) the id of every code point, len(characters) where it has none."""
        count = len(self.characters)
        table = np.full(0x110000, count, np.min_scalar_type(count))
        table[code_points(self.characters)] = np.arange(count)
        return table

    @cached_property
    def _code_point_of_id(self) -> NDArray[np.uint32]:
        """(size,) the code point of every id, that of U+FFFD for the unknown."""
        return code_points(self.characters + REPLACEMENT * self.has_unknown)


def code_points(text: str) -> NDArray[np.uint32]:
    """The code point of every character of a text.

    >>> code_points("aé€")
    array([  97,  233, 8364], dtype=uint32)
    """
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _utf8(text: str, start: int) -> bytes:
    """A text as bytes; half a surrogate pair has none, and no vocabulary reads it."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _unknown_character(text[error.start], start + error.start) from None


def _unknown_character(character: str, position: int) -> UnknownCharacterError:
    return UnknownCharacterError(
        f"the character {character!r} (U+{ord(character):04X}) at position {position} "
        "(the first is 0) is not in the vocabulary, which has no unknown to read it as; "
        "leave it out, or train with `unknown=True` or `vocabulary='bytes'`",
        "unknown",
        "vocabulary",
    )
