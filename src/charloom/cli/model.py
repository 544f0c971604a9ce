"""Commands that use a model: generate, evaluate, score and info."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import charloom

from ..errors import SettingsError
from ..settings import AmountSettings, ComputingSettings, SamplingSettings
from . import formatting
from .arguments import (
    READING,
    AsJson,
    ModelPath,
    Texts,
    load,
    path,
    pieces_of,
    reading_flags,
    show,
    text_name,
)
from .flags import chosen, flags
from .streams import say, tell


@flags(ComputingSettings)
@flags(SamplingSettings, only=("seed",), instead="a new one, told on standard error")
@flags(SamplingSettings, only=("temperature", "top_k", "top_p"))
@flags(AmountSettings)
def generate(
    model: ModelPath,
    prompt: Annotated[
        str | None, typer.Option(metavar="STRING", help="the text to continue")
    ] = None,
    prompt_file: Annotated[
        Any,
        typer.Option(
            parser=text_name, metavar="FILE", help="continue the text of a file, or - for stdin"
        ),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="STRING", help="end before this text; may be repeated"),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="go on after the text whose state is in this file"
        ),
    ] = None,
    state_out: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="write the state after the text to this file"
        ),
    ] = None,
    **values: Any,
) -> None:
    """Generate text with a model and print it as it is made.

    The prompt is printed first. With --count all texts are printed at the end, one after
    another. The same --seed gives the same text.

    A long text need be read only once: --state-out keeps what the model knows after it, also with
    --length 0, and --state goes on from there. With the same --seed a text in two halves is that
    of one command.

    For example:

        charloom generate book.run --prompt "The Fox" --temperature 0.7
    """
    if prompt is not None and prompt_file is not None:
        raise SettingsError("give either --prompt or --prompt-file, not both")
    fresh = values["seed"] is None
    if fresh:
        values["seed"] = secrets.randbelow(2**31)
    sampling, amount = chosen(SamplingSettings, values), chosen(AmountSettings, values)
    loaded = load(model, values)
    if prompt_file is not None:
        prompt = "".join(pieces_of(loaded, [prompt_file], dict.fromkeys(READING)))
    prompt = loaded.normalized(prompt or "", "prompt")
    if state_out is not None and amount.count > 1:
        raise SettingsError("state_out: it is of one text, and --count is more than 1", "state_out")
    before = charloom.TextState.load(state) if state is not None else None
    options = {
        "state": before,
        "length": amount.length,
        "stop": stop or None,
        **sampling.model_dump(),
    }
    if amount.count == 1:
        pieces = loaded.generate(prompt, **options)
    else:
        pieces = loaded.generate_many(prompt, count=amount.count, **options)
    if fresh:
        tell(f"seed {sampling.seed}")
    if amount.count > 1:
        for text in pieces:
            say(prompt + text)
        return
    say(prompt, end="")
    written: list[str] = []
    for piece in pieces:
        say(piece, end="")
        written.append(piece)
    say("")
    if state_out is not None:
        loaded.state_after(
            charloom.InMemory(prompt) if prompt else "", before, generated="".join(written)
        ).save(state_out)


@reading_flags
def evaluate(
    model: ModelPath,
    text: Texts,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="read the text as one stream, which is slow"),
    ] = False,
    as_json: AsJson = False,
    **values: Any,
) -> None:
    """Measure how well a model predicts a text.

    Prints bits per character and per byte of UTF-8, perplexity per character, the total
    surprisal in nats, and the number of characters that the model does not know. Unless
    --exact is given, the text is read as parallel segments, each warmed up on the text before
    it: much faster, and a close approximation. It is computed in the precision that the
    model was trained in, unless --precision says otherwise; precision and kernels stand
    beside the numbers. With --precision int8 the last line says how
    many bits per character 8-bit weights cost in comparison with float32.

    For example:

        charloom evaluate book.run other.txt
    """
    loaded = load(model, values)
    pieces = pieces_of(loaded, text, values)
    if values["precision"] != "int8":
        found = formatting.total(loaded.evaluate(pieces, exact=exact))
        show(found | loaded.computed_with, as_json)
        return
    whole = list(pieces)  # standard input cannot be read twice
    total = loaded.evaluate(whole, exact=exact)
    unrounded = load(model, values | {"precision": "float32"}).evaluate(whole, exact=exact)
    cost = total.bits_per_character - unrounded.bits_per_character
    found = formatting.total(total) | loaded.computed_with
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
        typer.Option(help="jsonl has a line for each part, and the total in the last"),
    ] = "table",
    **values: Any,
) -> None:
    """Show how surprising each part of a text is.

    The surprisals of the parts add up exactly to that of the whole, read as one stream. For
    characters the rank is shown too: 1 if the model found the character likeliest.

    For example:

        charloom score book.run other.txt --by word
    """
    loaded = load(model, values)
    parts = loaded.score(pieces_of(loaded, text, values), by=by)
    for piece in formatting.written(parts, format, loaded.computed_with):
        say(piece, end="")


def info(model: ModelPath, as_json: AsJson = False) -> None:
    """Print everything that is known about a model.

    For example:

        charloom info book.run
    """
    show(charloom.Model.load(model).describe(), as_json)
