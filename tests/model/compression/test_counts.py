"""The mixture of counts and a network: by hand, exact in any order, and no worse than its parts."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charloom.model.compression import counts
from charloom.model.compression.coding import TOTAL, frequencies
from charloom.model.compression.counts import LONGEST, Mixture


def bits(mixture: Mixture, text: list[int], logits: np.ndarray, chunk: int = 8) -> float:
    """What a text costs after its first character; `logits` (N, S) are the network's."""
    mixture.start(text[0])
    total = 0.0
    for at in range(1, len(text), chunk):
        ids = np.array(text[at : at + chunk])
        found = mixture.frequencies(logits[at : at + chunk], ids[:-1])
        total -= np.log2(found[np.arange(len(ids)), ids] / TOTAL).sum()
        mixture.learn(ids, at / len(text))
    return total


def witten_bell(text: list[int], at: int, S: int, longest: int, known: int) -> np.ndarray:
    """p_K of the character at `at`, from the plain definition; `known` characters were learned."""
    padded = [0] * longest + text
    p = np.full(S, 1 / S)
    for k in range(longest + 1):
        context = padded[longest + at - k : longest + at]
        seen: dict[int, int] = defaultdict(int)
        for n in range(1, known):
            if padded[longest + n - k : longest + n] == context:
                seen[text[n]] += 1
        if seen:
            whole = sum(seen.values()) + len(seen)
            p = np.array([(seen.get(s, 0) + len(seen) * p[s]) / whole for s in range(S)])
    return p


def test_with_an_even_network_and_one_set_of_weights_it_is_witten_bells_estimate(monkeypatch):
    monkeypatch.setattr(counts, "_RATES", (0.0, 0.0))
    random = np.random.default_rng(0)
    text, S = random.choice(3, 60, p=[0.6, 0.3, 0.1]).tolist(), 3
    mixture = Mixture(S, 2)
    mixture._weights[:, -1] = 1.0
    mixture.start(text[0])
    for at in range(1, 60, 5):
        ids = np.array(text[at : at + 5])
        found = mixture.frequencies(np.zeros((len(ids), S), np.float32), ids[:-1])
        for n in range(len(ids)):
            expected = witten_bell(text, at + n, S, 2, known=at)
            assert found[n] / TOTAL == pytest.approx(expected, abs=1e-3)
        mixture.learn(ids, 0.0)


def test_row_by_row_it_is_the_same_as_a_chunk_at_once():
    random = np.random.default_rng(1)
    whole, single = Mixture(5, 4), Mixture(5, 4)
    whole.start(2), single.start(2)
    for _ in range(30):
        logits = random.standard_normal((7, 5)).astype(np.float32)
        ids = random.integers(0, 5, 7)
        at_once = whole.frequencies(logits, ids[:-1])
        in_turn = [single.frequencies(logits[n : n + 1], ids[:n])[0] for n in range(7)]
        assert (at_once == np.array(in_turn)).all()
        whole.learn(ids, 0.5)
        single.learn(ids, 0.5)
    assert (whole._weights == single._weights).all()


def test_the_weights_go_down_the_gradient_of_the_surprisal():
    random = np.random.default_rng(2)
    mixture = Mixture(4, 2)
    bits(mixture, random.integers(0, 4, 200).tolist(), np.zeros((200, 4), np.float32))
    ids = random.integers(0, 4, 6)
    logits = random.standard_normal((6, 4)).astype(np.float32)
    start = mixture._weights.copy()

    def nats(weights: np.ndarray) -> float:
        mixture._weights = weights
        found = mixture.frequencies(logits, ids[:-1])
        mixture._seen.clear()
        return -np.log(found[np.arange(6), ids] / TOTAL).sum()

    step = 1e-3
    slopes = np.zeros_like(start)
    for place in np.ndindex(*start.shape):
        change = np.zeros_like(start)
        change[place] = step
        slopes[place] = (nats(start + change) - nats(start - change)) / (2 * step)
    mixture._weights = start.copy()
    mixture.frequencies(logits, ids[:-1])
    mixture.learn(ids, 0.0)
    assert mixture._weights == pytest.approx(start - counts._RATES[0] * slopes, abs=1e-6)


def test_it_costs_less_than_the_network_where_the_text_repeats_and_little_more_elsewhere():
    random = np.random.default_rng(3)
    phrase = random.integers(0, 20, 40).tolist()
    random_text = random.integers(0, 20, 2000).tolist()
    even = np.zeros((2000, 20), np.float32)
    alone = 1999 * math.log2(20)
    assert bits(Mixture(20, 6), phrase * 50, even) < 0.2 * alone
    assert bits(Mixture(20, 6), random_text, even) < 1.1 * alone
    sure = even.copy()
    sure[np.arange(2000), random_text] = 8  # a network that is right
    taken = frequencies(sure)[np.arange(2000), random_text]
    assert bits(Mixture(20, 6), random_text, sure) < 1.1 * -np.log2(taken[1:] / TOTAL).sum() + 200


def test_high_counts_are_halved_and_without_room_no_context_is_added(monkeypatch):
    mixture = Mixture(2, 1)
    bits(mixture, [0] * 3000, np.zeros((3000, 2), np.float32))
    assert 128 <= mixture._counts.max() <= counts._HIGHEST + 8
    monkeypatch.setattr(counts, "_MOST_COUNTS", 2 * 10)
    full = Mixture(2, LONGEST)
    text = np.random.default_rng(4).integers(0, 2, 500).tolist()
    assert 0 < bits(full, text, np.zeros((500, 2), np.float32)) < 600
    assert len(full._rows) == 9
    assert not full._counts[0].any()


def test_the_table_grows_and_keeps_what_it_holds():
    text = np.random.default_rng(5).integers(0, 256, 800).tolist()
    mixture = Mixture(256, 6)
    bits(mixture, text, np.zeros((800, 256), np.float32))
    assert len(mixture._counts) > 1024
    assert mixture._counts[mixture._rows[0]].sum() == 799  # the context of no characters


@given(st.floats(1e-30, 1.0))
def test_logarithms_are_right_to_12_bits_and_multiples_of_the_unit(p):
    found = float(counts._logarithm(np.array([p]))[0])
    assert found == pytest.approx(max(math.log(p), -16), abs=2**-12 + 2**-13)
    assert (found * 4096).is_integer()
