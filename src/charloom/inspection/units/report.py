"""Claims about units: the evidence for and against each, and their table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

from ...errors import counted, short_repr

Refusal = Literal["by chance", "too weak", "controls", "clamping"]
"""Why a claim does not survive: the first of the four tests that it fails."""


@dataclass(frozen=True, kw_only=True)
class Clamped:
    """Bits per character lost when a unit is clamped at its mean, on held-out text."""

    bits: float
    interval: tuple[float, float]
    """Of `bits`, with probability 1 - alpha, by resampling blocks of the text."""
    bits_where_it_holds: float | None
    """Only on characters predicted while the label is 1; None for counts."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """That a unit follows a label, and the evidence."""

    label: str
    layer: int
    """From 0."""
    unit: int
    quantity: str
    sign: int
    """-1 if the quantity falls where the label rises."""
    score: float
    """Correlation on the held-out text, times sign."""
    auc: float | None
    """Of labels that are 1 or 0: the chance that a place with 1 has the higher value."""
    p: float
    """That any unit scores as well for any shuffled label."""
    p_alone: float
    """The same for this label alone."""
    shuffled: float
    """The score that the best unit has for shuffled labels in `alpha` of the searches."""
    control: float
    """The best score of any network that knows nothing."""
    p_control: float
    """That a network that knows nothing has a unit that scores as well for any label."""
    clamped: Clamped | None
    """None if an earlier test was failed."""
    refused: Refusal | None
    """The first test that it fails; None if it survives."""

    @property
    def survives(self) -> bool:
        """Whether it passes all tests."""
        return self.refused is None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a search found."""

    __repr__ = short_repr

    characters: int
    alpha: float
    least: float
    shuffles: int
    untrained: int
    """Control networks that were never trained."""
    letter_shuffled: int
    """Control networks that were trained on shuffled letters."""
    precision: str
    kernels: str
    best: list[Claim]
    """For each label its best claim, whether it survives or not."""
    of_unit: list[list[Claim | None]]
    """By layer and unit: the strongest claim that survives, or None."""
    absent: list[str]
    """Labels that hold too rarely, or nearly always, in either half to be searched for."""

    def __str__(self) -> str:
        return "\n".join(table(self))

    @property
    def surviving(self) -> list[Claim]:
        """Those of the labels' best claims that survive."""
        return [claim for claim in self.best if claim.survives]


_LEGEND = (
    "Units are layer.unit. Scores are correlations on the held-out half: of this unit, of the best "
    "with shuffled labels (chance) and of the best in networks that know nothing (control). "
    "Clamped is what clamping h_t at its mean costs, in bits per character, and least the lower "
    "end of its interval. A claim is refused by the first test that it fails: chance, "
    "weakness, controls, clamping (its interval holds 0)."
)


def table(report: Report) -> Iterator[str]:
    """The lines of a report: each label's best claim, then the units by their claims."""
    half = report.characters // 2
    yield (
        f"{counted(half, 'character')} searched, {report.characters - half:,} held out; "
        f"alpha {report.alpha:g}, least {report.least:g}"
    )
    yield (
        f"{counted(report.shuffles, 'shuffle')} of each label; controls: "
        f"{counted(report.untrained, 'untrained network')}, {report.letter_shuffled} trained"
    )
    yield f"on shuffled letters; {report.precision}, {report.kernels}"
    yield ""
    yield f"{'follows':<20} unit       score  AUC      p chance control clamped  least"
    for claim in report.best:
        sign = "-" if claim.sign < 0 else ""
        where = f"{claim.layer + 1}.{claim.unit} {sign}{claim.quantity}"
        auc = "" if claim.auc is None else f"{claim.auc:.2f}"
        row = f"{claim.label:<20} {where:<10}{claim.score:6.2f}{auc:>5}{claim.p:7.0e}"
        row += f"{claim.shuffled:7.2f}{claim.control:8.2f}"
        if claim.survives and claim.clamped is not None:
            costs = (claim.clamped.bits, claim.clamped.interval[0])
            row += "".join(f"{round(bits, 4) + 0.0:+8.4f}" for bits in costs)
        yield row if claim.survives else f"{row}  no: {claim.refused}"
    yield ""
    yield from wrap(_LEGEND, 80)
    if report.absent:
        absent = ", ".join(report.absent)
        yield from wrap(f"Too rare or too common in one of the halves: {absent}.", 80)
    for number, layer in enumerate(report.of_unit, 1):
        by_label: dict[str, list[int]] = {}
        for u, claim in enumerate(layer):
            by_label.setdefault(claim.label if claim else "", []).append(u)
        nameless = by_label.pop("", [])
        yield ""
        yield (
            f"Layer {number}: a claim survives of {len(layer) - len(nameless)} of "
            f"{counted(len(layer), 'unit')}. By the strongest:"
        )
        for label, followers in sorted(by_label.items(), key=lambda item: -len(item[1])):
            yield from _listed(label, followers)
        if nameless:
            yield from _listed("(no claim survives)", nameless)


def _listed(label: str, units: list[int]) -> list[str]:
    return wrap(_ranges(units), 80, initial_indent=f"  {label:<20} ", subsequent_indent=" " * 23)


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers in short.

    >>> _ranges([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7, 8'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    short = (
        f"{part[0]}-{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts
    )
    return ", ".join(short)
