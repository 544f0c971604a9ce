"""The command copied: how much of samples stands in the text that a model was trained on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import charloom

from ..errors import shown
from ..settings import AmountSettings, SamplingSettings, check_within
from . import formatting
from .arguments import (
    READING,
    AsJson,
    ModelPath,
    load,
    pieces_of,
    reading_flags,
    temperature_flag,
    text_name,
)
from .flags import chosen, flags, refuse
from .marking import When, in_color, marked
from .streams import flush, say

_SHOWN = 300  # characters of a span, which may be a whole book; JSON has all of it

_Training = Annotated[
    Any,
    typer.Argument(
        parser=text_name,
        metavar="TRAINING-TEXT",
        help="what the model was trained on: a file, folder, glob, or - for stdin",
    ),
]
_Samples = Annotated[
    list[Any] | None,
    typer.Argument(
        parser=text_name,
        metavar="SAMPLES",
        help="files, folders or globs to look at; without any, the model generates samples",
    ),
]


@reading_flags
@flags(SamplingSettings, only=("seed",))
@temperature_flag
@flags(SamplingSettings, only=("top_k", "top_p"))
@flags(AmountSettings, only=("count",), instead="20, or 1,000 of a model of lines")
@flags(AmountSettings, only=("length",), instead="1,000")
def copied(
    context: typer.Context,
    model: ModelPath,
    training_text: _Training,
    samples: _Samples = None,
    held_out: Annotated[
        Any,
        typer.Option(
            parser=text_name,
            metavar="FILE",
            help="a text that was not trained on, for comparison; by default the part of "
            "TRAINING-TEXT that was held out",
        ),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="characters of an n-gram that is counted; may be repeated"),
    ] = None,
    spans: Annotated[int, typer.Option(help="longest spans to show (at least 0)")] = 5,
    mark: Annotated[
        int, typer.Option(help="mark copied spans of so many characters (at least 1)")
    ] = 30,
    show: Annotated[
        int | None,
        typer.Option(help="samples to show with their spans marked; by default 1, or 10 lines"),
    ] = None,
    as_json: AsJson = False,
    color: When = "auto",
    **values: Any,
) -> None:
    """Measure how much of a model's text is copied from its training text (needs pydivsufsort).

    Prints the share of n-grams (n characters in a row) that stand nowhere in the training text, and
    the longest spans that do, for samples and for as much text that was held out. A model that
    copies has fewer new n-grams than held-out text has, and longer spans.

    For example:

        charloom copied book.run book.txt
    """
    if samples:
        names = [*SamplingSettings.model_fields, *AmountSettings.model_fields]
        refuse(context, names, "is for samples that the model generates, and SAMPLES were given")
    for name, value, least in (("spans", spans, 0), ("mark", mark, 1), ("show", show or 0, 0)):
        check_within(name, value, least)
    loaded = load(model, values)
    reading = {name: values[name] for name in READING}
    amount = chosen(AmountSettings, values)
    found = charloom.copied(
        loaded,
        training_text,
        pieces_of(loaded, samples, reading) if samples else None,
        held_out=None if held_out is None else pieces_of(loaded, [held_out], reading),
        count=values["count"] and amount.count,
        length=amount.length if values["length"] else 1000,
        sampling=chosen(SamplingSettings, values),
        **({"sizes": size} if size else {}),
    )
    if as_json:
        drawn = {"precision": loaded.engine.precision, "kernels": loaded.engine.kernels}
        say(formatting.as_json(found.to_json(spans=spans) | ({} if samples else drawn)))
        return
    if not samples:
        say(f"samples drawn at temperature {values['temperature']:g}")
    for line in _table(found, spans):
        say(line)
    colored = in_color(color)
    shown = show if show is not None else 10 if loaded.lines else 1
    places = zip(found.samples.texts[:shown], found.samples.spans(mark), strict=False)
    for number, (text, copies) in enumerate(places, start=1):
        if number == 1 or not loaded.lines:
            say("\nsamples" if loaded.lines else f"\nsample {number}")
        for line, inside in _lines(text, copies):
            flush(f"{marked(line, inside, colored)}\n")


def _table(found: charloom.CopyReport, spans: int) -> list[str]:
    """Shares of new n-grams, and the longest spans, as lines."""
    columns = [("samples", found.samples)]
    if found.held_out is not None:
        columns.append(("held out", found.held_out))
    lines = [
        "".join(f"{name:>12}" for name in ("", *(name for name, _ in columns))),
        "".join(
            f"{cell:>12}" for cell in ("characters", *(f"{p.characters:,}" for _, p in columns))
        ),
        "new n-grams",
    ]
    for n in found.sizes:
        shares = (part.new(n) for _, part in columns)
        cells = ("-" if share is None else f"{100 * share:.1f} %" for share in shares)
        lines.append("".join(f"{cell:>12}" for cell in (n, *cells)))
    if found.copied_lines is not None:
        lines.append(f"whole lines that are copied: {100 * found.copied_lines:.1f} %")
    for name, part in columns:
        longest = part.longest(spans)
        if longest:
            lines += [
                "",
                f"longest spans of {'the samples' if name == 'samples' else 'held-out text'}",
            ]
            lines += [f"{len(one.text):12,}  {shown(one.text, _SHOWN)}" for one in longest]
    return lines


def _lines(text: str, spans: list[tuple[int, int]]) -> list[tuple[str, list[tuple[int, int]]]]:
    """The lines of a text, each with what of the spans is in it."""
    found, start = [], 0
    for line in text.split("\n"):
        stop = start + len(line)
        inside = [(max(a, start) - start, min(b, stop) - start) for a, b in spans]
        found.append((line, [(a, b) for a, b in inside if a < b]))
        start = stop + 1
    return found
