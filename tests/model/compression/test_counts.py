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


def letterless(symbols: int, longest: int) -> Mixture:
    """A mixture without letters: the word is the last character, below."""
    return Mixture(np.zeros(symbols, np.int64), longest)


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


def estimate(text: list[int], at: int, S: int, longest: int, known: int) -> np.ndarray:
    """p of the word (here the last character) at `at`, from the plain definition.

    `known` characters were learned, in chunks of 5; within a chunk nothing is known of the chunk.
    """
    padded = [0] * longest + text

    def followers(k: int, context: list[int], end: int) -> list[int]:
        places = range(1, end)
        return [n for n in places if padded[longest + n - k : longest + n] == context]

    def counted(k: int, n: int) -> bool:
        """Whether no longer context had the character of place n before the chunk of n."""
        chunk = n - (n - 1) % 5
        for longer in range(k + 1, longest + 1):
            context = padded[longest + n - longer : longest + n]
            if any(text[m] == text[n] for m in followers(longer, context, chunk)):
                return False
        return True

    p = np.full(S, 1 / S)
    for k in [*range(longest + 1), None]:
        length = 1 if k is None else k
        context = padded[longest + at - length : longest + at]
        seen: dict[int, int] = defaultdict(int)
        for n in followers(length, context, known):
            if k is None or counted(k, n):
                seen[text[n]] += 1
        if seen:
            whole = sum(seen.values()) + len(seen)
            p = np.array([(seen.get(s, 0) + len(seen) * p[s]) / whole for s in range(S)])
    return p


def test_with_an_even_network_and_equal_weights_it_is_the_estimate_by_its_definition(monkeypatch):
    monkeypatch.setattr(counts, "_RATES", (0.0, 0.0))
    random = np.random.default_rng(0)
    text, S = random.choice(3, 60, p=[0.6, 0.3, 0.1]).tolist(), 3
    mixture = letterless(S, 2)
    mixture._weights[:] = 1.0
    mixture.start(text[0])
    for at in range(1, 60, 5):
        ids = np.array(text[at : at + 5])
        found = mixture.frequencies(np.zeros((len(ids), S), np.float32), ids[:-1])
        for n in range(len(ids)):
            expected = estimate(text, at + n, S, 2, known=at)
            assert found[n] / TOTAL == pytest.approx(expected, abs=1e-3)
        mixture.learn(ids, 0.0)


def test_by_hand_a_word_knows_what_followed_it_whatever_its_capitals(monkeypatch):
    monkeypatch.setattr(counts, "_RATES", (0.0, 0.0))
    # "ab." is learned; then "Ab" comes: the context b and the word were seen once, with ".".
    a, b, dot, capital = range(4)
    mixture = Mixture(np.array([97, 98, 0, 97]), 2)
    mixture._weights[:] = 0
    mixture._weights[:, 1:] = 1
    mixture.start(dot)
    mixture.frequencies(np.zeros((3, 4)), np.array([a, b]))
    mixture.learn(np.array([a, b, dot]), 0.0)
    found = mixture.frequencies(np.zeros((3, 4)), np.array([capital, b]))[2] / TOTAL
    # no characters: a, b, dot once each; p = (1 + 3/4) / 6, and 3/4 / 6 for the capital
    p = np.array([1.75, 1.75, 1.75, 0.75]) / 6
    p = (np.eye(4)[dot] + p) / 2  # after b
    p = (np.eye(4)[dot] + p) / 2  # the word ab; the capital with b was never seen
    assert found == pytest.approx(p, abs=1e-3)


def test_what_a_longer_context_knows_is_not_counted_in_shorter_ones():
    mixture = letterless(2, 1)
    mixture.start(0)
    for _ in range(3):  # 1 after 0, and then 0 after 1
        mixture.frequencies(np.zeros((2, 2)), np.array([1]))
        mixture.learn(np.array([1, 0]), 0.0)
    none, after_0, after_1 = (mixture._counts[mixture._rows[key]] for key in (0, 1, 8 + 1))
    assert none.tolist() == [1, 1]
    assert after_0.tolist() == [0, 3]
    assert after_1.tolist() == [3, 0]


def test_row_by_row_it_is_the_same_as_a_chunk_at_once():
    random = np.random.default_rng(1)
    letters = np.array([97, 98, 0, 97, 0])
    whole, single = Mixture(letters, 4), Mixture(letters, 4)
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
    mixture = letterless(4, 2)
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
    assert bits(letterless(20, 6), phrase * 50, even) < 0.2 * alone
    assert bits(letterless(20, 6), random_text, even) < 1.1 * alone
    sure = even.copy()
    sure[np.arange(2000), random_text] = 8  # a network that is right
    taken = frequencies(sure)[np.arange(2000), random_text]
    needed = -np.log2(taken[1:] / TOTAL).sum()
    assert bits(letterless(20, 6), random_text, sure) < 1.1 * needed + 0.05 * alone


def test_high_counts_are_halved_and_without_room_no_context_is_added(monkeypatch):
    mixture = letterless(2, 1)
    bits(mixture, [0] * 3000, np.zeros((3000, 2), np.float32))
    assert 128 <= mixture._counts.max() <= counts._HIGHEST + 8
    monkeypatch.setattr(counts, "_MOST_COUNTS", 2 * 10)
    full = letterless(2, LONGEST)
    text = np.random.default_rng(4).integers(0, 2, 500).tolist()
    assert 0 < bits(full, text, np.zeros((500, 2), np.float32)) < 600
    assert len(full._rows) == 9
    assert not full._counts[0].any()


def test_the_table_grows_and_keeps_what_it_holds():
    text = np.random.default_rng(5).integers(0, 256, 800).tolist()
    mixture = letterless(256, 6)
    bits(mixture, text, np.zeros((800, 256), np.float32))
    assert len(mixture._counts) > 1024
    words = [mixture._rows[(-1 - symbol) * 8 + 7] for symbol in set(text[:-1])]
    assert mixture._counts[words].sum() == 799  # each is counted after the character before it


@given(st.floats(1e-30, 1.0))
def test_logarithms_are_right_to_12_bits_and_multiples_of_the_unit(p):
    found = float(counts._logarithm(np.array([p]))[0])
    assert found == pytest.approx(max(math.log(p), -16), abs=2**-12 + 2**-13)
    assert (found * 4096).is_integer()
