"""Commands about a run: train, and plot."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import SettingsError
from ..settings import ModelSettings, TextSettings, TrainingSettings
from .arguments import OptionalTexts
from .flags import chosen, flags, given


@flags(TextSettings, ModelSettings, TrainingSettings)
def train(
    context: typer.Context,
    text: OptionalTexts = None,
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
    from . import live as display

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
    from ..inspection.pictures import plot_run

    print(plot_run(run, output))
