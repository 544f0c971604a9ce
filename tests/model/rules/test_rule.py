"""What generation asks of a rule: a table, a state, and where a text has ended."""

from __future__ import annotations

import re

import numpy as np
import pytest
from models import fox_model

from charloom.engines.native import NativeEngine
from charloom.engines.restriction import Restriction, Table
from charloom.errors import SettingsError
from charloom.model.rules.rule import BoundRule, BoundTable, Follower, Rule
from charloom.settings import SamplingSettings

TABLE = Table(  # even ids once or more, then an odd one
    following=np.array([[1, -1], [1, 2], [-1, -1]], np.int32),
    distance=np.array([2, 1, 0], np.int32),
    classes=np.array([0, 1, 0, 1], np.int32),
)


class NoRepeats(Rule, BoundRule):
    """A rule that depends on what was written: no character twice in a row."""

    def bound(self, predictor, stops):
        self.size = predictor.vocabulary.size
        return self

    def begin(self, length):
        return NoRepeatsFollower(self.size, length)


class NoRepeatsFollower(Follower):
    steps, state, complete = 1, 0, False

    def __init__(self, size, left):
        self.left, self.size = left, size
        self.table = Table.of_mask(np.ones(size, bool))

    def take(self, ids, states):
        self.left -= 1
        self.table = Table.of_mask(np.arange(self.size) != ids[0])
        return 1


def test_a_rule_of_ones_own_is_asked_before_every_character():
    text = "".join(fox_model().generate(length=300, rule=NoRepeats()))
    assert len(text) == 300 and not re.search(r"(.)\1", text, re.DOTALL)


def test_a_follower_takes_what_belongs_to_its_text():
    follower = BoundTable(TABLE).begin(9)
    assert follower.take(np.array([0, 2]), np.array([1, 1])) == 2
    assert (follower.state, follower.left, follower.ended) == (1, 7, False)
    assert follower.take(np.array([0, 1, 3, 3]), np.array([1, 2, -1, -1])) == 2
    assert follower.complete and follower.ended
    assert follower.take(np.array([0]), np.array([-1])) == 0


def test_a_text_that_may_end_and_cannot_go_on_in_what_is_left_has_ended():
    optional = Table(  # nothing, or three ids
        following=np.array([[1], [2], [3], [-1]], np.int32),
        distance=np.array([0, 2, 1, 0], np.int32),
        classes=np.zeros(4, np.int32),
    )
    follower = BoundTable(optional).begin(2)
    assert follower.take(np.array([0, 0]), np.array([-1, -1])) == 0
    assert follower.ended and not follower.complete


def test_too_short_a_length_is_refused():
    with pytest.raises(SettingsError, match=r"length: 1 was given; the shortest text .* has 2"):
        BoundTable(TABLE).begin(1)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_tables_of_all_engines_allow_the_same(precision):
    model = fox_model()
    V, B, T = model.vocabulary.size, 7, 12
    classes = np.arange(V, dtype=np.int32) % 2
    table = Table(following=TABLE.following, distance=TABLE.distance, classes=classes)
    native = NativeEngine(model.settings, V, dict(model.weights), precision=precision)
    sampling = [SamplingSettings(top_k=k, temperature=t) for k, t in [(0, 1), (3, 1), (0, 0)]]
    found = []
    for engine in (native, model.with_weights(native.weights(), precision="float32").engine):
        tables = [table, None, table, table, None, table, table]
        restriction = Restriction.starting(tables, [0, -1, 1, 0, -1, 1, 2], range(3, 10), T)
        ids, _ = engine.generate(
            np.zeros(B, np.int32),
            engine.zero_state(B),
            T,
            [sampling[b % 3] for b in range(B)],
            np.arange(B, dtype=np.uint64),
            0,
            (0,),
            restriction,
        )
        found.append((ids, restriction.states))
        for b, own in enumerate(tables):
            path = restriction.states[:, b]
            for n in range(T):
                if own is not None and path[n + 1] >= 0:
                    assert own.allowed(path[n], b + 3 - n)[ids[n, b]]
                    assert path[n + 1] == own.following[path[n], ids[n, b] % 2]
    if precision == "float32":
        assert all((one == other).all() for one, other in zip(*found, strict=True))


def test_wrong_tables_never_reach_memory():
    model = fox_model()
    engine, V = model.engine, model.vocabulary.size
    good = {
        "following": np.array([[99, 5], [-9, 2**31 - 1]], np.int32),  # no states, so no ways
        "distance": np.zeros(2, np.int32),
        "classes": np.zeros(V, np.int32),
    }

    def drawn(states=(0,), rows=1, **changed):
        table = Table(**{**good, **changed})
        restriction = Restriction.starting([table], list(states), [5], 3)
        if rows != 1:
            restriction = Restriction(
                tables=[table], states=np.zeros((2, 1), np.int32), left=restriction.left
            )
        ids = np.zeros(1, np.int32)
        seeds = np.zeros(1, np.uint64)
        engine.generate(ids, engine.zero_state(1), 3, SamplingSettings(), seeds, 0, (), restriction)
        return restriction.states[1:, 0].tolist()

    assert drawn() == drawn(states=(2**31 - 1,)) == drawn(states=(-5,)) == [-1, -1, -1]
    for wrong in (
        {"classes": np.full(V, 2, np.int32)},
        {"classes": np.full(V, -1, np.int32)},
        {"classes": np.zeros(V + 1, np.int32)},
        {"distance": np.zeros(1, np.int32)},
        {"rows": 2},
    ):
        with pytest.raises(ValueError, match="wrong"):
            drawn(**wrong)
