"""The page as one file, with a model's numbers in it: it needs no server and no network.

Its content security policy names the hash of every script and style in it, and allows
nothing else. The numbers are float32, as traced, so what the page shows is exact.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from threading import Lock

from ..model import Model
from ..text.reading import InMemory, read
from .app import page_files
from .passage import Passage, encoded

KEPT_BYTES = 24 * 2**20
"""Of numbers in one file; base64 makes a third more of them. A longer text is cut."""

STORED = ("f_t", "i_t", "g_t", "C_t", "o_t", "h_t")
"""The quantities in the file; the page multiplies fC_t and gi_t, in float32, itself."""


def room(model: Model) -> int:
    """How many characters of a text fit into one file.

    >>> from charloom import ModelSettings
    >>> from charloom.network import initial_weights
    >>> from charloom.text.vocabulary import Vocabulary
    >>> vocabulary, settings = Vocabulary.of("banana"), ModelSettings(hidden_size=512)
    >>> room(Model(settings, vocabulary, initial_weights(settings, 3, seed=0)))
    1024
    """
    quantities = len(STORED) if model.settings.cell == "lstm" else 1
    settings = model.settings
    return max(1, KEPT_BYTES // (4 * quantities * settings.num_layers * settings.hidden_size))


def export(model: Model, text: str) -> str:
    """A page, as HTML, that shows what the model made of a text, or of its beginning.

    TextError if the text cannot be read.
    """
    text = "".join(read(InMemory(text), model.text_settings))
    kept = room(model)
    passage = Passage(model, text[:kept], Lock())
    blocks = list(passage.blocks())
    names = [name for name in passage.quantities if name in STORED]
    data = {
        **passage.heading(),
        "blocks": blocks,
        "cut": len(text) > kept,
        "stored": [
            {name: encoded(passage.values(layer, [name], 0, len(passage.ids))) for name in names}
            for layer in range(model.settings.num_layers)
        ],
    }
    return _assemble(page_files(), json.dumps(data, separators=(",", ":")))


def _assemble(files: dict[str, str], data: str) -> str:
    """The page with its files put where it names them."""
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
    # "<" is written so that no text can end the element that it stands in.
    stored = '<script type="application/json" id="data">' + data.replace("<", r"\u003c")
    ending = [stored + "</script>", *(inline("script-src", "script", files[s]) for s in scripts)]
    page = page.replace("</body>", "\n".join([*ending, "</body>"]))
    allowed = [f"{kind} {' '.join(known)}" for kind, known in hashes.items()]
    policy = "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{meta}', 1)
