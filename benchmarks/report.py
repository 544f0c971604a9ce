"""Results as text: a table for each task, the bars, and the comparison of two results."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from typing import Any

from contest import Rates, ratio
from shapes import (
    BARS,
    CONTESTS,
    EXACT,
    FAST,
    OWN_TRAINING,
    PEAKS,
    ROUND_TRIP,
    TRAIN,
    Bar,
    Shape,
)

Results = dict[str, Any]
"""The content of the JSON file; `rates` maps task, shape, contestant to a rate per round."""

STAR = (
    "The column of a peer is our rate divided by its rate, the median over rounds; ours runs\n"
    "whole optimizer steps. A starred peer is the bare LSTM, forward and backward, without\n"
    "head, loss or optimizer. GFLOP/s counts the matrix products alone. A round trip is that\n"
    "of a cache line to the other core and back: the median over rounds, and the range."
)


def table(rows: Iterable[Iterable[str]]) -> str:
    """Align columns, the first to the left and the others to the right.

    >>> print(table([["a", "bb"], ["ccc", "d"]]))
    a    bb
    ccc   d
    """
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def speed(results: Results, task: str) -> str:
    """Our rates at each shape, and their ratios to the rates of the peers."""
    _, shapes, names = next(contest for contest in CONTESTS if contest[0] == task)
    ours = [name for name in names if name in PEAKS]
    peers = [name for name in names if name not in PEAKS]
    heads = [name.removesuffix(" bfloat16").split(" ", 1) for name in peers]
    heads.append(["round trip", "ns"])
    rows = [
        ["", "", "", "", "", *(head[0] for head in heads)],
        [task, "precision", "characters/s", "GFLOP/s", "of peak", *(head[1] for head in heads)],
    ]
    for shape in shapes:
        rates = results["rates"].get(task, {}).get(str(shape), {})
        for name in ours:
            if name in rates:
                cells = (_times(rates, name, peer) for peer in peers)
                own = _own(rates, name, task, shape)
                rows.append([str(shape), *own, *cells, _round_trip(rates)])
    return table(rows)


def peaks(results: Results) -> str:
    """The rate of the bare product on this machine, to which the shares of peak refer."""
    all_of_it: Rates = {}
    for shapes in results["rates"].values():
        for rates in shapes.values():
            for name in PEAKS.values() & rates.keys():
                all_of_it.setdefault(name, []).extend(rates[name])
    lines = [
        f"{name.removeprefix('peak ')} {statistics.median(rates) / 1e9:.0f} "
        f"({min(rates) / 1e9:.0f} to {max(rates) / 1e9:.0f})"
        for name, rates in sorted(all_of_it.items())
    ]
    return "The bare product, GFLOP/s, median and range over the run: " + ", ".join(lines)


def _own(rates: Rates, name: str, task: str, shape: Shape) -> list[str]:
    rate = statistics.median(rates[name])
    share = _share(rates, name, task, shape)
    return [
        name.removeprefix("charloom "),
        f"{rate:,.0f}",
        f"{rate * _operations(task, shape) / 1e9:.1f}",
        f"{share:.0%}",
    ]


def _round_trip(rates: Rates) -> str:
    if ROUND_TRIP not in rates:
        return "absent"
    found = [1e9 / rate for rate in rates[ROUND_TRIP]]
    return f"{statistics.median(found):.0f} ({min(found):.0f}-{max(found):.0f})"


def _times(rates: Rates, name: str, peer: str) -> str:
    return f"{ratio(rates[name], rates[peer]):.2f}x" if peer in rates else "absent"


def _operations(task: str, shape: Shape) -> int:
    return shape.training_operations if task == TRAIN else shape.forward_operations


def _share(rates: Rates, name: str, task: str, shape: Shape) -> float:
    return ratio(rates[name], rates[PEAKS[name]]) * _operations(task, shape)


def bars(results: Results) -> str:
    """A table of the bars: what is required, and what was reached."""
    rows = [["bar", "at least", "reached", "", "stretch", ""]]
    rows += [_bar(results, bar) for bar in BARS if bar.task in results["rates"]]
    for bound in results.get("bounds", ()):
        value, limit, unit = bound["value"], bound["limit"], bound["unit"]
        met = "met" if value <= limit else "NOT MET"
        rows.append([bound["name"], f"under {limit:g} {unit}", f"{value:.3g} {unit}", met, "", ""])
    return table(rows)


def _bar(results: Results, bar: Bar) -> list[str]:
    rates = results["rates"].get(bar.task, {}).get(str(bar.shape), {})
    peak = bar.peer in PEAKS.values()
    # Against a peak the result is a percentage, against a peer a ratio of rates.
    text = "{:.0%}".format if peak else "{:.2f}x".format
    what = f"{bar.task}, {bar.shape}: {bar.ours.removeprefix('charloom ')} against {bar.peer}"
    value = None
    if bar.ours in rates and bar.peer in rates:
        if peak:
            value = _share(rates, bar.ours, bar.task, bar.shape)
        else:
            value = ratio(rates[bar.ours], rates[bar.peer])
    reached = "not measured" if value is None else text(value)
    return [what, *_verdict(bar.least, value, text, reached), *_verdict(bar.stretch, value, text)]


def _verdict(limit: float | None, value: float | None, text: Any, *between: str) -> list[str]:
    if limit is None:
        return ["", *between, ""]
    met = "" if value is None else "met" if value >= limit else "NOT MET"
    return [text(limit), *between, met]


def absent(results: Results) -> str:
    """The contestants that did not take part, and why."""
    return "\n".join(
        f"{name} is absent: {reason}" for name, reason in sorted(results["absent"].items())
    )


def comparison(old: Results, new: Results) -> str:
    """New rates divided by old ones, as they are and as shares of the peak in their run."""
    rows = [["new / old", "characters/s", "share of peak", "spread of new"]]
    for task, shapes, names in CONTESTS:
        for shape in shapes:
            before = old["rates"].get(task, {}).get(str(shape), {})
            after = new["rates"].get(task, {}).get(str(shape), {})
            for name in (*names, *sorted(set(PEAKS.values()))):
                if name in before and name in after:
                    row = _change(before, after, name)
                    rows.append([f"{task}, {shape}: {name}", *row])
    for key in sorted(old.get("costs", {}).keys() & new.get("costs", {}).keys()):
        change = new["costs"][key]["value"] / old["costs"][key]["value"]
        rows.append([key, f"{change:.2f}", "", ""])
    return table(rows)


def _change(before: Rates, after: Rates, name: str) -> list[str]:
    plain = statistics.median(after[name]) / statistics.median(before[name])
    peak = PEAKS.get(name, PEAKS[EXACT if "float32" in name else FAST])
    steadied = ""
    if name != OWN_TRAINING and peak in before and peak in after and name != peak:
        change = ratio(after[name], after[peak]) / ratio(before[name], before[peak])
        steadied = f"{change:.2f}"
    spread = (max(after[name]) - min(after[name])) / statistics.median(after[name])
    return [f"{plain:.2f}", steadied, f"{spread:.0%}"]


def costs(results: Results) -> Iterator[str]:
    """Tables of the other costs (memory, seconds, disk space), ours beside the peers'."""
    groups: dict[str, list[list[str]]] = {}
    for key, cost in results.get("costs", {}).items():
        group, _, name = key.partition(": ")
        groups.setdefault(group, []).append([name, f"{cost['value']:,.3g} {cost['unit']}"])
    for group, rows in groups.items():
        yield table([[group, ""], *([f"  {name}", value] for name, value in rows)])
