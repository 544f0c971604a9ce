"""The command odd: the lines of a text that are strange."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ..errors import counted
from ..settings import USUAL_THRESHOLD, OddSettings
from . import formatting
from .arguments import ModelPath, Texts, load, pieces_of, reading_flags, tell_computed, text_name
from .flags import chosen, flags, refuse
from .marking import When, in_color, marked
from .streams import flush, say, tell

_HEAD = "      line         p     bits  "


@reading_flags
@flags(OddSettings)
def odd(
    context: typer.Context,
    model: ModelPath,
    text: Texts,
    calibrate: Annotated[
        Any,
        typer.Option(
            parser=text_name,
            metavar="FILE",
            help="a text in which little is odd, to compare with; by default the lines that "
            "were held out when the model was trained",
        ),
    ] = None,
    format: Annotated[
        Literal["table", "jsonl"], typer.Option(help="jsonl has a line for each odd one")
    ] = "table",
    color: When = "auto",
    **values: Any,
) -> None:
    """Find the lines of a text that are odd: more surprising than new lines are, at any length.

    Each line gets a p-value: the share of new, ordinary lines that are as strange. Those with at
    most --threshold are printed, and the characters that made them odd are marked. So a
    threshold of 0.001 takes about one ordinary line in 1,000 for an odd one; it is the default,
    where enough lines were held out to tell such a share. --threshold 1 prints every line.

    A model of lines holds what it needs for that. Other models read the text as a stream, and
    need --calibrate. Standard input (-) is read as it arrives, so a log can be followed by tail -f.

    For example:

        charloom odd logs.run today.log --threshold 0.0005
    """
    if calibrate is None:
        refuse(context, ["window"], "is for --calibrate, which was not given")
    settings, loaded = chosen(OddSettings, values), load(model, values)
    calibration = None
    if calibrate is not None:
        usual = pieces_of(loaded, [calibrate], values)
        calibration = loaded.calibrated(usual, window=settings.window)
    found = loaded.odd(
        pieces_of(loaded, text, values),
        threshold=settings.threshold,
        calibration=calibration,
        live=text == ["-"],
    )
    colored, count = in_color(color), 0
    for part in found:
        count += 1
        if format == "jsonl":
            say(formatting.as_json(part.to_json(), indent=None))
            continue
        if count == 1:
            say(f"{_HEAD}text")
        row = f"{part.number:10,} {part.p:9.2g} {part.bits:8.1f}  "
        flush(f"{row}{marked(part.text, part.spans, colored, len(row))}\n")
    what = "window" if settings.window else "line"
    if settings.threshold is None and found.threshold > USUAL_THRESHOLD:
        tell(
            f"threshold {found.threshold:.2g}, the lowest that there is here; {USUAL_THRESHOLD:g} "
            f"needs about {20 / USUAL_THRESHOLD:,.0f} {what}s to train on, or "
            f"{2 / USUAL_THRESHOLD:,.0f} for --calibrate"
        )
    expected = formatting.significant(found.threshold * found.read, 2)
    tell(
        f"{count:,} of {counted(found.read, what)} odd, with a p-value of at most "
        f"{found.threshold:.2g}; of as many ordinary ones about {expected:,.12g} would be"
    )
    tell_computed(loaded)
