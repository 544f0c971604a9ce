"""Commands that take a model elsewhere, and back: export, import and card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import charloom

from .arguments import ModelPath, OpenOn, path
from .streams import say


def export(
    model: ModelPath,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            parser=path,
            metavar="FILE",
            help="the file to write: .onnx, .keras, .html or .safetensors",
        ),
    ],
    stateful: Annotated[
        bool,
        typer.Option(
            "--stateful",
            help="of .keras: the form that reads one text and goes on where it stopped",
        ),
    ] = False,
    open_on: OpenOn = "newspaper",
) -> None:
    """Write a model in the format of another program.

    The end of the file's name says which: .onnx for onnxruntime and others (needs onnx), .keras
    for Keras 3 (needs keras), .html for the page of `serve`, which works offline. An ONNX file
    takes ids and states and gives logits and states; a Keras model takes one-hot characters, or
    ids where the model has an embedding, and gives logits. For PyTorch there is
    `charloom.Model.to_torch` in Python.

    For example:

        charloom export book.run -o book.onnx
        charloom export names.run -o names.html --open-on generate
    """
    charloom.export_model(charloom.Model.load(model), output, stateful=stateful, open_on=open_on)


def import_(
    file: Annotated[
        Path,
        typer.Argument(parser=path, metavar="FILE", help="a .keras or .safetensors file"),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", parser=path, metavar="FILE", help="the model file to write"),
    ],
    characters: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            metavar="FILE",
            help="JSON that says what the ids stand for: a list of characters, a string, or an "
            "object from character to id; by default, what the file says itself",
        ),
    ] = None,
) -> None:
    """Make a model of a file that another program wrote or changed.

    A Keras Sequential of LSTM, GRU or SimpleRNN layers and a Dense, with one-hot input or an
    Embedding, becomes a model with the same probabilities; a layer that charloom has not is
    refused by its name, and nothing in the file is executed. A safetensors file that was changed
    elsewhere is checked and gets a new digest.

    For example:

        charloom import blog.keras --characters letters.json -o blog.safetensors
    """
    charloom.import_model(file, characters).save(output)


def card(model: ModelPath) -> None:
    """Print a model card: the README.md that model hubs show beside a model.

    Its front matter is what hubs read. All of it is from the model file: what it was trained on
    and how, what was measured, and how to use it. A license and a language are yours to add.

    For example:

        charloom card book.run > README.md
    """
    say(charloom.card(charloom.Model.load(model)), end="")
