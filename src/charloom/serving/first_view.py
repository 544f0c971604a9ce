"""What a page shows first: a text, whose text it is, and what stands at the top."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from ..errors import SettingsError
from ..model.model import Model, Text
from ..settings import READABLE
from ..text.reading import beginning
from . import guard

OpenOn = Literal["newspaper", "generate"]
"""What stands at the top of a page: the newspaper of a text, or the form that generates texts."""


@dataclass(frozen=True, kw_only=True)
class FirstView:
    """The first text of a page, and how the page opens."""

    text: str
    cut: bool = False
    """Whether the text that was given goes on."""
    generated: bool = False
    """Whether nobody gave a text, so that it is one by the model."""
    open_on: OpenOn = "newspaper"

    @classmethod
    def of(cls, model: Model, text: Text | None, open_on: OpenOn) -> FirstView:
        """The beginning of a text, or without one a text by the model.

        >>> from charloom import ModelSettings, Vocabulary
        >>> model = Model.untrained(ModelSettings(hidden_size=4), Vocabulary.of("the cat"))
        >>> FirstView.of(model, "the cat", "generate")
        FirstView(text='the cat', cut=False, generated=False, open_on='generate')
        """
        if open_on not in get_args(OpenOn):
            raise SettingsError(
                f"open_on: {open_on!r} was given; it must be one of {', '.join(get_args(OpenOn))}"
            )
        pieces = [_own_text(model)] if text is None else model.pieces(text)
        shown = beginning(pieces, guard.CHARACTERS + 1)
        return cls(
            text=shown[: guard.CHARACTERS],
            cut=len(shown) > guard.CHARACTERS,
            generated=text is None,
            open_on=open_on,
        )

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        return asdict(self)


def _own_text(model: Model) -> str:
    """A text by the model, or some of its lines."""
    if model.lines:
        lines = model.generate_many(count=_LINES, length=_LENGTH, temperature=READABLE)
        return "".join(f"{line}\n" for line in lines)
    return "".join(model.generate(length=_LENGTH, temperature=READABLE))


_LENGTH, _LINES = 1000, 20  # characters, and lines of a model of lines
