"""What a server has done, as numbers that only grow, in the text that Prometheus reads.

https://prometheus.io/docs/instrumenting/exposition_formats/ says how such a text is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of waits, in seconds."""


class Measurements:
    """What the making of texts has come to, for one model; one thread writes it.

    >>> measured = Measurements()
    >>> measured.first_character(0.03)
    >>> measured.waits_up_to(0.05), measured.waits_up_to(0.01)
    (1, 0)
    """

    def __init__(self) -> None:
        self.read = 0  # characters of prompts
        self.generated = 0  # characters
        self.busy_seconds = 0.0  # of the thread that computes
        self.waits = 0
        self.wait_seconds = 0.0
        self._in_bucket = [0] * len(BUCKETS)

    def first_character(self, seconds: float) -> None:
        """Count how long a stream waited for its first character."""
        self.waits += 1
        self.wait_seconds += seconds
        for n, bound in enumerate(BUCKETS):
            self._in_bucket[n] += seconds <= bound

    def waits_up_to(self, bound: float) -> int:
        """How many were no longer than one of the BUCKETS."""
        return self._in_bucket[BUCKETS.index(bound)]


Sample = tuple[str, dict[str, str], float]


def text(families: Iterable[tuple[str, str, str, Iterable[Sample]]]) -> str:
    r"""Families of samples, each with its name, its kind, its help and its values.

    >>> print(text([("up", "gauge", "Whether.", [("up", {"of": 'a"b'}, 1)])]), end="")
    # HELP up Whether.
    # TYPE up gauge
    up{of="a\"b"} 1
    """
    lines = []
    for name, kind, help, samples in families:
        lines += [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
        lines += [f"{sample}{_labels(labels)} {value:.12g}" for sample, labels, value in samples]
    return "\n".join(lines) + "\n"


def histogram(name: str, labels: dict[str, str], measured: Measurements) -> list[Sample]:
    """The waits for a first character."""
    bounds = [(f"{bound:g}", measured.waits_up_to(bound)) for bound in BUCKETS]
    return [
        *(
            (f"{name}_bucket", {**labels, "le": le}, n)
            for le, n in [*bounds, ("+Inf", measured.waits)]
        ),
        (f"{name}_sum", labels, measured.wait_seconds),
        (f"{name}_count", labels, measured.waits),
    ]


class Requests:
    """How many requests there were, by what they asked for and how they were answered."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()

    def count(self, path: str, status: int) -> None:
        """One more; `path` is one of a few, or metrics would grow with what clients make up."""
        self._counts[path, status] += 1

    def samples(self, name: str) -> list[Sample]:
        """One for each path and status."""
        return [
            (name, {"path": path, "status": str(status)}, count)
            for (path, status), count in sorted(self._counts.items())
        ]


def _labels(labels: dict[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    inside = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""
