"""The page as one file, with a model's numbers in it: it needs no server and no network.

Its content security policy names the hash of every script and style in it, and allows
nothing else. Numbers are stored as packing.py says: exactly where the text is short enough,
else in 256 steps, and then the page says how far they are from the truth.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...engines.cell import CELLS
from ...files import replacing
from ...model.model import Model, Text
from ...text.reading import InMemory, beginning, read
from ..activations import BlockCache, TracedText
from ..opening import opening_units
from ..page_api import page_files
from .packing import pack

EXACT_BYTES = 2**24
"""Of float32 numbers in one file; more than that are stored in short."""

SHORT_BYTES = 2**26
"""Of numbers in short in one file; a longer text is cut."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page in one file, and what it holds."""

    html: str
    characters: int
    cut: bool
    """Whether the text goes on."""
    off: dict[str, float]
    """By quantity, how far its numbers are from the truth, at most; empty if they are exact."""


def save_page(model: Model, text: Text, path: str | Path) -> Page:
    """Write the page that `serve` shows as one HTML file, which works offline.

    It holds the beginning of the text, 64 MB of numbers at most. Returns the Page: how many
    characters it holds, and how far its numbers are from the exact ones. TextError if the text
    cannot be read, OutputError if the file cannot be written.

    >>> import charloom, tempfile, pathlib
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "page.html"
    >>> page = charloom.save_page(model, "the cat", path)
    >>> page.characters, page.cut, path.read_text() == page.html
    (7, False, True)
    """
    page = export(model, beginning(model.pieces(text), room(model) + 1))
    with replacing(path) as file:
        file.write(page.html.encode())
    return page


def room(model: Model) -> int:
    """How many characters of a text fit into one file.

    >>> from charloom import ModelSettings
    >>> from charloom.engines.weights import initial_weights
    >>> from charloom.text.vocabulary import Vocabulary
    >>> vocabulary, settings = Vocabulary.of("banana"), ModelSettings(hidden_size=512)
    >>> room(Model(settings, vocabulary, initial_weights(settings, 3, seed=0)))
    16384
    """
    return max(1, SHORT_BYTES // _numbers(model))


def export(model: Model, text: str) -> Page:
    """A page that shows what the model made of a text, or of its beginning.

    TextError if the text cannot be read.
    """
    text = "".join(read(InMemory(text), model.text_settings))
    kept, cut = text[: room(model)], len(text) > room(model)
    traced = TracedText(model, kept, BlockCache())
    blocks = list(traced.blocks())
    short = 4 * _numbers(model) * len(traced.ids) > EXACT_BYTES
    off: dict[str, float] = {}
    planes: dict[str, str] = {}
    heading = traced.heading()
    cell = CELLS[model.settings.cell]
    for layer in range(model.settings.num_layers):
        values = traced.values(layer, traced.quantities, 0, len(traced.ids))
        exact = dict(zip(traced.quantities, values, strict=True))
        packed = pack(cell, exact, before=traced.before[layer], fresh=traced.fresh, short=short)
        planes |= {f"{name} {layer}": plane for name, plane in packed.planes.items()}
        off = {name: max(most, off.get(name, 0)) for name, most in packed.off.items()}
    named = opening_units(model, kept)
    data = {**heading, "blocks": blocks, "cut": cut, "off": off, "named": named}
    elements = {"data": json.dumps(data, separators=(",", ":")), **planes}
    html = _assemble(page_files(), elements)
    return Page(html=html, characters=len(kept), cut=cut, off=off)


def _numbers(model: Model) -> int:
    """Stored for each character."""
    settings = model.settings
    return len(CELLS[settings.cell].stored) * settings.num_layers * settings.hidden_size


def _assemble(files: dict[str, str], elements: dict[str, str]) -> str:
    """The page with its files put where it names them, and its data after them, by id."""
    hashes: dict[str, list[str]] = {"script-src": [], "style-src": []}

    def inline(kind: str, tag: str, content: str) -> str:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
        return f"<{tag}>{content}</{tag}>"

    page = files["page.html"]
    page = re.sub(r' *<link rel="icon"[^>]*>\n', "", page)
    page = re.sub(
        r'<link rel="stylesheet" href="([^"]+)">',
        lambda match: inline("style-src", "style", files[match[1]]),
        page,
    )
    scripts = re.findall(r' *<script defer src="([^"]+)"></script>\n', page)
    page = re.sub(r' *<script defer src="[^"]+"></script>\n', "", page)
    ending = [*_data(elements), *(inline("script-src", "script", files[s]) for s in scripts)]
    page = page.replace("</body>", "\n".join([*ending, "</body>"]))
    allowed = [f"{kind} {' '.join(known)}" for kind, known in hashes.items()]
    policy = "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{meta}', 1)


def _data(elements: dict[str, str]) -> Iterator[str]:
    for name, content in elements.items():
        # Written so that no text can end the element that it stands in; base64 has no "<".
        yield f'<script type="text/plain" id="{name}">' + content.replace("<", r"\u003c")
        yield "</script>"
