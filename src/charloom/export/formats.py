"""Which file has which format, by the end of its name; only that format's module is loaded."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError, shown
from ..files import named
from ..model.model import Model, check_model
from ..model.storage.characters import Characters

if TYPE_CHECKING:  # since it loads the server
    from ..serving.first_view import OpenOn

WRITTEN = {
    ".onnx": "onnx",
    ".keras": "keras",
    ".html": "page",
    ".safetensors": "safetensors",
}
_ONLY = {"stateful": ".keras", "open_on": ".html"}  # the format that an option is for
READ = {".keras": "keras_file", ".safetensors": "safetensors"}


def export_model(
    model: Model,
    path: str | Path,
    *,
    stateful: bool = False,
    open_on: OpenOn = "newspaper",
) -> None:
    """Write a model in the format that the end of the name says: .onnx, .keras, .html.

    `stateful` is for .keras: a network that reads one text and goes on where it stopped.
    `open_on` is for .html: what stands at the top of the page, "newspaper" or "generate".
    SettingsError for another format, or where what it needs is not installed; OutputError if
    the file cannot be written.

    >>> import charloom, pathlib, tempfile
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> charloom.export_model(model, folder / "cat.safetensors")
    >>> charloom.import_model(folder / "cat.safetensors").digest == model.digest
    True
    """
    check_model("model", model)
    format = _module(named(path), WRITTEN)
    usual = {"stateful": False, "open_on": "newspaper"}
    given = {"stateful": stateful, "open_on": open_on}
    options = {name: value for name, value in given.items() if value != usual[name]}
    for name in options:
        if named(path).suffix != _ONLY[name]:
            raise SettingsError(f"{name}: it is for a {_ONLY[name]} file alone; leave it out")
    format.save(model, path, **options)


def import_model(path: str | Path, characters: Characters | Path | None = None) -> Model:
    """The model of a .keras file, or of a safetensors file that another program has changed.

    `characters` say what the ids of a file from elsewhere stand for: a Vocabulary, a mapping from
    character to id, characters in the order of their ids, or the Path of a JSON file with one of
    these. ModelFileError for a file that is
    damaged or has a part that charloom has not, by its name; nothing in it is executed.

    >>> import charloom, pathlib, safetensors.numpy, tempfile
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "cat.safetensors"
    >>> model.save(path)
    >>> tensors = safetensors.numpy.load_file(path)
    >>> tensors["head.bias"][0] = 7
    >>> safetensors.numpy.save_file(tensors, path)  # loses the vocabulary, too
    >>> float(charloom.import_model(path, vocabulary).weights["head.bias"][0])
    7.0
    """
    return _module(named(path), READ).load(path, characters)


def _module(path: Path, formats: dict[str, str]) -> Any:
    if path.suffix not in formats:
        raise SettingsError(
            f"{shown(path)}: the format is told by the end of the name; it must be one of "
            f"{', '.join(formats)}"
        )
    return import_module(f".{formats[path.suffix]}", __package__)
