"""The command line: one short function per verb, on the library's public names.

Results go to standard output, all else to standard error. An error is one line; the exit
status is 2 for wrong use, 1 for failure, and 130 after Ctrl-C. Flags are made from the
settings classes, where each has its help, bounds and default.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.main import get_command

import charloom

from . import tables
from .errors import CharloomError, SettingsError
from .flags import as_flags, chosen, flags, given
from .inspection.settings import ReachSettings, RecallSettings, UnitsSettings
from .settings import ModelSettings, SamplingSettings, TextSettings, TrainingSettings

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,  # rich's help cuts the names of flags off in a narrow terminal
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line (that of the process by default); the exit status.

    >>> main(["evaluate", "no-such-model", "book.txt"])
    1
    """
    # Before NumPy is loaded: its only product here is made once, for the first weights, and
    # many BLAS threads on a busy machine take far longer for it than one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _write_utf8(sys.stdout)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _warn
        try:
            command = get_command(app)
            status = command.main(arguments, prog_name="charloom", standalone_mode=False)
            sys.stdout.flush()
        except SettingsError as error:
            return _complain(as_flags(str(error)), 2)
        except CharloomError as error:
            return _complain(str(error), 1)
        except typer.TyperException as error:
            return _complain(error.format_message(), error.exit_code)
        except KeyboardInterrupt:
            status = 130
        except BrokenPipeError:
            return _quietly()
        except OSError as error:
            return _complain(f"{error.filename or 'output'}: {error.strerror or error}", 1)
        except MemoryError:
            return _complain("there is not enough memory; choose smaller settings", 1)
    return status if isinstance(status, int) else 0


def _write_utf8(stream: Any) -> None:
    """Files and pipes are UTF-8 whatever the locale; a terminal shows what it can."""
    if hasattr(stream, "reconfigure"):
        encoding = stream.encoding if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="replace")


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"charloom: {line}", file=sys.stderr)
    return status


def _warn(message: Warning | str, *place: object) -> None:
    print(f"charloom: warning: {message}", file=sys.stderr)


def _quietly() -> int:
    """End without a word: who was reading has seen enough, as with `| head`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # what is still in the buffer goes there
    return 1


@app.callback(invoke_without_command=True)
def charloom_(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    """Character-level LSTM language models: train, generate, evaluate, score."""
    if version:
        print(f"charloom {charloom.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


COMPUTING = ("precision", "threads")
READING = ("encoding", "errors")
Texts = Annotated[
    list[str], typer.Argument(metavar="TEXT", help="files, folders, globs, or - for stdin")
]
ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="a model file, or the folder of a run")
]


@app.command()
@flags(TextSettings, ModelSettings, TrainingSettings)
def train(
    context: typer.Context,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="files, folders, globs, or - for stdin"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="where the run is kept; by default, book.run for book.txt",
        ),
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="hold out this instead of the end of TEXT; may be repeated"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the run in the folder")
    ] = False,
    **values: Any,
) -> int:
    """Train a model on a text.

    The best model, and all that is needed to go on, are kept in a folder. Ctrl-C saves and
    stops; the same command with --resume goes on as if it had never stopped.
    """
    if not text and not (resume and output):
        raise SettingsError("TEXT is missing; name a file, a folder, or - for stdin")
    folder = output or _folder_for((text or [])[0], resume)
    if resume:
        run = charloom.resume(folder)
        _refuse_changes(context, run, values)
    else:
        run = charloom.train(
            text or [],
            output=folder,
            validation=validation or None,
            text=chosen(TextSettings, values),
            model=chosen(ModelSettings, values),
            training=chosen(TrainingSettings, values),
        )
    return _watch(run, folder)


def _watch(run: charloom.Run, folder: Path) -> int:
    """Show a run until it ends or is asked to stop; the exit status."""
    from . import display

    print(display.opening(run, folder), file=sys.stderr)
    with _asked_to_stop() as asked, display.watching(run) as show:
        for progress in run:
            show(progress)
            if asked:
                break
        run.stop()
    if run.finished:
        print(display.closing(run, folder))
        return 0
    print(
        f"charloom: stopped after step {run.step:,} and saved; "
        f"go on with: charloom train --resume -o {folder}",
        file=sys.stderr,
    )
    return 128 + asked[0]


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that the first Ctrl-C or SIGTERM is put in; a second one acts at once."""
    asked: list[int] = []
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:
        asked.append(number)
        signal.signal(number, before[signal.Signals(number)])

    try:
        for number in before:
            signal.signal(number, ask)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _folder_for(text: str, resume: bool) -> Path:
    """The folder of a run without a name: aesop.txt -> aesop.run, books/ -> books.run."""
    path = Path("stdin" if text == "-" else text)
    if resume and path.is_dir() and (path / "run.json").exists():
        return path
    name = re.sub(r"[*?\[\]]", "", path.name or path.resolve().name)
    name = re.sub(r"(\.(txt|text|md))?(\.(gz|xz|bz2))?$", "", name)
    return Path(f"{name.strip('.') or 'text'}.run")


def _refuse_changes(context: typer.Context, run: charloom.Run, values: dict[str, Any]) -> None:
    """A resumed run keeps its settings; flags may repeat them."""
    plan = run.plan
    kept = plan.text.model_dump() | plan.model.model_dump() | plan.training.model_dump()
    for name, value in values.items():
        if value != kept[name] and given(context, name):
            raise SettingsError(
                f"{name}: {value!r} was given, but this run has {kept[name]!r}, and a "
                "resumed run keeps its settings; leave it out, or start another run"
            )


@app.command()
@flags(SamplingSettings)
@flags(TrainingSettings, only=COMPUTING)
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
    loaded = _load(model, values)
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


@app.command()
@flags(TextSettings, only=READING, instead="as the model's own text was read")
@flags(TrainingSettings, only=COMPUTING)
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
    """
    loaded = _load(model, values)
    total = loaded.evaluate(_pieces(loaded, text, values), exact=exact)
    _print(tables.total(total), as_json)


@app.command()
@flags(TextSettings, only=READING, instead="as the model's own text was read")
@flags(TrainingSettings, only=COMPUTING)
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
    loaded = _load(model, values)
    parts = loaded.score(_pieces(loaded, text, values), by=by)
    for piece in tables.written(parts, format):
        print(piece, end="")


@app.command()
def info(
    model: ModelPath,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print all that is known of a model."""
    _print(charloom.Model.load(model).describe(), as_json)


@app.command()
@flags(TextSettings, only=READING, instead="as the model's own text was read")
@flags(TrainingSettings, only=COMPUTING)
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
    **values: Any,
) -> None:
    """Open a page that shows what happens inside a model.

    Prints its address, and serves it to browsers on this machine until Ctrl-C. Without TEXT
    the page shows what the model itself writes. Of a long TEXT it shows the beginning.
    """
    from .serving.limits import CHARACTERS
    from .serving.server import serve as serve_page

    loaded = _load(model, values)
    shown = _pieces(loaded, text, values) if text else loaded.generate(length=1000)
    serve_page(
        loaded,
        host=host,
        port=port,
        text=_beginning(shown, CHARACTERS),
        ready=lambda address: print(address, flush=True),
    )


Literally = Annotated[
    str | None, typer.Option("--text", metavar="STRING", help="this text itself, not a file")
]
OptionalTexts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="files, folders, globs, or - for stdin"),
]
Layer = Annotated[
    int | None,
    typer.Option(metavar="N", help="the layer, from 1; by default the top one"),
]


@app.command()
@flags(TextSettings, only=READING, instead="as the model's own text was read")
@flags(TrainingSettings, only=COMPUTING)
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
    loaded = _load(model, values)

    def pieces() -> Iterator[str]:
        return _given_text(loaded, text, literally, values)

    if html is not None:
        _write_page(loaded, pieces(), html)
    if npz or parquet or as_json or png:
        from .inspection import files, pictures

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
    from .checkpoint import replacing
    from .serving.export import export, room

    page = export(model, _beginning(pieces, room(model) + 1))
    with replacing(path) as file:
        file.write(page.html.encode())
    if page.cut:
        print(f"charloom: {path}: holds the first {page.characters:,} characters", file=sys.stderr)
    if page.off:
        off = ", ".join(f"{name} {most:.2g}" for name, most in page.off.items())
        print(
            f"charloom: {path}: holds numbers in 256 steps; off by at most {off}", file=sys.stderr
        )


@app.command()
@flags(TextSettings, only=READING, instead="as the model's own text was read")
@flags(TrainingSettings, only=COMPUTING)
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
    from .inspection import story

    if values["precision"] == "auto":
        values["precision"] = "float32"
    loaded = _load(model, values)
    pieces = loaded.trace_pieces(_given_text(loaded, text, literally, values))
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


@app.command()
@flags(RecallSettings, only=("hidden_size", "steps", "seed"))
@flags(ReachSettings, only=("characters", "places"))
@flags(TextSettings, only=READING, instead="as the model's own text was read")
@flags(TrainingSettings, only=COMPUTING)
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
    more and more other characters; --hidden-size, --steps and --seed are of those networks.
    With one, measure how far back it looks in a text: bits per character with only so many
    characters before each, and what changes when the character n steps back is another.
    """
    from dataclasses import asdict

    from .inspection import reach, recall

    changes: dict[str, int] = {"seed": values["seed"]}
    if far is not None:
        changes["distance"] = far
    if model is None:
        changes |= {name: values[name] for name in ("hidden_size", "steps")}
        threads = TrainingSettings(threads=values["threads"]).threads
        for found in recall.recall(RecallSettings(**changes), threads=threads):
            lines = [json.dumps(asdict(found))] if as_json else [*recall.drawn(found), ""]
            print(*lines, sep="\n", flush=True)
        return
    if not text:
        raise SettingsError("TEXT is missing; name a file, a folder, or - for stdin")
    changes |= {name: values[name] for name in ("characters", "places")}
    settings = ReachSettings(**changes)
    loaded = _load(model, values)
    reaches = reach.measure(loaded, _pieces(loaded, text, values), settings)
    if as_json:
        print(json.dumps(asdict(reaches), indent=1))
    else:
        print(*reach.drawn(reaches), sep="\n")


@app.command()
@flags(UnitsSettings)
@flags(TextSettings, only=READING, instead="as the model's own text was read")
@flags(TrainingSettings, only=COMPUTING)
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

    from .inspection.claims import drawn
    from .inspection.units import find_claims

    settings = chosen(UnitsSettings, values)
    selections = [_selection(given) for given in select or []]
    loaded = _load(model, values)
    report = find_claims(
        loaded,
        _pieces(loaded, text, values),
        settings,
        patterns=pattern or [],
        selections=selections,
    )
    if as_json:
        print(json.dumps(asdict(report), indent=1, ensure_ascii=False))
    else:
        print(*drawn(report), sep="\n")


def _selection(given: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+):(\d+)", given)
    if match is None:
        raise SettingsError(f"select: {given!r} was given; it must be START:STOP, as in 10:25")
    return int(match[1]), int(match[2])


@app.command()
def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="a PNG; by default, curve.png in the folder"
        ),
    ] = None,
) -> None:
    """Draw the training curve of a run (needs matplotlib)."""
    from .inspection.pictures import plot_run

    print(plot_run(run, output))


def _beginning(pieces: Iterator[str], characters: int) -> str:
    """A text of at most so many characters; no more of it is read than that needs."""
    text = ""
    while len(text) < characters and (piece := next(pieces, None)) is not None:
        text += piece
    return text[:characters]


@app.command()
def demo() -> None:
    """Tell the blog's program, The Fox and the Crow."""
    from .demo import tell

    for line in tell():
        print(line, flush=True)


def _load(path: Path, values: dict[str, Any]) -> charloom.Model:
    computing = {name: values[name] for name in COMPUTING}
    TrainingSettings(**computing)  # checks their bounds
    return charloom.Model.load(path, **computing)


def _pieces(model: charloom.Model, text: list[str], values: dict[str, Any]) -> Iterator[str]:
    """The text, read as the model's own was, or as flags say."""
    changes = {name: values[name] for name in READING if values[name] is not None}
    return charloom.read(text, model.text_settings.replace(**changes))


def _given_text(
    model: charloom.Model, text: list[str] | None, literally: str | None, values: dict[str, Any]
) -> Iterator[str]:
    """The text of files, or the one that --text gives."""
    if (literally is None) == (not text):
        raise SettingsError("give either TEXT, the name of a file, or --text STRING")
    if literally is not None:
        return charloom.read(charloom.InMemory(literally), model.text_settings)
    return _pieces(model, text or [], values)


def _print(facts: dict[str, Any], as_json: bool) -> None:
    print(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else tables.columns(facts))
