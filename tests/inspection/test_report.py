"""The report: every claim in its row, and why those that do not survive do not."""

from __future__ import annotations

from dataclasses import replace

import planted
import pytest

from charloom.inspection.units.report import Refusal, Report, table
from charloom.inspection.units.search import units

TEXT = planted.text(3000, seed=1)


@pytest.fixture(scope="module")
def report() -> Report:
    return units(planted.model(), TEXT, patterns=[planted.REMEMBERED])


def test_units_without_a_surviving_claim_are_reported_as_such(report: Report):
    assert None in report.of_unit[0]
    lines = list(table(report))
    assert any("(no claim survives)" in line for line in lines)
    assert max(map(len, lines)) <= 80
    refused = [line for line in lines if line.partition("  no: ")[2]]
    assert len(refused) == sum(not claim.survives for claim in report.best) > 0
    assert any("a digit" in line for line in lines if line.startswith("Too rare"))
    assert "a digit" in report.absent


@pytest.mark.parametrize("reason", ["by chance", "too weak", "controls", "clamping"])
def test_a_claim_that_does_not_survive_says_which_test_it_fails(report: Report, reason: Refusal):
    claim = replace(report.surviving[0], refused=reason)
    row = next(line for line in table(replace(report, best=[claim])) if claim.label in line)
    assert row.endswith(f"  no: {reason}")
    assert not claim.survives


def test_the_loss_by_clamping_and_the_end_of_its_interval_stand_in_the_row(report: Report):
    for claim in report.surviving:
        row = next(line for line in table(report) if line.startswith(f"{claim.label} "))
        assert claim.clamped is not None
        low = claim.clamped.interval[0]
        assert row.split()[-2:] == [f"{claim.clamped.bits:+.4f}", f"{low:+.4f}"]


def test_a_report_names_precision_kernels_and_controls(report: Report):
    lines = list(table(report))
    assert any(f"{report.precision}, {report.kernels}" in line for line in lines)
    assert any("12 untrained networks, 12 trained" in line for line in lines)
