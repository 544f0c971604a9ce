"""Commands that name the likeliest: what follows a prompt, and what stands in a gap."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

import charloom

from ..errors import SettingsError
from ..settings import ComputingSettings, SamplingSettings
from . import formatting
from .arguments import AsJson, ModelPath, load, path, tell_computed
from .flags import flags
from .streams import say, tell

_Count = Annotated[int, typer.Option("-n", "--n", help="how many to name (at least 1)")]


@flags(ComputingSettings)
def complete(
    model: ModelPath,
    prompt: Annotated[str, typer.Option(metavar="STRING", help="the text to continue")] = "",
    n: _Count = 10,
    until: Annotated[
        list[str] | None,
        typer.Option(metavar="STRING", help="end before this text; may be repeated"),
    ] = None,
    length: Annotated[
        int, typer.Option(help="characters after which a continuation ends at the latest")
    ] = 40,
    most: Annotated[int, typer.Option(help="beginnings to look at, at most (at least 1)")] = 20_000,
    state: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="go on after the text whose state is in this file"
        ),
    ] = None,
    as_json: AsJson = False,
    **values: Any,
) -> None:
    """Name the most probable continuations of a prompt, with their exact probabilities.

    A continuation ends before --until, for a model of lines at the end of the line, or at --length.
    The most probable beginning is looked at first, so that the search is over when no other
    continuation can be more probable. If --most beginnings are not enough for that, standard error
    says how probable one that was not found can be.

    For example:

        charloom complete names.run --prompt "Ma" -n 5
    """
    loaded = load(model, values)
    before = charloom.TextState.load(state) if state is not None else None
    found = loaded.complete(prompt, n=n, until=until, length=length, most=most, state=before)
    if as_json:
        say(formatting.as_json(found.to_json() | loaded.computed_with))
        return
    rows = [
        (one.probability, one.text, "" if one.stopped else "...") for one in found.continuations
    ]
    _show(rows)
    bound = f"{found.bound:.3g}"
    known = "no other has more than" if found.complete else "another may have up to"
    tell(f"together {found.total:.3g} of all continuations; {known} {bound}")
    tell_computed(loaded)


@flags(ComputingSettings)
@flags(SamplingSettings, only=("seed",), instead="a new one, told on standard error")
def fill(
    model: ModelPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="a text with ___ in it")],
    gap: Annotated[
        str, typer.Option(metavar="STRING", help="what marks the place to be filled")
    ] = "___",
    n: _Count = 10,
    length: Annotated[int, typer.Option(help="characters of the longest fill (at least 1)")] = 12,
    samples: Annotated[
        int, typer.Option(help="texts drawn to find fills; more find more (at least 2)")
    ] = 256,
    as_json: AsJson = False,
    **values: Any,
) -> None:
    """Name what probably stands in a gap, by what stands on both sides of it.

    Fills are found by drawing texts that go on from the left side, and each is weighed by how
    probable the right side is after it. Their probabilities are estimates.

    For example:

        charloom fill book.run "the ___ and the crow"
    """
    loaded = load(model, values)
    seed = values["seed"] if values["seed"] is not None else secrets.randbelow(2**31)
    found = loaded.fill(text, gap=gap, n=n, length=length, samples=samples, seed=seed)
    if not found:
        raise SettingsError("samples: no fill was found; give more of them")
    if as_json:
        digits = 3  # they are estimates
        fills = [
            {"text": one.text, "probability": formatting.significant(one.probability, digits)}
            for one in found
        ]
        say(formatting.as_json({"fills": fills, "seed": seed} | loaded.computed_with))
        return
    _show([(one.probability, one.text, "") for one in found])
    if values["seed"] is None:
        tell(f"seed {seed}")
    tell_computed(loaded)


def _show(rows: list[tuple[float, str, str]]) -> None:
    say("probability  text")
    for probability, text, more in rows:
        say(f"{probability:>11.3g}  {charloom.visible(text)}{more}")
