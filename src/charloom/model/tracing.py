"""Every gate, cell and hidden state of a text, as the engine had them: the newspaper as data.

At each step one character is read. What is written down there, for every layer and unit,
has the blog's names:

    f_t   fC_t = f_t * C_t-1     what the forget gate leaves of the article
    i_t   g_t   gi_t = i_t * g_t what the input gate lets in of the candidate
    C_t = fC_t + gi_t            the article now
    o_t   h_t = o_t * tanh(C_t)  the headline

The f_t, i_t, g_t, C_t, o_t and h_t are copies of what the kernels computed; fC_t and gi_t
are the products that the kernels formed on the way, rounded to float32 as there. So the
three equations without tanh hold to the last bit. (The kernels' tanh is their own; NumPy's
may differ in the last bits of h_t.)

    step          0     1     2     3
    reads         T     h     e     _
    expected[0]   |     |     |     |    before anything was read
    expected[1]         |     |     |    after T: what the model thought of h, e, ...
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..engines.base import Array, Engine, State
from ..errors import TextError
from ..text.vocabulary import REPLACEMENT, Vocabulary
from .scoring import warn_of_unknown

QUANTITIES = ("f_t", "fC_t", "i_t", "g_t", "gi_t", "C_t", "o_t", "h_t")
"""The eight quantities in the order in which they come about."""

ALTERNATIVES = 8
"""Likeliest characters kept for each step, or fewer if the vocabulary is smaller."""

_BYTES = 2**26  # of quantities and logits in one piece, or one step if that is more
_STEPS = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """What happened while T characters (bytes, if the vocabulary is of bytes) were read.

    Quantities are (T, L, H) float32; a plain RNN has h_t alone, and its others are (T, L, 0).
    """

    start: int
    """How many steps came before; 0 for a whole text."""
    symbols: tuple[str, ...]
    """(T) what was read; a byte beyond ASCII as two hexadecimal digits."""
    ids: Array
    """(T,) int32"""
    f_t: Array
    fC_t: Array  # noqa: N815   the blog's name
    i_t: Array
    g_t: Array
    gi_t: Array
    C_t: Array
    o_t: Array
    h_t: Array
    C_before: Array
    """(T, L, H) C_t-1, the article that each step found: zero where a text begins."""
    h_before: Array
    """(T, L, H) h_t-1, the headline that each step found."""
    log_probability: Array
    """(T,) float64, in nats, of the character that was read, before it was: minus what
    `Model.score` charges for it, so a first character costs ln V."""
    rank: Array
    """(T,) int32, 1 if it was the likeliest; 0 where nothing was predicted."""
    expected: Array
    """(T + 1, A) int32 the likeliest ids before each step, likeliest first, and after all."""
    expected_log_probability: Array
    """(T + 1, A) float64"""
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def quantities(self) -> dict[str, Array]:
        """Those that this cell has, under their names."""
        named = {name: getattr(self, name) for name in QUANTITIES}
        return {name: values for name, values in named.items() if values.shape[-1]}

    @property
    def bits(self) -> Array:
        """(T,) the surprise of each character that was read."""
        return -self.log_probability / math.log(2)

    def alternatives(self, step: int) -> list[tuple[str, float]]:
        """The likeliest characters in place of that of a step, with their probabilities.

        `len(trace)` asks what is expected after the last step.
        """
        names = symbols(self.vocabulary, self.expected[step])
        shares = np.exp(self.expected_log_probability[step]).tolist()
        return list(zip(names, shares, strict=True))


def trace_pieces(
    engine: Engine,
    vocabulary: Vocabulary,
    pieces: Iterable[str],
    *,
    lines: bool = False,
    alternatives: int = ALTERNATIVES,
    steps: int = 0,
) -> Iterator[Trace]:
    """The trace of a text of any length, in pieces whose size does not grow with it.

    `steps` is how many a piece has at most; by default as many as fit in 64 MB. However
    the text is cut, the numbers are the same. With `lines` each line is read from a zero
    state, after a line feed, as a model of lines was trained.

    >>> from charloom.engines.selection import open_engine
    >>> from charloom.engines.reference.engine import initial_weights
    >>> from charloom.settings import ModelSettings
    >>> vocabulary, settings = Vocabulary.of("the fox"), ModelSettings(hidden_size=16)
    >>> engine = open_engine(settings, 7, initial_weights(settings, 7, seed=0))
    >>> [piece.C_t.shape for piece in trace_pieces(engine, vocabulary, ["the fox"], steps=5)]
    [(5, 2, 16), (2, 2, 16)]
    """
    most = steps or _steps(engine, vocabulary.size)
    newline = vocabulary.newline_id if lines else None
    expected, state = opening(engine, vocabulary.size, newline)
    start = 0
    unknown: Counter[str] = Counter()
    for piece in pieces:
        encoded = vocabulary.encode(piece, start=start).astype(np.int32)
        if vocabulary.has_unknown and (encoded == vocabulary.unknown_id).any():
            unknown.update(vocabulary.unknown_characters(piece))
        written = symbols(vocabulary, encoded, piece)
        for cut in range(0, len(encoded), most):
            ids = encoded[cut : cut + most]
            seen, state = read_steps(engine, ids, state, newline)
            logits = np.concatenate([expected[None], seen.pop("logits")])
            blind = start == 0 and newline is None
            yield Trace(
                start=start,
                symbols=written[cut : cut + most],
                ids=ids,
                **seen,
                **judged(vocabulary, ids, logits, alternatives, blind=blind),
                vocabulary=vocabulary,
            )
            expected, start = logits[-1], start + len(ids)
    warn_of_unknown(unknown)


def joined(pieces: list[Trace]) -> Trace:
    """Traces that follow one another as one."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        raise TextError("the text is empty; a trace needs at least one character")
    by_step = (*QUANTITIES, "C_before", "h_before", "ids", "log_probability", "rank")
    values = {name: np.concatenate([getattr(p, name) for p in pieces]) for name in by_step}
    for name in ("expected", "expected_log_probability"):
        *first, last = (getattr(piece, name) for piece in pieces)
        values[name] = np.concatenate([*(rows[:-1] for rows in first), last])
    return Trace(
        start=pieces[0].start,
        symbols=tuple(symbol for piece in pieces for symbol in piece.symbols),
        vocabulary=pieces[0].vocabulary,
        **values,
    )


def symbols(vocabulary: Vocabulary, ids: Array, text: str | None = None) -> tuple[str, ...]:
    """How ids are shown; the characters of the text itself where it is given.

    >>> symbols(Vocabulary.bytes(), np.array([97, 0xC3, 0xA9]))
    ('a', 'C3', 'A9')
    """
    if vocabulary.kind == "bytes":
        return tuple(chr(id) if id < 128 else f"{id:02X}" for id in ids.tolist())
    if text is None:
        return tuple(vocabulary.decode(ids))
    return tuple(re.sub("[\ud800-\udfff]", REPLACEMENT, text))  # half a pair is no text


def log_softmax(logits: Array) -> Array:
    """Log-probabilities along the last axis, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _steps(engine: Engine, vocabulary_size: int) -> int:
    settings = engine.settings
    count = len(QUANTITIES) + 2 if settings.cell == "lstm" else 2
    numbers = count * settings.num_layers * settings.hidden_size + 4 * vocabulary_size
    return max(1, min(_STEPS, _BYTES // (4 * numbers)))


def opening(engine: Engine, vocabulary_size: int, newline: int | None) -> tuple[Array, State]:
    """What is expected before a text (V,), as logits, and the state that it is read from.

    Nothing stands before it, so all is equally likely; but before a line, a line feed.
    """
    state = State.zeros(engine.settings, 1)
    if newline is None:
        return np.zeros(vocabulary_size), state
    logits, state = engine.logits(np.array([[newline]], np.int32), state)
    return logits[0, 0], state


def judged(
    vocabulary: Vocabulary, ids: Array, logits: Array, alternatives: int, *, blind: bool
) -> dict[str, Array]:
    """How likely some ids were, by the logits (T + 1, V) before each of them and after all.

    The fields of a Trace that say so. Where it is `blind`, nothing predicted the first.
    """
    shares = log_softmax(logits)
    own = np.take_along_axis(shares[:-1], ids[:, None].astype(np.int64), axis=1)
    rank = (1 + (shares[:-1] > own).sum(axis=1)).astype(np.int32)
    rank[0] *= not blind
    # of equal ones the lower id comes first
    best = np.argsort(-shares, axis=1, kind="stable")[:, :alternatives]
    charge = vocabulary.unknown_charge * (ids == vocabulary.unknown_id)
    return {
        "log_probability": own[:, 0] - charge,
        "rank": rank,
        "expected": best.astype(np.int32),
        "expected_log_probability": np.take_along_axis(shares, best, axis=1),
    }


def read_steps(
    engine: Engine, ids: Array, state: State, newline: int | None
) -> tuple[dict[str, Array], State]:
    """The quantities (T, L, H) and logits (T, V) of some ids, and the state after them.

    C_before and h_before, what each step found, are among them.
    With `newline`, the state is zero before each one is read.
    """
    cuts = [0]
    if newline is not None:
        cuts = sorted({0, *np.flatnonzero(ids == newline).tolist()})
    parts: list[dict[str, Array]] = []
    for start, stop in zip(cuts, [*cuts[1:], len(ids)], strict=True):
        if newline is not None and ids[start] == newline:
            state = State.zeros(engine.settings, 1)
        traced = engine.trace(ids[start:stop, None], state)
        names = ("f_t", "i_t", "g_t", "C_t", "o_t", "h_t")
        part = {name: getattr(traced, name)[:, :, 0].swapaxes(0, 1) for name in names}
        for name, before in (("C", state.cell), ("h", state.hidden)):
            after = part[f"{name}_t"]
            first = before[None, :, 0, : after.shape[-1]].astype(after.dtype)
            part[f"{name}_before"] = np.concatenate([first, after[:-1]])
        part["fC_t"] = part["f_t"] * part["C_before"]
        part["gi_t"] = part["i_t"] * part["g_t"]
        part["logits"] = traced.logits[:, 0]
        parts.append(part)
        state = traced.state
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}, state
