"""A model and a trace as HTML, which a notebook shows in place of their `repr`.

Nothing in it is script, and every character of a text is escaped. Colors are laid over the
notebook's own, so that they can be read in a dark theme, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from ..engines.weights import Array, parameter_count
from ..errors import counted
from ..settings import ModelSettings
from ..text.visible import visible
from ..text.vocabulary import Vocabulary
from .storage.provenance import Provenance

LONGEST = 2000
"""Characters of a trace that are shown; each is an element of the page."""
MOST_KNOWN = 200
"""Characters of a vocabulary that are shown."""
MOST_BITS = 8
"""A surprisal beyond them has the same color, as on the page of `serve`."""
_AMBER = "238, 143, 60"


def model_html(shape: ModelSettings, vocabulary: Vocabulary, known: Provenance) -> str:
    """What a model is and how good it is, as a table.

    >>> page = model_html(ModelSettings(), Vocabulary.of("the fox"), Provenance())
    >>> "7 characters: " in page
    True
    """
    layers = f"{counted(shape.num_layers, 'layer')} of {shape.hidden_size}"
    parameters = parameter_count(shape, vocabulary.size)
    rows = {
        "network": f"{shape.cell}, {layers}, {counted(parameters, 'weight')}",
        "vocabulary": counted(vocabulary.size, vocabulary.kind[:-1]),
    }
    if vocabulary.kind == "characters":
        rows["vocabulary"] += ": " + visible(vocabulary.characters[:MOST_KNOWN])
        rows["vocabulary"] += " ..." if len(vocabulary.characters) > MOST_KNOWN else ""
    if known.step is not None:
        rows["trained"] = f"{known.step:,} of {counted(known.steps or known.step, 'step')}"
        if known.precision:
            rows["trained"] += f", {known.precision}"
    if known.validation is not None:
        held_out = known.validation
        rows["held out"] = (
            f"{held_out.bits_per_character:.3f} bits per character, "
            f"{counted(held_out.characters, 'character')}"
        )
    body = "".join(
        f'<tr><th style="text-align: left">{name}</th>'
        f'<td style="text-align: left; overflow-wrap: anywhere">{escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    return f"<table><caption><b>charloom.Model</b></caption>{body}</table>"


def text_html(
    symbols: Sequence[str],
    bits: Array,
    told: Callable[[int], str],
    kind: str = "characters",
) -> str:
    """A text, each character the more colored the more surprising it was.

    `bits` (T,) are those of the T symbols. Pointing at one shows what is `told` of its step. A
    longer text is cut after LONGEST symbols.

    >>> page = text_html("ab", np.array([8.0, 0.0]), lambda step: f"step {step}")
    >>> "2 characters, 4.00 bits each on average" in page
    True
    """
    shown = symbols[:LONGEST]
    body = "".join(
        f'<span title="{escape(told(step))}" style="background: rgba({_AMBER}, '
        f'{min(max(float(bits[step]) / MOST_BITS, 0.0), 1.0) * 0.8:.2f})">{_shown(symbol)}</span>'
        for step, symbol in enumerate(shown)
    )
    caption = f"{counted(len(symbols), kind[:-1])}, {float(np.mean(bits)):.2f} bits each on average"
    if len(shown) < len(symbols):
        caption += f"; the first {len(shown):,} are shown"
    return (
        '<div style="font-family: monospace; line-height: 1.6; white-space: pre-wrap; '
        f'overflow-wrap: anywhere">{body}</div><div><small>{caption}; the more surprising, the '
        "stronger the color</small></div>"
    )


def _shown(symbol: str) -> str:
    return "↵\n" if symbol == "\n" else escape(visible(symbol))
