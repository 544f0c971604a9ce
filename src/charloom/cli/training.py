"""Commands about a run: train, plot and export-log."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import SettingsError, counted
from ..settings import ModelSettings, TextSettings, TrainingSettings
from . import live
from .arguments import OptionalTexts, RunPath, StartFrom, path, starting, text_name
from .config import configure, keep
from .flags import chosen, flags, given, refuse
from .formatting import quoted
from .streams import say, tell


@flags(TextSettings, ModelSettings, TrainingSettings)
def train(
    context: typer.Context,
    text: OptionalTexts = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            parser=path,
            metavar="FOLDER",
            help="where the run is kept; by default, book.run for book.txt",
        ),
    ] = None,
    validation: Annotated[
        list[Any] | None,
        typer.Option(
            parser=text_name,
            metavar="TEXT",
            help="hold out this instead of the end of TEXT; may be repeated",
        ),
    ] = None,
    start_from: StartFrom = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the run in the folder")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            callback=configure,
            is_eager=True,
            metavar="FILE",
            help="take settings from a file such as run.toml in the folder of a run",
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="write events for TensorBoard into the folder of the run (needs the extra)",
        ),
    ] = False,
    **values: Any,
) -> int:
    """Train a model on a text.

    The best model, and everything needed to go on, are kept in a folder. Ctrl-C saves and
    stops; the same command with --resume goes on as if it had never stopped. The folder also
    holds run.toml, with every setting of the run, from which --config repeats it; flags go
    before what the file says.

    For example:

        charloom train book.txt --minutes 2
    """
    if tensorboard and find_spec("tensorboard") is None:  # before anything is written
        raise SettingsError(
            "tensorboard: tensorboard is needed, which is not installed; "
            "pip install 'charloom[tensorboard]'"
        )
    if not text and not (resume and output):
        raise SettingsError("TEXT is missing; name a file, a folder, or - for stdin")
    folder = output or _folder_for((text or [])[0], resume)
    if resume:
        refuse(context, ["start_from"], "was given, but a resumed run keeps what it started from")
        run = charloom.resume(
            folder,
            sources=None if not text or Path(str(text[0])) == folder else text,
            validation=validation or None,
            steps=values["steps"] if given(context, "steps") else None,
            threads=values["threads"] if given(context, "threads") else None,
        )
        _refuse_changes(context, run, values)
    else:
        run = charloom.train(
            text or [],
            output=folder,
            validation=validation or None,
            text=chosen(TextSettings, values),
            model=chosen(ModelSettings, values),
            training=chosen(TrainingSettings, values),
            start_from=starting(start_from),
        )
        if run.leads:
            keep(run, folder, text or [], validation, start_from)
    return _watch(run, folder, folder / "tensorboard" if tensorboard else None)


def _watch(run: charloom.Run, folder: Path, events: Path | None) -> int:
    """Show a run until it ends or is asked to stop; the exit status.

    In a group of processes a signal ends them at once, since they cannot stop after one step:
    the last checkpoint is what is kept.
    """
    if not run.leads:
        run.finish()
        return 0
    steps = run if events is None else charloom.tensorboard(run, events)
    if events is not None:
        tell(f"events for: tensorboard --logdir {quoted(events)}")
    for line in live.opening(run, folder).splitlines():
        tell(line)
    with _asked_to_stop(in_group=run.in_group) as asked, live.watching(run) as show:
        for progress in steps:
            show(progress)
            if asked:
                break
        run.stop()
    if run.finished:
        say(live.closing(run, folder))
        name = quoted(folder)
        commands = [f"charloom generate {name}", f"charloom serve {name}"]
        if find_spec("matplotlib"):
            commands.append(f"charloom plot {name}")
        tell(f"next: {', '.join(commands[:-1])}, or {commands[-1]}")
        return 0
    tell(
        f"charloom: stopped after step {run.step:,} and saved; "
        f"go on with: charloom train --resume -o {quoted(folder)}"
    )
    return 128 + asked[0]


@contextmanager
def _asked_to_stop(in_group: bool = False) -> Iterator[list[int]]:
    """A list that the first signal to stop is put in; a second one acts at once.

    Ctrl-C, `kill` and a terminal that is closed ask to stop. What is ignored, as `nohup` and a
    shell's background jobs have it, stays ignored.
    """
    asked: list[int] = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if in_group or threading.current_thread() is not threading.main_thread():
        numbers = []  # signals are the main thread's
    before = {n: signal.getsignal(n) for n in numbers}
    before = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}

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


def _folder_for(text: Path | str, resume: bool) -> Path:
    """The folder of a run without a name: aesop.txt -> aesop.run, books/ -> books.run."""
    path = Path("stdin") if text == "-" else Path(text)
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
        may_change = name in ("steps", "threads")
        if not may_change and value != kept[name] and given(context, name):
            raise SettingsError(
                f"{name}: {value!r} was given, but this run has {kept[name]!r}, and a "
                "resumed run keeps its settings; leave it out, or start another run"
            )


def plot(
    run: RunPath,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            parser=path,
            metavar="FILE",
            help="a PNG; by default, curve.png in the folder",
        ),
    ] = None,
) -> None:
    """Draw the training curve of a run (needs matplotlib).

    For example:

        charloom plot book.run -o curve.png
    """
    say(str(charloom.plot(run, output)))


def export_log(
    run: RunPath,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", parser=path, metavar="FILE", help="the CSV file to write"),
    ],
) -> None:
    """Write the log of a run as CSV, a row for each optimizer step.

    For example:

        charloom export-log book.run -o log.csv
    """
    rows = charloom.export_log(run, output)
    say(f"{output}  {counted(rows, 'step')}")
