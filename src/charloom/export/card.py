"""A model card: the README.md of a model, with the front matter that model hubs read.

Source of the front matter's keys: https://huggingface.co/docs/hub/model-cards. Its values are
written as JSON, which is YAML, too, so that no text can break out of one.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import counted
from ..model.model import Model, check_model
from ..model.storage.container import MODEL_FILE


def card(model: Model) -> str:
    """The card, from what the model file knows; what is not known is left out.

    >>> import charloom
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> print(charloom.card(model)[:68])
    ---
    library_name: "charloom"
    pipeline_tag: "text-generation"
    tags: [
    """
    check_model("model", model)
    front = "".join(f"{key}: {json.dumps(value)}\n" for key, value in _front(model).items())
    parts = [f"---\n{front}---\n", _title(model), _measured(model), _training(model), _use(model)]
    return "\n".join(part for part in parts if part)


def _front(model: Model) -> dict[str, Any]:
    front: dict[str, Any] = {
        "library_name": "charloom",
        "pipeline_tag": "text-generation",
        "tags": ["character-level", "language-model", model.settings.cell, "safetensors"],
    }
    score = model.provenance.validation
    if score is not None:
        metrics = [
            {"type": "bits_per_character", "value": round(score.bits_per_character, 4)},
            {"type": "perplexity", "value": round(2**score.bits_per_character, 3)},
        ]
        found = {
            "task": {"type": "text-generation"},
            "dataset": {"type": "text", "name": "held-out part of the training text"},
            "metrics": metrics,
        }
        front["model-index"] = [{"name": _name(model), "results": [found]}]
    return front


def _name(model: Model) -> str:
    shape = model.settings
    return f"charloom {shape.cell} {shape.num_layers} x {shape.hidden_size}"


def _title(model: Model) -> str:
    shape, vocabulary = model.settings, model.vocabulary
    layers = f"{counted(shape.num_layers, 'layer')} of {counted(shape.hidden_size, 'unit')}"
    inputs = f"an embedding of {shape.embedding_size}" if shape.embedding_size else "one-hot input"
    unknown = ", the unknown character among them" if vocabulary.has_unknown else ""
    lines = "It was trained on lines, each a text of its own.\n" if model.lines else ""
    return (
        f"# {_name(model)}\n\n"
        f"A character-level language model: {shape.cell.upper()}, {layers}, {inputs}, "
        f"{counted(model.parameters, 'weight')}. It knows "
        f"{counted(vocabulary.size, vocabulary.kind[:-1])}{unknown}.\n"
        f"{lines}"
    )


def _measured(model: Model) -> str:
    score = model.provenance.validation
    if score is None:
        return ""
    return (
        "## Measured\n\n"
        f"**{score.bits_per_character:.4f} bits per character** over "
        f"{counted(score.characters, 'character')} "
        "of held-out text, each counted once, with the state carried along; characters "
        f"that the model does not know ({score.unknown_characters:,}) count in full.\n"
    )


def _training(model: Model) -> str:
    known, rows = model.provenance, []
    if known.corpus is not None:
        rows.append(("text", counted(known.corpus.characters, "character")))
        rows.append(("SHA-256 of the text", f"`{known.corpus.sha256}`"))
    if known.split is not None:
        for name, part in (
            ("trained on", known.split.training),
            ("held out", known.split.validation),
        ):
            rows.append((name, counted(part.stop - part.start, "character")))
    if known.step is not None:
        rows.append(("optimizer steps", f"{known.step:,}"))
    if known.training is not None:
        names = ["batches", "batch_size", "sequence_length", "learning_rate", "dropout", "seed"]
        names += ["members"] if known.training.members > 1 else []
        rows += [(f"`{name}`", str(getattr(known.training, name))) for name in names]
    if known.precision is not None:
        rows.append(("precision", known.precision))
    rows.append(("digest of vocabulary and weights", f"`{model.digest}`"))
    table = "".join(f"| {name} | {value} |\n" for name, value in rows)
    return f"## Training\n\n| | |\n| --- | --- |\n{table}"


def _use(model: Model) -> str:
    return (
        "## Use\n\n"
        "```python\n"
        "import charloom\n\n"
        f'model = charloom.Model.load("{MODEL_FILE}")\n'
        'print("".join(model.generate(length=300, seed=1)))\n'
        "```\n\n"
        "The file is in the safetensors format, with the names and shapes of PyTorch's layers.\n\n"
        "A model of characters has the form of its text; it does not know what is true, and it "
        "repeats what is in its text, be that private, wrong or offensive.\n"
    )
