"""The report: every claim in its row, and why those that do not survive do not."""

from __future__ import annotations

from dataclasses import replace

import planted
import pytest

from charloom.inspection.units.report import Report, table
from charloom.inspection.units.search import units

TEXT = planted.text(3000, seed=1)
REMEMBERED = "A[^Z]*"


@pytest.fixture(scope="module")
def report() -> Report:
    return units(planted.model(), TEXT, patterns=[REMEMBERED])


def test_units_without_a_surviving_claim_are_reported_as_such(report: Report):
    assert None in report.of_unit[0]
    lines = list(table(report))
    assert any("(no claim survives)" in line for line in lines)
    assert max(map(len, lines)) <= 80
    refused = [line for line in lines if line.partition("  no: ")[2]]
    assert len(refused) == sum(not claim.survives for claim in report.best) > 0
    assert any("a digit" in line for line in lines if line.startswith("Too rare"))
    assert "a digit" in report.absent


def test_a_claim_that_does_not_survive_says_which_test_it_fails(report: Report):
    good = replace(report.surviving[0], clamped=None)
    failures = {
        "by chance": replace(good, p=0.2, survives=False),
        "too weak": replace(good, score=0.3, survives=False),
        "untrained": replace(good, beats_untrained=0.5, survives=False),
    }
    for reason, claim in failures.items():
        row = next(line for line in table(replace(report, best=[claim])) if good.label in line)
        assert row.endswith(f"  no: {reason}")
