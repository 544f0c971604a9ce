"""The page as one file, with a model in it: it needs no server and no network.

In the file are the page of `serve`, the core as WebAssembly, the model file and a first text; a
worker of the page computes what `serve` would be asked for. Its content security policy names
the hash of every script and style, and allows nothing else but that worker and its core.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import SettingsError, TextError, counted, short_repr
from ...files import replacing
from ...model.model import Model, Text, check_model
from ..first_view import FirstView, OpenOn
from ..opening import opening_units
from ..page_api import page_files

MOST_WEIGHTS = 2**26
"""Of a model in a page: 256 MB, which in a page are 350."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page in one file, and what it shows first."""

    __repr__ = short_repr

    html: str
    characters: int
    cut: bool
    """Whether the text that was given goes on."""


def save_page(
    model: Model,
    text: Text | None,
    path: str | Path,
    *,
    bits: Literal[8, 32] = 32,
    open_on: OpenOn = "newspaper",
) -> Page:
    """Write the page that `serve` shows as one HTML file, which works offline.

    The model is in it, and reads any text that is typed there, in float32; with 8 `bits` its
    matrices are rounded first, and the file is smaller. It first shows `text`, the first 100,000
    characters at most, or without one a text by the model. With `open_on="generate"` the form
    that generates texts is at the top, for readers who come for them. Returns the Page. TextError
    if the text cannot be read, SettingsError for a model of more than 67 million weights,
    OutputError if the file cannot be written.

    >>> import charloom, tempfile, pathlib
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "page.html"
    >>> page = charloom.save_page(model, "the cat", path)
    >>> page.characters, page.cut, path.read_text() == page.html
    (7, False, True)
    """
    page = export(model, text, bits=bits, open_on=open_on)
    with replacing(path) as file:
        file.write(page.html.encode())
    return page


def export(
    model: Model,
    text: Text | None = None,
    *,
    bits: Literal[8, 32] = 32,
    open_on: OpenOn = "newspaper",
) -> Page:
    """The page as a string, and what it shows; the errors are those of `save_page`."""
    check_model("model", model)
    if model.parameters > MOST_WEIGHTS:
        raise SettingsError(
            f"the model has {counted(model.parameters, 'weight')}; "
            f"a page holds at most {MOST_WEIGHTS:,}: "
            "look at it with the server, which needs no copy of them"
        )
    model = model.with_weights(model.weights, precision="float32")  # as the page computes
    first = FirstView.of(model, text, open_on)
    if not first.text:
        raise TextError("the text: empty; a page needs at least one character")
    model.vocabulary.encode(first.text)  # complain here and not in the page
    files = page_files()
    elements = {
        "first": json.dumps(first.to_json() | {"units": opening_units(model, first.text)}),
        "core.wasm": _packed(files["worker/core.wasm"]),
        "worker": _packed(worker_source(files).encode()),
        "model.safetensors": _packed(_model_file(model, bits)),
    }
    return Page(html=_assemble(files, elements), characters=len(first.text), cut=first.cut)


def worker_source(files: dict[str, bytes]) -> str:
    """The worker with the files that it imports before it, as one script."""
    source = files["worker/worker.js"].decode()
    imports = re.search(r"importScripts\((.*?)\);\n", source, re.S)
    assert imports
    names = re.findall(r'"([^"]+)"', imports[1])
    paths = [name[3:] if name.startswith("../") else f"worker/{name}" for name in names]
    return "\n".join([*(files[path].decode() for path in paths), source.replace(imports[0], "")])


def _model_file(model: Model, bits: Literal[8, 32]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path, bits=bits)
        return path.read_bytes()


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def _assemble(files: dict[str, bytes], elements: dict[str, str]) -> str:
    """The page with its files put where it names them, and its data after them, by id."""
    hashes: dict[str, list[str]] = {"script-src": ["'wasm-unsafe-eval'"], "style-src": []}

    def inline(kind: str, tag: str, content: str) -> str:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
        return f"<{tag}>{content}</{tag}>"

    page = files["page.html"].decode()
    page = re.sub(r' *<link rel="icon"[^>]*>\n', "", page)
    page = re.sub(
        r'<link rel="stylesheet" href="([^"]+)">',
        lambda match: inline("style-src", "style", files[match[1]].decode()),
        page,
    )
    scripts = re.findall(r' *<script defer src="([^"]+)"></script>\n', page)
    page = re.sub(r' *<script defer src="[^"]+"></script>\n', "", page)
    ending = [
        *_data(elements),
        *(inline("script-src", "script", files[script].decode()) for script in scripts),
    ]
    page = page.replace("</body>", "\n".join([*ending, "</body>"]))
    allowed = [f"{kind} {' '.join(known)}" for kind, known in hashes.items()]
    policy = "; ".join(
        [
            "default-src 'none'",
            *allowed,
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{meta}', 1)


def _data(elements: dict[str, str]) -> Iterator[str]:
    for name, content in elements.items():
        # Written so that no text can end the element that it stands in; base64 has no "<".
        yield f'<script type="text/plain" id="{name}">' + content.replace("<", r"\u003c")
        yield "</script>"
