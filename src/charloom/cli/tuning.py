"""The command tune: a search for better settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import CharloomError
from ..settings import ModelSettings, TextSettings, TrainingSettings, TuningSettings
from .arguments import StartFrom, Texts, path, starting
from .flags import chosen, flags, given
from .formatting import quoted
from .streams import say, tell


@flags(TuningSettings, TextSettings, ModelSettings, TrainingSettings)
def tune(
    context: typer.Context,
    text: Texts,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", parser=path, metavar="FOLDER", help="where the search is kept"
        ),
    ],
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="what is searched: log:LOW:HIGH, LOW:HIGH or a list of values; may be repeated; "
            "by default learning rate, dropout and hidden size, or batch size from a base",
        ),
    ] = None,
    start_from: StartFrom = None,
    **values: Any,
) -> int:
    """Search for better settings: many short runs, of which the best is kept (needs optuna).

    Each trial is a run in FOLDER/trials, and FOLDER itself has the best model. The first trial
    is what train would do; worse ones end early. --steps, --epochs or --minutes is the budget
    of one trial. The same command goes on with a search that was stopped, and on other
    machines that see the folder it joins in. Where train would start from a base, every trial
    does, unless --space names a size of the network.

    For example:

        charloom tune book.txt --trials 30 --steps 500 -o book.study
    """
    values = {name: value for name, value in values.items() if given(context, name)}
    trials = charloom.tune(
        text,
        output,
        spaces=space,
        tuning=chosen(TuningSettings, values),
        text=chosen(TextSettings, values),
        model=chosen(ModelSettings, values),
        training=chosen(TrainingSettings, values),
        start_from=starting(start_from),
    )
    for trial in trials:
        shown = ", ".join(f"{name} {_short(value)}" for name, value in trial.values.items())
        start = f"from {trial.base}, " if trial.base else ""
        bits = trial.bits_per_character
        result = "no validation" if bits is None else f"{bits:.3f} bits"
        ended = ", ended early" if trial.pruned else ""
        tell(f"trial {trial.number}: {result}{ended}  {start}{shown or 'as train chooses'}")
    return _closing(output)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _closing(output: Path) -> int:
    """Say what was found, and draw what mattered where that can be drawn."""
    model = charloom.Model.load(output)
    best = model.provenance.validation
    if best is not None:
        say(f"{output}  {best.bits_per_character:.3f} bits per character held out")
    try:
        tell(f"what mattered: {charloom.plot(output)}")
    except CharloomError as error:
        tell(f"charloom: no picture of what mattered: {error}")
    tell(f"next: charloom generate {quoted(output)}")
    return 0
