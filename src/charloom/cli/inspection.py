"""Commands that look into a model: serve, inspect, explain, units, context and recall."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import charloom

from ..errors import OutputError, SettingsError, counted
from ..inspection.settings import ContextSettings, RecallSettings, UnitsSettings
from ..settings import ComputingSettings
from . import formatting
from .arguments import (
    AsJson,
    Layer,
    Literally,
    ModelPath,
    OpenOn,
    OptionalTexts,
    Texts,
    given_text,
    load,
    path,
    pieces_of,
    reading_flags,
    tell_computed,
    text_name,
)
from .flags import chosen, flags, refuse
from .streams import is_terminal, say, tell


@reading_flags
def serve(
    model: ModelPath,
    more: Annotated[
        list[Any] | None,
        typer.Argument(
            parser=text_name,
            metavar="MODEL|TEXT",
            help="more models: folders of runs, or files that end in .safetensors; all else is a "
            "text (files, folders, globs, or -) for the page",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="the address to serve; any but this one is open to other machines")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="the port (at least 0, at most 65535); 0 takes a free one")
    ] = 8000,
    open_on: OpenOn = "newspaper",
    browser: Annotated[
        bool, typer.Option("--browser", help="also open the page in this machine's browser")
    ] = False,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="CHARLOOM_API_KEY",
            show_envvar=False,
            metavar="KEY",
            help="what every request has to bring; by default the variable CHARLOOM_API_KEY, "
            "which other users of this machine do not see",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="a name that others have for this machine; repeat it"),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE", help="a site whose pages may use the API (https://...); repeat it"
        ),
    ] = None,
    **values: Any,
) -> None:
    """Open a page that shows what happens inside a model, and an API for programs.

    Prints the page's address and serves it to browsers on this machine until Ctrl-C. The page
    first shows the beginning of TEXT, or without one a text by the model. Under /v1 of the same
    address OpenAI's clients get texts and scores from every model given, by the name of its file
    or folder (docs/serving.md); the page is that of the first.

    For example:

        charloom serve book.run book.txt
        charloom serve book.run verse.run --port 8001
    """

    def ready(address: str) -> None:
        try:
            say(address)
        except OutputError:  # a server without standard output is still one
            tell(address)
        if browser:
            import webbrowser

            webbrowser.open(address)  # where there is none, the address has been told

    paths = [model, *(Path(str(one)) for one in more or [] if _is_model(one))]
    text = [one for one in more or [] if not _is_model(one)]
    models: dict[str, charloom.Model] = {}
    for one in paths:
        name = one.resolve().stem
        if name in models:
            raise SettingsError(f"two models are called {name!r}; rename one of them")
        models[name] = load(one, values)
    shown = pieces_of(models[paths[0].resolve().stem], text, values) if text else None
    charloom.serve(
        models,
        shown,
        host=host,
        port=port,
        open_on=open_on,
        api_key=api_key,
        allow_hosts=allow_host or (),
        allow_origins=allow_origin or (),
        ready=ready,
    )


def _is_model(name: Any) -> bool:
    """Whether a name is that of a model, and not of a text: the folder of a run, or its file."""
    path = Path(str(name))
    return path.suffix == ".safetensors" or (path / "model.safetensors").exists()


@reading_flags
def inspect(
    context: typer.Context,
    model: ModelPath,
    text: OptionalTexts = None,
    literally: Literally = None,
    html: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            metavar="FILE",
            help="the page of `serve` as one file, with the model, for use offline",
        ),
    ] = None,
    npz: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="arrays for NumPy, T x layers x units"),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="a row for each step and layer (needs pyarrow)"
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(parser=path, metavar="FILE", help="an object for each step")
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="a heat map of units x characters (needs matplotlib)"
        ),
    ] = None,
    quantity: Annotated[
        Literal["f_t", "fC_t", "i_t", "g_t", "gi_t", "C_t", "o_t", "h_t", "r_t", "n_t", "z_t"]
        | None,
        typer.Option(
            help="the quantity that --png draws; by default C_t, or h_t of a cell without C_t"
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="the layer that --png draws, from 1; by default the top one"
        ),
    ] = None,
    **values: Any,
) -> None:
    """Write files of what happens inside a model while it reads a text.

    For each layer and character f_t, fC_t, i_t, g_t, gi_t, C_t, o_t and h_t (of a GRU, r_t,
    n_t, z_t and h_t), with the character's log-probability, its rank, and the likeliest
    alternatives. The text is read once for each file and may be of any length, but a heat map
    holds 400 characters, and a page begins with 100,000: of a longer text, the beginning. A
    page holds the model and computes in the browser, in float32; it reads any other text that
    is typed there.

    For example:

        charloom inspect book.run --text "The Fox" --html fox.html
    """
    files = {"npz": npz, "parquet": parquet, "json": json, "png": png}
    named = {form: file for form, file in files.items() if file is not None}
    if html is None and not named:
        raise SettingsError(
            "nothing to write was named; give --html, --npz, --parquet, --json or --png FILE"
        )
    if png is None:
        refuse(context, ("quantity", "layer"), "is for --png, which was not given")
    if text and "-" in text and len(named) + (html is not None) > 1:
        raise SettingsError("standard input can be read only once; name one file to write")
    loaded = load(model, values)

    def pieces() -> Iterable[str]:
        return given_text(loaded, text, literally, values)

    if html is not None:
        _tell_of_page(charloom.save_page(loaded, pieces(), html), html)
    for form, file in named.items():
        options = {"quantity": quantity, "layer": layer} if form == "png" else {}
        charloom.save_trace(loaded, pieces(), file, format=form, **options)  # type: ignore


def _tell_of_page(page: charloom.Page, file: Path) -> None:
    if page.cut:
        tell(f"charloom: {file}: shows the first {counted(page.characters, 'character')}")


@reading_flags
def explain(
    model: ModelPath,
    text: OptionalTexts = None,
    literally: Literally = None,
    at: Annotated[
        int | None,
        typer.Option(metavar="N", help="explain this step, from 0; negative: from the end"),
    ] = None,
    unit: Annotated[int | None, typer.Option(metavar="N", help="only this unit, from 0")] = None,
    layer: Layer = None,
    **values: Any,
) -> None:
    """Explain what happens in a model as it reads a text, with the newspaper's words.

    A line for each character: how much of the article (the cell state) was struck out, how
    much was written, and how much of it the headline (the hidden state) shows. With --at,
    one step in the order in which it happens, its numbers in the equations. Computed in
    float32 unless --precision says otherwise, so that the equations come out.

    The newspaper is that of the post at https://educatorpanda.github.io; the tutorial tells it
    with the robbery, and `serve` draws it.

    For example:

        charloom explain book.run --text "The Fox" --at 3
    """
    if values["precision"] == "auto":
        values["precision"] = "float32"
    loaded = load(model, values)
    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else 80
    pieces = given_text(loaded, text, literally, values)
    for line in charloom.explain(loaded, pieces, at=at, unit=unit, layer=layer, width=width):
        say(line)
    tell_computed(loaded)


@flags(UnitsSettings)
@reading_flags
def units(
    model: ModelPath,
    text: Texts,
    pattern: Annotated[
        list[str] | None,
        typer.Option(metavar="REGEX", help="matches of this are a label, too; may be repeated"),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START:STOP", help="these characters, together, are a label; may be repeated"
        ),
    ] = None,
    as_json: AsJson = False,
    **values: Any,
) -> None:
    """Find units and gates that follow a named property of the text, and test the claims.

    Labels are quotes, brackets, the position in the line and in the word, capitals, digits,
    line starts, the next character, and what --pattern and --select say. The first half of
    the text is searched; a claim's score, a correlation, is that on the second half. Beside
    it are shown what the same search finds with shuffled labels and in the untrained network,
    and the bits that are lost when the unit is held at its mean.

    For example:

        charloom units book.run book.txt --pattern "[0-9]+"
    """
    settings = chosen(UnitsSettings, values)
    selections = [_selection(one) for one in select or []]
    loaded = load(model, values)
    report = charloom.units(
        loaded,
        pieces_of(loaded, text, values),
        patterns=pattern or [],
        selections=selections,
        **settings.model_dump(),
    )
    say(formatting.as_json(report) if as_json else str(report))


def _selection(given: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,18}):(\d{1,18})", given)
    if match is None:
        raise SettingsError(f"selections: {given!r} was given; it must be START:STOP, as in 10:25")
    return int(match[1]), int(match[2])


@flags(ContextSettings)
@reading_flags
def context(model: ModelPath, text: Texts, as_json: AsJson = False, **values: Any) -> None:
    """Measure how far back a model looks in a text.

    Prints bits per character when only the n characters before each may be read, for
    n = 1, 2, 4, ..., and how far the prediction moves when the character n steps back is
    replaced by another one.

    For example:

        charloom context book.run book.txt --distance 64
    """
    settings = chosen(ContextSettings, values)
    loaded = load(model, values)
    found = charloom.context(loaded, pieces_of(loaded, text, values), **settings.model_dump())
    say(formatting.as_json(found) if as_json else str(found))


@flags(RecallSettings)
@flags(ComputingSettings, only=("threads",))
def recall(as_json: AsJson = False, **values: Any) -> None:
    """Train an LSTM and plain RNNs to remember one letter, and compare how far they can.

    The networks have equal numbers of units, or of weights. Each learns to repeat a letter
    after more and more other letters; printed is the share of right answers by distance. No
    model and no text is needed.

    For example:

        charloom recall --steps 1500
    """
    threads = chosen(ComputingSettings, values).threads
    settings = chosen(RecallSettings, values)
    for network in charloom.recall(threads=threads, **settings.model_dump()):
        say(formatting.as_json(network, indent=None) if as_json else f"{network}\n")
