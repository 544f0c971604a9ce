"""Commands that look into a model: serve, inspect, explain, memory and units."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import charloom

from ..errors import SettingsError
from ..inspection.settings import ContextSettings, RecallSettings, UnitsSettings
from ..settings import TrainingSettings
from .arguments import (
    Layer,
    Literally,
    ModelPath,
    OptionalTexts,
    Texts,
    beginning,
    given_text,
    load,
    pieces_of,
    reading_flags,
)
from .flags import chosen, flags


@reading_flags
def serve(
    model: ModelPath,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="what the page shows first"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="the address to serve; others than this machine can see it")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="the port (at least 0, at most 65535); 0 takes a free one")
    ] = 8000,
    browser: Annotated[
        bool, typer.Option("--browser", help="also open the page in this machine's browser")
    ] = False,
    **values: Any,
) -> None:
    """Open a page that shows what happens inside a model.

    Prints its address, and serves it to browsers on this machine until Ctrl-C. Without TEXT
    the page shows what the model itself writes. Of a long TEXT it shows the beginning.
    """
    from ..serving.guard import CHARACTERS
    from ..serving.server import serve as serve_page

    def ready(address: str) -> None:
        print(address, flush=True)
        if browser:
            import webbrowser

            webbrowser.open(address)  # where there is none, the address has been told

    loaded = load(model, values)
    shown = pieces_of(loaded, text, values) if text else loaded.generate(length=1000)
    serve_page(
        loaded,
        host=host,
        port=port,
        text=beginning(shown, CHARACTERS),
        ready=ready,
    )


@reading_flags
def inspect(
    model: ModelPath,
    text: OptionalTexts = None,
    literally: Literally = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write the page of `serve` as one file, for use offline"),
    ] = None,
    npz: Annotated[
        Path | None, typer.Option(metavar="FILE", help="arrays for NumPy, T x layers x units")
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="a row for each step and layer (needs pyarrow)"),
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="an object for each step")
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="a heat map of units x characters (needs matplotlib)"),
    ] = None,
    quantity: Annotated[
        Literal["f_t", "fC_t", "i_t", "g_t", "gi_t", "C_t", "o_t", "h_t"],
        typer.Option(help="what --png draws"),
    ] = "C_t",
    layer: Layer = None,
    **values: Any,
) -> None:
    """Write down what happens inside a model while it reads a text.

    For each layer and character f_t, fC_t, i_t, g_t, gi_t, C_t, o_t and h_t, with the
    character's log-probability, its rank, and what was likeliest instead. The text is read
    once for each file. It may be of any length, but a heat map holds 400 characters, and a
    page 64 MB of numbers: of a longer text, the beginning. A page of more than 4 million
    numbers rounds each to one of 256 steps, and says how far they are off.
    """
    paths = [path for path in (html, npz, parquet, as_json, png) if path is not None]
    if not paths:
        raise SettingsError(
            "nothing to write was named; give --html, --npz, --parquet, --json or --png FILE"
        )
    if text and "-" in text and len(paths) > 1:
        raise SettingsError("standard input can be read only once; name one file to write")
    loaded = load(model, values)

    def pieces() -> Iterator[str]:
        return given_text(loaded, text, literally, values)

    if html is not None:
        _write_page(loaded, pieces(), html)
    if npz or parquet or as_json or png:
        from ..inspection import files, pictures

        if npz is not None:
            files.write_npz(npz, loaded.trace_pieces(pieces()))
        if parquet is not None:
            files.write_parquet(parquet, loaded.trace_pieces(pieces()))
        if as_json is not None:
            files.write_json(as_json, loaded.trace_pieces(pieces()))
        if png is not None:
            trace = loaded.trace_pieces(pieces())
            pictures.plot_trace(png, trace, quantity=quantity, layer=layer)


def _write_page(model: charloom.Model, pieces: Iterator[str], path: Path) -> None:
    from ..files import replacing
    from ..serving.offline.page import export, room

    page = export(model, beginning(pieces, room(model) + 1))
    with replacing(path) as file:
        file.write(page.html.encode())
    if page.cut:
        print(f"charloom: {path}: holds the first {page.characters:,} characters", file=sys.stderr)
    if page.off:
        off = ", ".join(f"{name} {most:.2g}" for name, most in page.off.items())
        print(
            f"charloom: {path}: holds numbers in 256 steps; off by at most {off}", file=sys.stderr
        )


@reading_flags
def explain(
    model: ModelPath,
    text: OptionalTexts = None,
    literally: Literally = None,
    at: Annotated[
        int | None,
        typer.Option(metavar="N", help="the step to tell, from 0; negative ones from the end"),
    ] = None,
    unit: Annotated[
        int | None, typer.Option(metavar="N", help="tell of this unit alone, from 0")
    ] = None,
    layer: Layer = None,
    **values: Any,
) -> None:
    """Tell what happens in a model as it reads: the newspaper.

    A line for each character: how much of the article (the cell state) was struck out, how
    much was written, and how much of it the headline (the hidden state) shows. With --at,
    one step in the order in which it happens, its numbers in the equations. It is told in
    float32 unless --precision says otherwise, so that the equations come out.
    """
    from ..inspection import story

    if values["precision"] == "auto":
        values["precision"] = "float32"
    loaded = load(model, values)
    pieces = loaded.trace_pieces(given_text(loaded, text, literally, values))
    if at is not None:
        trace = story.around(pieces, at)
        lines = story.tell_step(loaded, trace, at, unit=unit, layer=layer)
    elif unit is not None:
        lines = story.tell_unit(loaded, pieces, unit, layer)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
        lines = story.tell_text(loaded, pieces, layer, width=width)
    for line in lines:
        print(line)


@flags(RecallSettings, only=("hidden_size", "steps", "seeds", "seed"))
@flags(ContextSettings, only=("characters", "places"))
@reading_flags
def memory(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="a model file, or the folder of a run"),
    ] = None,
    text: OptionalTexts = None,
    far: Annotated[
        int | None,
        typer.Option(
            "--distance", metavar="N", help="how far to look; by default 64, or 256 in a model"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    **values: Any,
) -> None:
    """Measure how far back a network remembers.

    Without a MODEL, train an LSTM and plain RNNs of equal size to recall a symbol after
    more and more other characters; --hidden-size, --steps, --seeds and --seed are of those
    networks. It shows what is learned in so many steps, and is no limit of what an RNN can hold.
    With one, measure how far back it looks in a text: bits per character with only so many
    characters before each, and what changes when the character n steps back is another.
    """
    from dataclasses import asdict

    from ..inspection.memory import context, recall

    changes: dict[str, Any] = {"seed": values["seed"]}
    if far is not None:
        changes["distance"] = far
    if model is None:
        changes |= {name: values[name] for name in ("hidden_size", "steps", "seeds")}
        threads = TrainingSettings(threads=values["threads"]).threads
        for found in recall.recall(threads=threads, **changes):
            lines = [json.dumps(asdict(found))] if as_json else [*recall.table(found), ""]
            print(*lines, sep="\n", flush=True)
        return
    if not text:
        raise SettingsError("TEXT is missing; name a file, a folder, or - for stdin")
    changes |= {name: values[name] for name in ("characters", "places")}
    loaded = load(model, values)
    report = context.context(loaded, pieces_of(loaded, text, values), **changes)
    if as_json:
        print(json.dumps(asdict(report), indent=1))
    else:
        print(*context.table(report), sep="\n")


@flags(UnitsSettings)
@reading_flags
def units(
    model: ModelPath,
    text: Texts,
    pattern: Annotated[
        list[str] | None,
        typer.Option(metavar="REGEX", help="what it matches is a label, too; may be repeated"),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START:STOP", help="these characters, together, are a label; may be repeated"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    **values: Any,
) -> None:
    """Find units and gates that follow something with a name, and test the claims.

    Labels are quotes, brackets, the place in the line and in the word, capitals, digits,
    line starts, the next character, and what --pattern and --select say. The first half of
    the text is searched; a claim's score, a correlation, is that on the second half. Beside
    it stand what the same search finds with shuffled labels and in the untrained network,
    and the bits that are lost when the unit is held at its mean.
    """
    from dataclasses import asdict

    from ..inspection.units import search
    from ..inspection.units.report import table

    settings = chosen(UnitsSettings, values)
    selections = [_selection(given) for given in select or []]
    loaded = load(model, values)
    report = search.units(
        loaded,
        pieces_of(loaded, text, values),
        patterns=pattern or [],
        selections=selections,
        **settings.model_dump(),
    )
    if as_json:
        print(json.dumps(asdict(report), indent=1, ensure_ascii=False))
    else:
        print(*table(report), sep="\n")


def _selection(given: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+):(\d+)", given)
    if match is None:
        raise SettingsError(f"select: {given!r} was given; it must be START:STOP, as in 10:25")
    return int(match[1]), int(match[2])
