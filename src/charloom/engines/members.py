"""Networks that are trained side by side on the same batches, and are one network in the end.

Each member has a share of the units, and its own first values, dropout and optimizer. What one
is wrong about, another often is not: the mean of their logits is better than those of any
of them, and better than those of one network with all units (docs/measurements.md). The whole
is a network as every other, whose recurrent and upper weights are zero between members:

    W = [A 0]    head = [A / 2, B / 2]    bias = (a + b) / 2
        [0 B]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from ..errors import SettingsError, counted
from ..settings import ModelSettings
from .base import Activations, Engine, OptimizerState, State, Step, StepSettings, Surprisal
from .weights import Array, Weights, initial_weights, weight_shapes

MOST_LOGITS = 2**22
"""That are in memory at once, of each member: 16 MB."""


def share_of(settings: ModelSettings, members: int) -> ModelSettings:
    """The shape of each member; SettingsError where the units cannot be shared out evenly.

    >>> share_of(ModelSettings(hidden_size=64), 2).hidden_size
    32
    """
    for name in ("hidden_size", "embedding_size"):
        size = getattr(settings, name)
        if size % members:
            raise SettingsError(
                f"{name}: {size} was given, which {counted(members, 'member')} cannot share "
                f"evenly; use a multiple of {members}"
            )
    return settings.replace(
        hidden_size=settings.hidden_size // members,
        embedding_size=settings.embedding_size // members,
    )


def merged(settings: ModelSettings, members: list[Weights]) -> Weights:
    """The weights of the whole, of the shape `settings`; its logits are the mean of theirs.

    >>> settings = ModelSettings(cell="rnn", hidden_size=2, num_layers=1)
    >>> one = initial_weights(share_of(settings, 2), 3, seed=0)
    >>> whole = merged(settings, [one, one])
    >>> whole["rnn.weight_hh_l0"].shape, whole["rnn.weight_hh_l0"][0, 1]
    ((2, 2), np.float32(0.0))
    """
    count = len(members)
    share = share_of(settings, count)
    whole: Weights = {}
    for name in members[0]:
        parts = [member[name] for member in members]
        if name == "head.bias":
            whole[name] = np.mean(parts, axis=0, dtype=parts[0].dtype)
        elif name == "head.weight":
            whole[name] = np.concatenate(parts, axis=1) / parts[0].dtype.type(count)
        elif name == "embedding.weight":
            whole[name] = np.concatenate(parts, axis=1)
        else:
            shared = name.endswith("weight_ih_l0") and not settings.embedding_size
            whole[name] = _beside(parts, share.hidden_size, along=parts[0].ndim == 1 or shared)
    return whole


def _beside(parts: list[Array], units: int, *, along: bool) -> Array:
    """Rows of the gates, each with the units of all members; columns are shared or their own."""
    blocks = []
    for gate in range(0, len(parts[0]), units):
        rows = [part[gate : gate + units] for part in parts]
        blocks.append(np.concatenate(rows) if along else _diagonal(rows))
    return np.concatenate(blocks)


def _diagonal(parts: list[Array]) -> Array:
    """Matrices down the diagonal of a larger one.

    >>> _diagonal([np.array([[1]]), np.array([[2]])])
    array([[1, 0],
           [0, 2]])
    """
    rows, columns = (sum(part.shape[axis] for part in parts) for axis in (0, 1))
    whole = np.zeros((rows, columns), parts[0].dtype)
    row, column = 0, 0
    for part in parts:
        whole[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return whole


def member_shapes(
    settings: ModelSettings, vocabulary_size: int, members: int
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all members' weights: those of one, after its number and a slash.

    >>> list(member_shapes(ModelSettings(hidden_size=2), 3, 2))[-1]
    '1/head.bias'
    """
    shapes = weight_shapes(share_of(settings, members), vocabulary_size)
    return {f"{m}/{name}": shape for m in range(members) for name, shape in shapes.items()}


def first_members(
    settings: ModelSettings,
    vocabulary_size: int,
    seed: int,
    members: int,
    first_values: Literal["scaled", "keras"] = "scaled",
) -> Weights:
    """First values of each member, by seeds of their own."""
    share = share_of(settings, members)
    return _numbered(
        initial_weights(share, vocabulary_size, _seed(seed, m), first_values=first_values)
        for m in range(members)
    )


class MembersEngine(Engine):
    """An engine for each member; `weights` and `load` have all of them, by number."""

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary_size: int,
        weights: Weights,
        count: int,
        open_one: Callable[[ModelSettings, Weights], Engine],
    ) -> None:
        share = share_of(settings, count)
        self.settings, self.vocabulary_size = settings, vocabulary_size
        self._members = [open_one(share, _of_member(weights, m)) for m in range(count)]
        self.precision, self.kernels = self._members[0].precision, self._members[0].kernels

    def weights(self) -> Weights:
        """A copy of the weights of each member, after its number and a slash."""
        return _numbered(member.weights() for member in self._members)

    def merged(self) -> Weights:
        """The weights of the whole."""
        return merged(self.settings, [member.weights() for member in self._members])

    def optimizer_state(self) -> OptimizerState:
        """A copy of the members' memories."""
        states = [member.optimizer_state() for member in self._members]
        return OptimizerState(
            steps=states[0].steps,
            mean=_numbered(state.mean for state in states),
            mean_square=_numbered(state.mean_square for state in states),
        )

    def load(self, weights: Weights, optimizer: OptimizerState | None = None) -> None:
        """Put copies of weights, and of Adam's memory (zero when None), in place."""
        for m, member in enumerate(self._members):
            memory = optimizer and OptimizerState(
                steps=optimizer.steps,
                mean=_of_member(optimizer.mean, m),
                mean_square=_of_member(optimizer.mean_square, m),
            )
            member.load(_of_member(weights, m), memory)

    def train_step(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> Step:
        """A step of each; the mean of their losses, and the largest of their gradients' norms."""
        steps: list[Step] = []
        for m, (member, part) in enumerate(self._with_shares(state)):
            key = _seed(settings.dropout_key, m) % 2**32
            steps.append(
                member.train_step(inputs, targets, part, replace(settings, dropout_key=key))
            )
            if not (np.isfinite(steps[-1].nats) and np.isfinite(steps[-1].gradient_norm)):
                self.intact = m == 0
                return replace(steps[-1], state=state)
        return Step(
            nats=float(np.mean([step.nats for step in steps])),
            characters=steps[0].characters,
            gradient_norm=max(step.gradient_norm for step in steps),
            state=_together([step.state for step in steps]),
        )

    def logits(self, inputs: Array, state: State) -> tuple[Array, State]:
        """(T, B, V), the mean of the members' logits; the state after."""
        found = [member.logits(inputs, part) for member, part in self._with_shares(state)]
        return _mean([logits for logits, _ in found]), _together([after for _, after in found])

    def surprisal(self, inputs: Array, targets: Array, state: State) -> Surprisal:
        """-ln p and the rank of each target, a few steps at a time."""
        some = max(1, MOST_LOGITS // (inputs.shape[1] * self.vocabulary_size))
        parts = []
        for at in range(0, len(inputs), some):
            parts.append(super().surprisal(inputs[at : at + some], targets[at : at + some], state))
            state = parts[-1].state
        return Surprisal(
            nats=np.concatenate([part.nats for part in parts]),
            ranks=np.concatenate([part.ranks for part in parts]),
            state=state,
        )

    def trace(self, inputs: Array, state: State) -> Activations:
        """What all members computed, their units side by side."""
        found = [member.trace(inputs, part) for member, part in self._with_shares(state)]
        return Activations(
            quantities={
                name: np.concatenate([one.quantities[name] for one in found], axis=-1)
                for name in found[0].quantities
            },
            logits=_mean([one.logits for one in found]),
            state=_together([one.state for one in found]),
        )

    def _with_shares(self, state: State) -> Iterator[tuple[Engine, State]]:
        """Each member with its units' state."""
        hidden = np.split(state.hidden, len(self._members), axis=-1)
        cell = np.split(state.cell, len(self._members), axis=-1)
        for member, h, c in zip(self._members, hidden, cell, strict=True):
            yield member, State(hidden=h, cell=c)


def _mean(logits: list[Array]) -> Array:
    return sum(logits[1:], logits[0]) / np.float32(len(logits))


def _together(states: list[State]) -> State:
    return State(
        hidden=np.concatenate([state.hidden for state in states], axis=-1),
        cell=np.concatenate([state.cell for state in states], axis=-1),
    )


def _numbered(members: Iterable[Weights]) -> Weights:
    return {
        f"{m}/{name}": values
        for m, weights in enumerate(members)
        for name, values in weights.items()
    }


def _of_member(weights: Weights, number: int) -> Weights:
    prefix = f"{number}/"
    return {
        name.removeprefix(prefix): values
        for name, values in weights.items()
        if name.startswith(prefix)
    }


def _seed(seed: int, member: int) -> int:
    """Another for each member; the first has the seed itself, as a network alone."""
    if member == 0:
        return seed
    return int(np.random.SeedSequence([seed, member]).generate_state(1, np.uint64)[0] >> 1)
