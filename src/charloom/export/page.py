"""A model as the page of `serve`, in one HTML file that works offline."""

from __future__ import annotations

from pathlib import Path

from ..model.model import Model
from ..serving.first_view import OpenOn
from ..serving.offline.page import save_page


def save(model: Model, path: str | Path, open_on: OpenOn = "newspaper") -> None:
    """Write the page, which opens with a text by the model."""
    save_page(model, None, path, open_on=open_on)
