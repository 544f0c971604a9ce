"""The curve of a run as SVG, for a notebook: bits per character against steps.

It is drawn where the run is shown, and drawn anew there about once a second while it trains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from .log import Entry
from .progress import Progress

POINTS = 300
"""Most points of a line. When there are more, every two are joined."""

_BLUE, _ORANGE = "#0072b2", "#d55e00"  # distinct to color-blind readers, too; those of `plot`
_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 628, 12, 224  # of the area of the curves


@dataclass
class _Point:
    """One or more steps that follow each other."""

    step: int
    """The last of them."""
    nats: float
    characters: int
    count: int = 1

    def add(self, other: _Point) -> None:
        self.step = other.step
        self.nats += other.nats
        self.characters += other.characters
        self.count += other.count


class Curve:
    """The losses of a run, as many as a picture has room for."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._points: list[_Point] = []
        self._width = 1  # steps of a point
        self.validations: list[tuple[int, float]] = []
        """Steps with a validation, and its bits per character."""
        for entry in entries:
            self.add(entry)

    def add(self, step: Progress | Entry) -> None:
        """Add a step; they come in order."""
        point = _Point(step.step, step.nats, step.characters)
        if self._points and self._points[-1].count < self._width:
            self._points[-1].add(point)
        else:
            self._points.append(point)
        if len(self._points) > POINTS:
            for first, second in zip(self._points[::2], self._points[1::2], strict=False):
                first.add(second)
            del self._points[1::2]
            self._width *= 2
        if step.validation is not None:
            self.validations.append((step.step, step.validation.bits_per_character))

    def training(self) -> list[tuple[int, float]]:
        """Steps, and the bits per character of the one or more up to each."""
        return [(p.step, p.nats / max(p.characters, 1) / math.log(2)) for p in self._points]


def curve_html(curves: list[Curve], steps: int, caption: str) -> str:
    """Curves that follow each other as one picture, up to a number of steps.

    >>> print(curve_html([Curve()], 10, "no step yet"))
    <div>no step yet</div>
    """
    training = [point for curve in curves for point in curve.training()]
    validations = [point for curve in curves for point in curve.validations]
    if not training:
        return f"<div>{escape(caption)}</div>"
    last = max(steps, training[-1][0])
    bits = [bits for _, bits in [*training, *validations]]
    low, high = math.floor(2 * min(bits)) / 2, math.ceil(2 * max(bits)) / 2
    high = max(high, low + 0.5)

    def x(step: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * step / last

    def y(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (value - low) / (high - low)

    def line(points: list[tuple[int, float]], color: str) -> str:
        path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
        return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>'

    parts = []
    for value in _ticks(low, high):
        parts.append(
            f'<path d="M{_LEFT} {y(value):.1f}H{_RIGHT}" stroke="currentColor" opacity="0.2"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for step in _ticks(0, last):
        anchor = "end" if x(step) > _RIGHT - 20 else "middle"
        parts.append(f'<text x="{x(step):.1f}" y="240" text-anchor="{anchor}">{step:,.0f}</text>')
    parts.append(line(training, _BLUE))
    parts.append(line(validations, _ORANGE))
    parts += [
        f'<circle cx="{x(step):.1f}" cy="{y(value):.1f}" r="3" fill="{_ORANGE}"/>'
        for step, value in validations
    ]
    parts.append(
        f'<text x="{_RIGHT}" y="{_TOP + 14}" text-anchor="end">'
        f'<tspan fill="{_BLUE}">training</tspan>  <tspan fill="{_ORANGE}">held out</tspan></text>'
        f'<text x="{_LEFT}" y="256">bits per character, by step</text>'
    )
    return (
        f'<div>{escape(caption)}</div><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(caption)}" style="max-width: {_WIDTH}px; width: 100%" '
        f'font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Four to ten round numbers of a range.

    >>> _ticks(0, 827), _ticks(1.5, 6)
    ([0.0, 200.0, 400.0, 600.0, 800.0], [2.0, 3.0, 4.0, 5.0, 6.0])
    """
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    width = max(unit * factor for factor in (1, 2, 5) if unit * factor <= rough)
    return [width * n for n in range(math.ceil(low / width), math.floor(high / width) + 1)]
