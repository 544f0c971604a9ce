"""A model as the page of `serve`, in one HTML file that works offline."""

from __future__ import annotations

from pathlib import Path

from ..model.model import Model
from ..serving.offline.page import save_page

LENGTH = 1000
"""Characters of the text that the page opens with, which the model generates."""


def save(model: Model, path: str | Path) -> None:
    """Write the page, with a text by the model."""
    save_page(model, "".join(model.generate(length=LENGTH)), path)
