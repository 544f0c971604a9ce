"""Claims about units: the evidence for and against each, and their table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap


@dataclass(frozen=True, kw_only=True)
class Clamped:
    """Bits per character lost when a unit is clamped at its mean, on held-out text."""

    bits: float
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
    """After all units and labels are accounted for."""
    p_alone: float
    """After all units are, as if no other label had been asked about."""
    shuffled: float
    """What the best unit scores on shuffled labels, exceeded in `alpha` of the searches."""
    untrained: float
    """What the best unit of the untrained network scores."""
    beats_untrained: float
    """Share of the resamplings in which it scores more than that."""
    survives: bool
    clamped: Clamped | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a search found."""

    characters: int
    alpha: float
    least: float
    shuffles: int
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
    "with shuffled labels (chance) and of the best in the untrained network (before). Clamped is "
    "what holding h_t at its mean costs, in bits per character; there, the same where the label "
    "is 1."
)


def table(report: Report) -> Iterator[str]:
    """The lines of a report: each label's best claim, then the units by their claims."""
    half = report.characters // 2
    yield (
        f"{half:,} characters searched, {report.characters - half:,} held out; {report.shuffles} "
        f"shuffles; alpha {report.alpha:g}, least {report.least:g}"
    )
    yield ""
    yield f"{'follows':<20} unit       score  AUC     p chance before clamped   there"
    for claim in report.best:
        sign = "-" if claim.sign < 0 else ""
        where = f"{claim.layer + 1}.{claim.unit} {sign}{claim.quantity}"
        auc = "" if claim.auc is None else f"{claim.auc:.2f}"
        row = f"{claim.label:<20} {where:<10}{claim.score:6.2f}{auc:>5}{claim.p:6.3f}"
        row += f"{claim.shuffled:7.2f}{claim.untrained:7.2f}"
        if claim.clamped is not None:
            costs = (claim.clamped.bits, claim.clamped.bits_where_it_holds)
            row += "".join(f"{round(bits, 3) + 0.0:+8.3f}" for bits in costs if bits is not None)
        yield row if claim.survives else f"{row}  no: {_reason(claim, report)}"
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
            f"Layer {number}: {len(layer) - len(nameless)} of {len(layer)} units have a claim "
            "that survives. By the strongest:"
        )
        for label, followers in sorted(by_label.items(), key=lambda item: -len(item[1])):
            yield from _listed(label, followers)
        if nameless:
            yield from _listed("(no claim survives)", nameless)


def _reason(claim: Claim, report: Report) -> str:
    """Why a claim does not survive: the first of the three tests that it fails."""
    if claim.p > report.alpha:
        return "by chance"
    if claim.score < report.least:
        return "too weak"
    return "untrained"


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
