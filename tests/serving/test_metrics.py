"""What is counted, and how Prometheus reads it."""

from __future__ import annotations

import re

from charloom.serving.metrics import BUCKETS, Measurements, Requests, histogram, text

LINE = re.compile(r'[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? [-+.e\d]+')


def test_a_histogram_counts_every_wait_in_all_buckets_that_hold_it():
    measured = Measurements()
    for seconds in (0.004, 0.03, 0.03, 99):
        measured.first_character(seconds)
    samples = histogram("wait", {"model": "m"}, measured)
    counts = {labels.get("le"): value for name, labels, value in samples if "bucket" in name}
    assert (counts["0.01"], counts["0.05"], counts["10"], counts["+Inf"]) == (1, 3, 3, 4)
    assert len(counts) == len(BUCKETS) + 1
    assert ("wait_sum", {"model": "m"}, 0.004 + 0.03 + 0.03 + 99) in samples
    assert ("wait_count", {"model": "m"}, 4) in samples


def test_every_line_is_one_that_prometheus_reads():
    requests = Requests()
    requests.count("/v1/models", 200)
    requests.count("/v1/models", 200)
    hostile = ("odd", {"model": 'a"\n\\b'}, 1.5)
    shown = text(
        [
            ("charloom_requests_total", "counter", "Requests.", requests.samples("r_total")),
            ("odd", "gauge", "Odd.", [hostile, ("odd", {}, 1e300)]),
        ]
    )
    lines = [line for line in shown.splitlines() if not line.startswith("#")]
    assert lines[0] == 'r_total{path="/v1/models",status="200"} 2'
    assert all(LINE.fullmatch(line) for line in lines), lines
