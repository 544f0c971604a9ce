"""Models that come with charloom, known by their names, and where the file of a model is."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelFileError
from ..files import named
from .storage.container import MODEL_FILE

BASES = {"english": "shipped/english.safetensors"}
"""Where each is in this folder; docs/howto/base.md has their texts and licences."""


def find(given: str | Path) -> Path:
    """The model file that a path, the folder of a run, or the name of a base means.

    A file or folder of that name comes before a base.

    >>> find("english").name
    'english.safetensors'
    """
    path = named(given)
    if str(given) in BASES and not path.exists():
        return Path(__file__).parent / BASES[str(given)]
    if path.is_dir():
        path /= MODEL_FILE
        if not path.exists():
            raise ModelFileError(
                f"{path.parent}: holds no {MODEL_FILE}; give the folder of a run that "
                "has saved a model, or a model file"
            )
    return path
