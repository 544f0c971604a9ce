"""What a model knows after a text, as a value and as a file: read once, go on from it anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...engines.base import State
from ...engines.weights import Array
from ...errors import ModelFileError, SettingsError, TextError, short_repr
from ...files import named
from ..predictor import Predictor
from .container import read_container, write_container


@dataclass(frozen=True, kw_only=True)
class TextState:
    """The state of a model's layers after a text, and its last character, which is not read yet.

    `Model.state_after` makes one, `Model.generate` goes on from it.

    >>> import charloom, pathlib, tempfile
    >>> vocabulary = charloom.Vocabulary.of("the fox")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=8), vocabulary)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "fox.state"
    >>> model.state_after("the f").save(path)
    >>> state = charloom.TextState.load(path)
    >>> a = "".join(model.generate("ox", state=state, length=20))
    >>> a == "".join(model.generate("the fox", length=20))
    True
    """

    __repr__ = short_repr

    hidden: Array
    """(L, H) float32"""
    cell: Array
    """(L, H) float32; zeros for a cell without a cell state"""
    last: int
    """The id of the last character."""
    drawn: int
    """How many characters at the end were generated: what follows draws the next numbers."""
    model: str
    """The digest of the model."""

    def save(self, path: str | Path) -> None:
        """Write a file, all at once; OutputError if it cannot be written."""
        tensors = {"hidden": self.hidden, "cell": self.cell}
        content = {"last": self.last, "drawn": self.drawn, "model": self.model}
        write_container(path, "state", tensors, content)

    @classmethod
    def load(cls, path: str | Path) -> TextState:
        """Read a file; ModelFileError if it is missing, damaged, or no state."""
        path = named(path)
        tensors, content = read_container(path, "state")
        match content:
            case {"last": int(last), "drawn": int(drawn), "model": str(model)} if (
                tensors.keys() == {"hidden", "cell"}
                and last >= 0
                and 0 <= drawn < 2**48
                and all(values.dtype == np.float32 for values in tensors.values())
            ):
                return cls(**tensors, last=last, drawn=drawn, model=model)
        raise ModelFileError(f"{path}: its description makes no sense; take another copy")

    def checked(self, predictor: Predictor, digest: str) -> TextState:
        """Itself, if it is of this model; SettingsError if not."""
        settings = predictor.engine.settings
        shape = (settings.num_layers, settings.hidden_size)
        fits = self.hidden.shape == self.cell.shape == shape and (
            self.last < predictor.vocabulary.size
        )
        if self.model != digest or not fits:
            raise SettingsError(
                f"state: it is of another model (digest {self.model[:12]}), not of this one "
                f"({digest[:12]}); a state goes on with the model that read the text"
            )
        return self


def read_on(
    predictor: Predictor, pieces: Iterable[str], before: TextState | None, digest: str
) -> TextState:
    """The state after a text in pieces, from a zero state or from one before it.

    TextError if there is no character at all.
    """
    last, state = _start(predictor, before)
    for piece in pieces:
        if predictor.lines and "\n" in piece:  # a line knows nothing of those before it
            last, state = _start(predictor, None)
            piece = piece.rpartition("\n")[2]
        ids = np.concatenate([last, predictor.encoded(piece)])
        state, last = predictor.read(ids[:-1], state), ids[-1:]
    if not len(last):
        raise TextError("an empty text leaves no state; give one with at least one character")
    found = state.numpy()
    return TextState(
        hidden=found.hidden[:, 0].copy(),
        cell=found.cell[:, 0].copy(),
        last=int(last[0]),
        drawn=before.drawn if before else 0,
        model=digest,
    )


def after_prompt(
    predictor: Predictor, prompt: str, before: TextState | None
) -> tuple[Array, State]:
    """The last character before what follows a prompt, (1,) or none, and the state before it."""
    if before is None or (predictor.lines and "\n" in prompt):
        ids, state = predictor.context(prompt), predictor.engine.zero_state(1)
    else:
        last, state = _start(predictor, before)
        ids = np.concatenate([last, predictor.encoded(prompt)])
    return ids[-1:], predictor.read(ids[:-1], state)


def with_drawn(state: TextState, count: int) -> TextState:
    """The same, with so many more characters that were generated."""
    return replace(state, drawn=state.drawn + count)


def _start(predictor: Predictor, before: TextState | None) -> tuple[Array, State]:
    """The character that is to be read first, (1,) or none, and the state before it."""
    engine = predictor.engine
    if before is not None:
        hidden, cell = before.hidden[:, None], before.cell[:, None]
        return np.array([before.last], np.int32), engine.place_state(
            State(hidden=hidden, cell=cell)
        )
    start = predictor.line_start
    known = [] if start is None else [start]
    return np.array(known, np.int32), engine.zero_state(1)
