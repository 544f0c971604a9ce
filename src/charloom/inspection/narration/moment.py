"""One step of one layer, ready to be told: its quantities, units, sums and votes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...engines.cell import CELLS
from ...engines.weights import Array
from ...model.model import Model
from ...model.tracing import Trace, symbols
from ...text.visible import visible

LARGEST = 4
"""Units that are shown where all would be too many."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One step of one layer in a trace."""

    model: Model
    trace: Trace
    at: int
    """The step, from the start of this trace."""
    layer: int
    """From 0."""
    unit: int | None
    """The unit to tell of; None for those to which most happened."""

    @property
    def quantities(self) -> dict[str, Array]:
        """(H,) by name."""
        return {name: v[self.at, self.layer] for name, v in self.trace.quantities.items()}

    def units(self, by: Array) -> list[int]:
        """The unit asked about, or those where |by| (H,) is largest."""
        if self.unit is not None:
            return [self.unit]
        return np.argsort(-np.abs(by), kind="stable")[:LARGEST].tolist()

    @property
    def before(self) -> Array:
        """(H,) the headline that the step found."""
        return self.trace.h_before[self.at, self.layer]

    def sums(self, unit: int) -> dict[str, tuple[float, float, float]]:
        """By gate, what x_t, h_t-1 and the bias contribute to a unit's sum."""
        shape, w = self.model.settings, self.model.weights
        if self.layer:
            x = self.trace.h_t[self.at, self.layer - 1].astype(np.float64)
        elif shape.embedding_size:
            x = w["embedding.weight"][self.trace.ids[self.at]].astype(np.float64)
        else:
            x = np.zeros(self.model.vocabulary.size)
            x[self.trace.ids[self.at]] = 1
        before = self.before.astype(np.float64)
        found = {}
        for number, gate in enumerate(CELLS[shape.cell].gates):
            row = number * shape.hidden_size + unit
            found[gate] = (
                float(w[f"{shape.cell}.weight_ih_l{self.layer}"][row] @ x),
                float(w[f"{shape.cell}.weight_hh_l{self.layer}"][row] @ before),
                float(w[f"{shape.cell}.bias_l{self.layer}"][row]),
            )
        return found

    def recurrent_bias(self, gate: str, unit: int) -> float:
        """The bias within what a gate's recurrent weights make of h_t-1, where it stands apart."""
        shape = self.model.settings
        row = CELLS[shape.cell].gates.index(gate) * shape.hidden_size + unit
        at = CELLS[shape.cell].recurrent_bias(shape.hidden_size)[row]
        return float(self.model.weights[f"{shape.cell}.bias_l{self.layer}"][at])


def share(part: Array, whole: Array) -> Array:
    """A part of a whole; 0 of nothing."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def gate_of(moment: Moment, gate: str, name: str) -> Iterator[str]:
    """Where the value of a gate comes from, for a single unit."""
    if moment.unit is None:
        return
    x, h, b = moment.sums(moment.unit)[gate]
    value = moment.quantities[name][moment.unit]
    squash = "sigmoid" if name in CELLS[moment.model.settings.cell].fractions else "tanh"
    total = f"{number(x)} from x_t {signed(h)} from h_t-1 {signed(b)}"
    yield f"   {name} = {squash}({total}) = {number(value)}"


def votes_of(moment: Moment) -> Iterator[str]:
    """Which characters a headline speaks for; only the top layer's is read by the head."""
    if moment.layer + 1 < moment.model.settings.num_layers:
        yield f"   (Layer {moment.layer + 2} reads this headline.)"
        return
    head, h_t, unit = moment.model.weights["head.weight"], moment.quantities["h_t"], moment.unit
    effect = head - head.mean(axis=0)
    if unit is not None:
        votes, speaker = effect[:, unit] * h_t[unit], f"unit {unit:<4}"
    else:
        votes, speaker = effect @ h_t, "it"
    order = np.argsort(-votes, kind="stable")
    for verb, ids in (("for", order[:3]), ("against", order[:-4:-1])):
        ids = [id for id in ids.tolist() if (votes[id] > 0) == (verb == "for") and votes[id]]
        names = symbols(moment.model.vocabulary, np.array(ids, int))
        told = ", ".join(
            f"'{visible(name)}' {votes[id]:+.2f}" for name, id in zip(names, ids, strict=True)
        )
        if told:
            yield f"   {speaker} speaks {verb} {told} (nats)"


def number(value: float) -> str:
    """A number with three decimals, and no -0.000."""
    return f"{round(float(value), 3) + 0.0:.3f}"


def signed(value: float) -> str:
    """A number to be added: its sign stands apart."""
    return f"{'-' if value < 0 else '+'} {abs(value):.3f}"
