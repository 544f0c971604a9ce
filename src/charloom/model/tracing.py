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

from ..engines.base import State
from ..engines.cell import CELLS, LSTM
from ..engines.loss import log_softmax
from ..engines.weights import Array
from ..errors import TextError, counted
from ..text.unknown import warn_of_unknown
from ..text.visible import visible
from ..text.vocabulary import REPLACEMENT, Vocabulary
from .html import text_html
from .predictor import Predictor

QUANTITIES = LSTM.quantities
"""An LSTM's eight quantities in the order in which they come about; see engines/cell.py."""

ALTERNATIVES = 8
"""Likeliest characters kept for each step, or fewer if the vocabulary is smaller."""

_BYTES = 2**26  # of quantities and logits in one piece, or one step if that is more
_STEPS = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """What happened while T characters (bytes, if the vocabulary is of bytes) were read.

    The quantities of the cell are attributes, too: `trace.C_t` of an LSTM is
    `trace.quantities["C_t"]`; a plain RNN has h_t alone.
    """

    start: int
    """How many steps came before; 0 for a whole text."""
    symbols: tuple[str, ...]
    """(T) what was read; a byte beyond ASCII as two hexadecimal digits."""
    ids: Array
    """(T,) int32"""
    quantities: dict[str, Array]
    """(T, L, H) float32 by name, in the order in which they come about."""
    C_before: Array
    """(T, L, H) C_t-1, the article that each step found: zero where a text begins; (T, L, 0)
    of a cell without a cell state."""
    h_before: Array
    """(T, L, H) h_t-1, the headline that each step found."""
    log_probability: Array
    """(T,) float64, in nats, of the character that was read, before it was: minus its
    surprisal in `Model.score`, so that of a first character is -ln V."""
    rank: Array
    """(T,) int32, 1 if it was the likeliest; 0 where nothing was predicted."""
    expected: Array
    """(T + 1, A) int32 the likeliest ids before each step, likeliest first, and after all."""
    expected_log_probability: Array
    """(T + 1, A) float64"""
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Array:
        if name.endswith("_t") and name in self.quantities:
            return self.quantities[name]
        raise AttributeError(f"{name}: a trace has no such attribute, and this cell no such gate")

    def __repr__(self) -> str:
        steps, layers, units = self.h_t.shape
        read = counted(steps, self.vocabulary.kind[:-1])
        return f"Trace({read}, {layers} x {counted(units, 'unit')})"

    def _repr_html_(self) -> str:
        return text_html(self.symbols, self.bits, self._told, self.vocabulary.kind)

    def _told(self, step: int) -> str:
        """What is said of a step where one points at it."""
        bits = -float(self.log_probability[step]) / math.log(2)
        told = f"{visible(self.symbols[step])}: {bits:.2f} bits"
        if self.rank[step] == 0:
            return told
        expected = ", ".join(f"{visible(s)} {p:.0%}" for s, p in self.alternatives(step)[:4])
        return f"{told}, number {self.rank[step]} of what was expected: {expected}"

    @property
    def bits(self) -> Array:
        """(T,) the surprisal of each character that was read."""
        return -self.log_probability / math.log(2)

    def alternatives(self, step: int) -> list[tuple[str, float]]:
        """The likeliest characters in place of that of a step, with their probabilities.

        `len(trace)` asks what is expected after the last step.
        """
        names = symbols(self.vocabulary, self.expected[step])
        shares = np.exp(self.expected_log_probability[step]).tolist()
        return list(zip(names, shares, strict=True))


def trace_pieces(
    predictor: Predictor,
    pieces: Iterable[str],
    *,
    alternatives: int = ALTERNATIVES,
    steps: int = 0,
) -> Iterator[Trace]:
    """The trace of a text of any length, in pieces whose size does not grow with it.

    `steps` is how many a piece has at most; by default as many as fit in 64 MB. However
    the text is cut, the numbers are the same. Of a model of lines each line is read from a
    zero state, after a line feed, as it was trained.

    >>> from charloom.engines.selection import open_engine
    >>> from charloom.engines.weights import initial_weights
    >>> from charloom.settings import ModelSettings
    >>> vocabulary, settings = Vocabulary.of("the fox"), ModelSettings(hidden_size=16)
    >>> engine = open_engine(settings, 7, initial_weights(settings, 7, seed=0))
    >>> predictor = Predictor(engine=engine, vocabulary=vocabulary)
    >>> [piece.C_t.shape for piece in trace_pieces(predictor, ["the fox"], steps=5)]
    [(5, 2, 16), (2, 2, 16)]
    """
    vocabulary = predictor.vocabulary
    most = steps or _steps(predictor)
    expected, state = opening(predictor)
    start = 0
    unknown: Counter[str] = Counter()
    for piece in pieces:
        encoded = vocabulary.encode(piece, start=start).astype(np.int32)
        if vocabulary.has_unknown and (encoded == vocabulary.unknown_id).any():
            unknown.update(vocabulary.unknown_characters(piece))
        written = symbols(vocabulary, encoded, piece)
        for cut in range(0, len(encoded), most):
            ids = encoded[cut : cut + most]
            seen, state = read_steps(predictor, ids, state)
            logits = np.concatenate([expected[None], seen.logits])
            blind = start == 0 and not predictor.lines
            yield Trace(
                start=start,
                symbols=written[cut : cut + most],
                ids=ids,
                quantities=seen.quantities,
                C_before=seen.C_before,
                h_before=seen.h_before,
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
    by_step = ("C_before", "h_before", "ids", "log_probability", "rank")
    values = {name: np.concatenate([getattr(p, name) for p in pieces]) for name in by_step}
    for name in ("expected", "expected_log_probability"):
        *first, last = (getattr(piece, name) for piece in pieces)
        values[name] = np.concatenate([*(rows[:-1] for rows in first), last])
    names = pieces[0].quantities
    return Trace(
        start=pieces[0].start,
        quantities={n: np.concatenate([p.quantities[n] for p in pieces]) for n in names},
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


def opening(predictor: Predictor) -> tuple[Array, State]:
    """What is expected before a text (V,), as logits, and the state that it is read from.

    Nothing stands before it, so all is equally likely; but before a line, a line feed.
    """
    engine, state = predictor.engine, predictor.engine.zero_state(1)
    if predictor.line_start is None:
        return np.zeros(predictor.vocabulary.size), state
    logits, state = engine.logits(np.array([[predictor.line_start]], np.int32), state)
    return logits[0, 0], state


def judged(
    vocabulary: Vocabulary, ids: Array, logits: Array, alternatives: int, *, blind: bool
) -> dict[str, Array]:
    """How likely some ids were, by the logits (T + 1, V) before each of them and after all.

    The fields of a Trace that say so. Where it is `blind`, nothing predicted the first.
    """
    shares = log_softmax(logits.astype(np.float64))
    own = np.take_along_axis(shares[:-1], ids[:, None].astype(np.int64), axis=1)
    rank = (1 + (shares[:-1] > own).sum(axis=1)).astype(np.int32)
    rank[0] *= not blind
    # of equal ones the lower id comes first
    best = np.argsort(-shares, axis=1, kind="stable")[:, :alternatives]
    which_unknown = vocabulary.unknown_nats * (ids == vocabulary.unknown_id)
    return {
        "log_probability": own[:, 0] - which_unknown,
        "rank": rank,
        "expected": best.astype(np.int32),
        "expected_log_probability": np.take_along_axis(shares, best, axis=1),
    }


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was computed while some ids were read."""

    quantities: dict[str, Array]
    """(T, L, H) by name"""
    C_before: Array
    h_before: Array
    logits: Array
    """(T, V) of what follows each."""


def read_steps(predictor: Predictor, ids: Array, state: State) -> tuple[Seen, State]:
    """Read some ids (T,); what was computed, and the state after them.

    Of a model of lines the state is zero before each line feed is read.
    """
    engine, newline = predictor.engine, predictor.line_start
    cell = CELLS[engine.settings.cell]
    cuts = [0]
    if newline is not None:
        cuts = sorted({0, *np.flatnonzero(ids == newline).tolist()})
    parts: list[dict[str, Array]] = []
    for start, stop in zip(cuts, [*cuts[1:], len(ids)], strict=True):
        if newline is not None and ids[start] == newline:
            state = engine.zero_state(1)
        traced, before = engine.trace(ids[start:stop, None], state), state.numpy()
        part = {name: values[:, :, 0].swapaxes(0, 1) for name, values in traced.quantities.items()}
        part["h_before"] = _shifted(before.hidden, part["h_t"])
        part["C_before"] = part["h_t"][..., :0]
        if cell.has_cell_state:
            part["C_before"] = _shifted(before.cell, part["C_t"])
        part["logits"] = traced.logits[:, 0]
        parts.append(part)
        state = traced.state
    whole = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    seen = Seen(
        quantities=cell.complete(whole),
        C_before=whole["C_before"],
        h_before=whole["h_before"],
        logits=whole["logits"],
    )
    return seen, state


def _shifted(before: Array, values: Array) -> Array:
    """(T, L, H) what stood before each step: the state (L, 1, H), then all values but the last."""
    return np.concatenate([before[None, :, 0].astype(values.dtype), values[:-1]])


def _steps(predictor: Predictor) -> int:
    """Characters in a piece of 64 MB."""
    settings = predictor.engine.settings
    count = len(CELLS[settings.cell].quantities) + 2
    numbers = count * settings.num_layers * settings.hidden_size
    numbers += 4 * predictor.vocabulary.size
    return max(1, min(_STEPS, _BYTES // (4 * numbers)))
