"""engines/members.py: members learn as each alone does, and are one network of their mean."""

from __future__ import annotations

import numpy as np
import pytest

from charloom.engines.base import State, StepSettings
from charloom.engines.loss import ranks, surprisal
from charloom.engines.members import MembersEngine, first_members, member_shapes, merged, share_of
from charloom.engines.native import NativeEngine, available_kernels
from charloom.engines.selection import open_engine
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError
from charloom.settings import ModelSettings

V, T, B = 11, 7, 5
SHAPES = [
    ModelSettings(cell=cell, hidden_size=12, num_layers=layers, embedding_size=embedding)
    for cell in ("lstm", "gru", "rnn")
    for layers, embedding in ((1, 0), (2, 0), (2, 6))
] + [ModelSettings(cell=cell, hidden_size=192, num_layers=2) for cell in ("lstm", "gru", "rnn")]


def opened(settings: ModelSettings, count: int, engine: str = "native") -> MembersEngine:
    weights = first_members(settings, V, 3, count, "scaled")
    found = open_engine(settings, V, weights, precision="float32", engine=engine, members=count)
    assert isinstance(found, MembersEngine)
    return found


def batch(seed: int = 0):
    random = np.random.default_rng(seed)
    inputs, targets = random.integers(0, V, (2, T, B)).astype(np.int32)
    return inputs, targets


def a_state(settings: ModelSettings) -> State:
    random = np.random.default_rng(5)
    zero = State.zeros(settings, B)
    cell = 0.0 if settings.cell != "lstm" else 1.0
    return State(
        hidden=random.normal(0, 0.3, zero.hidden.shape).astype(np.float32),
        cell=cell * random.normal(0, 0.3, zero.cell.shape).astype(np.float32),
    )


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("settings", SHAPES, ids=str)
def test_the_whole_computes_the_mean_of_the_logits(settings, count):
    members = opened(settings, count)
    inputs, targets = batch()
    for _ in range(3):  # biases that differ from member to member
        members.train_step(inputs, targets, a_state(settings), StepSettings(learning_rate=0.05))
    whole = open_engine(settings, V, members.merged(), precision="float32")
    state = a_state(settings)
    expected, after = members.logits(inputs, state)
    logits, whole_after = whole.logits(inputs, state)
    close = {"rtol": 2e-6, "atol": 1e-5}
    np.testing.assert_allclose(logits, expected, **close)
    np.testing.assert_allclose(whole_after.hidden, after.hidden, **close)
    np.testing.assert_allclose(whole_after.cell, after.cell, **close)
    traced, whole_traced = members.trace(inputs, state), whole.trace(inputs, state)
    for name, values in whole_traced.quantities.items():
        np.testing.assert_allclose(traced.quantities[name], values, **close)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_each_member_learns_as_it_would_alone(engine):
    settings = SHAPES[1]
    members = opened(settings, 2, engine)
    share = share_of(settings, 2)
    start = members.weights()
    step = StepSettings(learning_rate=0.05, dropout=0.3, dropout_key=9)
    inputs, targets = batch()
    told = members.train_step(inputs, targets, members.zero_state(B), step)
    alone = []
    for m in range(2):
        weights = {name[2:]: w for name, w in start.items() if name.startswith(f"{m}/")}
        one = open_engine(share, V, weights, precision="float32", engine=engine)
        alone.append(one.train_step(inputs, targets, one.zero_state(B), step))
        learned = [members.weights()[f"{m}/{name}"] for name in weights]
        equal = [(one.weights()[name] == w).all() for name, w in zip(weights, learned, strict=True)]
        assert all(equal) if m == 0 else not any(equal)  # what the second drops is another
    assert told.characters == T * B
    np.testing.assert_array_equal(told.state.hidden[..., :6], alone[0].state.hidden)


def test_members_start_from_different_values_the_first_from_those_of_a_network_alone():
    settings = SHAPES[0]
    weights = first_members(settings, V, 3, 2, "scaled")
    assert {name: w.shape for name, w in weights.items()} == member_shapes(settings, V, 2)
    for name, values in initial_weights(share_of(settings, 2), V, 3).items():
        np.testing.assert_array_equal(weights[f"0/{name}"], values)
    assert (weights["0/lstm.weight_hh_l0"] != weights["1/lstm.weight_hh_l0"]).any()


def test_what_was_read_out_goes_on_as_if_nothing_had_happened():
    settings = SHAPES[1]
    step = StepSettings(learning_rate=0.05, dropout=0.3, dropout_key=9)
    one, other = opened(settings, 2), opened(settings, 2)
    state = one.zero_state(B)
    for n in range(4):
        state = one.train_step(*batch(n), state, step).state
    other.load(one.weights(), one.optimizer_state())
    after = [engine.train_step(*batch(9), state, step) for engine in (one, other)]
    assert after[0].nats == after[1].nats
    for name, values in one.weights().items():
        np.testing.assert_array_equal(other.weights()[name], values)


@pytest.mark.parametrize("most", [1, 2 * B * V, 10**9])
def test_surprisal_is_that_of_the_mean_however_many_logits_fit(most, monkeypatch):
    monkeypatch.setattr("charloom.engines.members.MOST_LOGITS", most)
    settings = SHAPES[1]
    members = opened(settings, 2)
    inputs, targets = batch()
    targets[2, 1] = -1
    state = a_state(settings)
    found = members.surprisal(inputs, targets, state)
    logits, after = members.logits(inputs, state)
    np.testing.assert_array_equal(found.nats, surprisal(logits, targets))
    np.testing.assert_array_equal(found.ranks, ranks(logits, targets))
    np.testing.assert_array_equal(found.state.hidden, after.hidden)


@pytest.mark.parametrize("bad", [0, 1])
def test_a_step_that_only_some_have_taken_is_told(bad):
    settings = SHAPES[0]
    members = opened(settings, 2)
    weights = members.weights()
    weights[f"{bad}/head.weight"][0, 0] = np.nan
    members.load(weights)
    state = members.zero_state(B)
    step = members.train_step(*batch(), state, StepSettings(learning_rate=0.1))
    assert not np.isfinite(step.nats)
    assert members.intact == (bad == 0)
    np.testing.assert_array_equal(step.state.hidden, state.hidden)


@pytest.mark.parametrize(
    "settings",
    [ModelSettings(hidden_size=9), ModelSettings(hidden_size=8, embedding_size=3)],
    ids=str,
)
def test_units_that_cannot_be_shared_are_refused(settings):
    with pytest.raises(SettingsError, match="2 members cannot share evenly; use a multiple of 2"):
        share_of(settings, 2)


def test_torch_has_no_members():
    settings = SHAPES[0]
    with pytest.raises(SettingsError, match="engine torch trains one network"):
        open_engine(
            settings, V, first_members(settings, V, 0, 2, "keras"), engine="torch", members=2
        )


def test_merging_one_changes_nothing():
    settings = SHAPES[1]
    weights = first_members(settings, V, 0, 1, "scaled")
    plain = {name[2:]: values for name, values in weights.items()}
    for name, values in merged(settings, [plain]).items():
        np.testing.assert_array_equal(values, plain[name])


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("place", [None, (0, 191), (5 * 64 + 63, 100), (3 * 192, 64)])
@pytest.mark.parametrize("name", ["lstm.weight_hh_l0", "lstm.weight_ih_l1"])
def test_one_weight_between_members_is_seen(name, place, kernels):
    """The native kernels leave out what is zero between members, and nothing else."""
    settings = ModelSettings(hidden_size=192, num_layers=2)
    weights = opened(settings, 3).merged()
    if place:
        assert weights[name][place] == 0
        weights[name][place] = 2.0
    inputs, targets = batch()
    state = a_state(settings)
    engine = NativeEngine(settings, V, weights, precision="float32", kernels=kernels)
    reference = open_engine(settings, V, weights, engine="reference")
    for _ in range(2):  # the second after a step, which leaves nothing zero
        found, expected = engine.logits(inputs, state)[0], reference.logits(inputs, state)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        for learner in (engine, reference):
            learner.train_step(inputs, targets, state, StepSettings(learning_rate=0.01))
