"""Commands that use a model: generate, evaluate, score and info."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

import charloom

from ..settings import ComputingSettings, SamplingSettings
from . import formatting as tables
from .arguments import ModelPath, Texts, load, pieces_of, reading_flags, show
from .flags import chosen, flags


@flags(SamplingSettings)
@flags(ComputingSettings)
def generate(
    model: ModelPath,
    prompt: Annotated[str, typer.Option(help="the text to go on with")] = "",
    length: Annotated[int, typer.Option(help="characters to make (at least 0)")] = 500,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="STRING", help="end before this appears; may be repeated"),
    ] = None,
    count: Annotated[int, typer.Option(help="how many texts to make (at least 1)")] = 1,
    **values: Any,
) -> None:
    """Print text by a model, as it is made.

    The prompt comes first. Texts of a --count come when all are made, each on a line or,
    where they have lines, on several.
    """
    sampling = chosen(SamplingSettings, values)
    loaded = load(model, values)
    options = {"length": length, "stop": stop or None, **sampling.model_dump()}
    if count != 1:
        for text in loaded.generate_many(prompt, count=count, **options):
            print(prompt + text)
        return
    pieces = loaded.generate(prompt, **options)
    print(prompt, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


@reading_flags
def evaluate(
    model: ModelPath,
    text: Texts,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="read the text as one stream, which is slow"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    **values: Any,
) -> None:
    """Measure how well a model predicts a text.

    Prints bits per character and per byte of UTF-8, perplexity per character, the total in
    nats, and how many characters the model did not know. Without --exact the text is read
    as parallel segments, each warmed up on what stands before it: much faster, very near.
    It is computed in the precision that the model was trained in, unless --precision says
    otherwise; the precision and the kernels stand beside the numbers. With --precision int8 the
    last number is how many bits per character the rounding of the weights costs, beside float32.
    """
    loaded = load(model, values)
    pieces = pieces_of(loaded, text, values)
    if values["precision"] != "int8":
        found = tables.total(loaded.evaluate(pieces, exact=exact))
        show(found | loaded.computed_with, as_json)
        return
    whole = list(pieces)  # standard input cannot be read twice
    total = loaded.evaluate(whole, exact=exact)
    unrounded = load(model, values | {"precision": "float32"}).evaluate(whole, exact=exact)
    cost = total.bits_per_character - unrounded.bits_per_character
    found = tables.total(total) | loaded.computed_with
    show(found | {"int8_costs_bits_per_character": cost}, as_json)


@reading_flags
def score(
    model: ModelPath,
    text: Texts,
    by: Annotated[
        Literal["character", "word", "line"], typer.Option(help="the parts to show")
    ] = "line",
    format: Annotated[
        Literal["table", "json", "jsonl"],
        typer.Option(help="jsonl has a line per part, and the total in the last"),
    ] = "table",
    **values: Any,
) -> None:
    """Show how surprising each part of a text is.

    The parts add up exactly to the whole, read as one stream. Of a character the rank is
    shown, too: 1 if the model held it to be the likeliest.
    """
    loaded = load(model, values)
    parts = loaded.score(pieces_of(loaded, text, values), by=by)
    for piece in tables.written(parts, format, loaded.computed_with):
        print(piece, end="")


def info(
    model: ModelPath,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print all that is known of a model."""
    show(charloom.Model.load(model).describe(), as_json)
