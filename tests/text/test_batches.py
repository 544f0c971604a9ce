"""Every character of a text is a target once, in its place, in an order that repeats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import TextError
from charloom.settings import TrainingSettings
from charloom.text import batches as batches_module
from charloom.text.batches import (
    NOT_COUNTED,
    Batch,
    Lines,
    Streams,
    Windows,
    make_batches,
    windows,
    with_unknowns,
)
from charloom.text.vocabulary import Vocabulary

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
NEWLINE = 10


def ids_of(text: str) -> np.ndarray:
    return Vocabulary.bytes().encode(text)


def shown(rows: np.ndarray) -> list[str]:
    """The columns of (T, B) ids as in the pictures: / is a line feed, . is not counted."""
    spelled = {NOT_COUNTED: ".", NEWLINE: "/"}
    return ["".join(spelled.get(i) or chr(i) for i in column) for column in rows.T.tolist()]


def all_batches(source, epoch=0) -> list[Batch]:
    return [source.batch(epoch, i) for i in range(source.batches_in(epoch))]


# Streams


def test_streams_are_laid_out_as_in_the_picture():
    streams = Streams(ids_of(ALPHABET), batch_size=3, sequence_length=2, seed=0)
    first, second, third, fourth = all_batches(streams)
    assert shown(first.inputs) == ["ab", "ij", "qr"]
    assert shown(second.inputs) == ["cd", "kl", "st"]
    assert shown(third.inputs) == ["ef", "mn", "uv"]
    assert shown(fourth.inputs) == ["gh", "op", "wx"]
    assert shown(first.targets) == ["bc", "jk", "rs"]
    assert shown(fourth.targets) == ["hi", "pq", "xy"]
    assert [batch.fresh for batch in (first, second, third, fourth)] == [
        True,
        False,
        False,
        False,
    ]


@given(
    count=st.integers(2, 300),
    batch_size=st.integers(1, 40),
    sequence_length=st.integers(1, 40),
    epoch=st.integers(0, 3),
)
@settings(deadline=None)
def test_streams_read_every_character_once_and_carry_on(count, batch_size, sequence_length, epoch):
    ids = np.arange(count)
    streams = Streams(ids, batch_size=batch_size, sequence_length=sequence_length, seed=7)
    read = all_batches(streams, epoch)
    inputs = np.concatenate([batch.inputs for batch in read])
    targets = np.concatenate([batch.targets for batch in read])
    offset, length = int(inputs[0, 0]), len(inputs)
    assert inputs.shape[1] == streams.batch_size <= batch_size
    assert [len(batch.inputs) for batch in read[:-1]] == [streams.sequence_length] * (len(read) - 1)
    assert inputs.T.ravel().tolist() == list(range(offset, offset + inputs.size))
    assert (targets == inputs + 1).all()
    assert offset == 0 if epoch == 0 else offset < max(2, sequence_length)
    assert 0 <= count - 1 - offset - length * streams.batch_size < streams.batch_size
    assert [batch.fresh for batch in read] == [True] + [False] * (len(read) - 1)


def test_every_epoch_cuts_the_streams_elsewhere():
    streams = Streams(ids_of(ALPHABET * 100), batch_size=2, sequence_length=50, seed=0)
    firsts = {shown(streams.batch(epoch, 0).inputs)[0] for epoch in range(10)}
    assert len(firsts) > 5


def test_a_short_text_makes_fewer_and_then_shorter_streams():
    streams = Streams(ids_of(ALPHABET), batch_size=32, sequence_length=10, seed=0)
    assert (streams.batch_size, streams.sequence_length) == (2, 10)
    streams = Streams(ids_of("abc"), batch_size=32, sequence_length=10, seed=0)
    assert (streams.batch_size, streams.sequence_length) == (1, 2)
    assert shown(streams.batch(0, 0).targets) == ["bc"]


@pytest.mark.parametrize("text", ["", "a"])
def test_a_text_without_a_second_character_cannot_be_trained_on(text):
    with pytest.raises(TextError, match=f"too short to train on .{len(text)} character"):
        Streams(ids_of(text), batch_size=1, sequence_length=1, seed=0)


# Lines


def test_lines_are_laid_out_as_in_the_picture():
    text = ids_of("abcdef\nx\nab\n")
    lines = Lines(text, batch_size=3, sequence_length=4, seed=0, newline_id=NEWLINE)
    first, second = all_batches(lines)
    assert shown(first.inputs) == ["/x//", "/ab/", "/abc"]
    assert shown(first.targets) == ["x/..", "ab/.", "abcd"]
    assert shown(second.inputs) == ["///", "///", "def"]
    assert shown(second.targets) == ["...", "...", "ef/"]
    assert (first.fresh, second.fresh) == (True, False)


def lines_read(source: Lines, epoch: int) -> list[str]:
    """The lines that an epoch reads, put together again from what is counted."""
    items: list[str] = []
    for batch in all_batches(source, epoch):
        inputs, targets = shown(batch.inputs), shown(batch.targets)
        counted = [t.rstrip(".") for t in targets]
        if batch.fresh:
            current = range(len(items), len(items) + len(inputs))
            items += ["/"] * len(inputs)
        for item, line, target in zip(current, inputs, counted, strict=True):
            assert "." not in target
            assert line[: len(target)] == (items[item][-1] + target)[:-1] or not target
            items[item] += target
    assert all(item[0] == item[-1] == "/" for item in items)
    return [item[1:-1] for item in items]


@given(
    lines=st.lists(st.text("abc", max_size=9), max_size=40).filter(any),
    ending=st.sampled_from(["", "\n"]),
    batch_size=st.integers(1, 10),
    sequence_length=st.integers(1, 12),
    epoch=st.integers(0, 2),
)
@settings(deadline=None)
def test_every_line_is_read_once_from_start_to_end(
    lines, ending, batch_size, sequence_length, epoch
):
    source = Lines(
        ids_of("\n".join(lines) + ending),
        batch_size=batch_size,
        sequence_length=sequence_length,
        seed=3,
        newline_id=NEWLINE,
    )
    assert sorted(lines_read(source, epoch)) == sorted(filter(None, lines))


def test_lines_come_in_another_order_every_epoch():
    text = ids_of("\n".join(a + b for a in ALPHABET for b in ALPHABET))
    lines = Lines(text, batch_size=4, sequence_length=8, seed=0, newline_id=NEWLINE)
    first, second = lines_read(lines, 0), lines_read(lines, 1)
    assert first != second
    assert sorted(first) == sorted(second)


def test_lines_of_similar_length_share_a_batch():
    random = np.random.default_rng(0)
    text = ids_of("\n".join("x" * random.integers(1, 60) for _ in range(2000)))
    lines = Lines(text, batch_size=32, sequence_length=64, seed=0, newline_id=NEWLINE)
    targets = [batch.targets for batch in all_batches(lines)]
    padding = sum(int((t == NOT_COUNTED).sum()) for t in targets)
    assert padding < 0.05 * sum(t.size for t in targets)


def test_lines_are_found_across_the_blocks_that_are_searched(monkeypatch):
    monkeypatch.setattr(batches_module, "_BLOCK", 3)
    text = ids_of("\n\nab\nabcdef\n\nx")
    lines = Lines(text, batch_size=2, sequence_length=4, seed=0, newline_id=NEWLINE)
    assert sorted(lines_read(lines, 0)) == ["ab", "abcdef", "x"]


def test_a_text_of_empty_lines_is_refused():
    with pytest.raises(TextError, match="no line with a character"):
        Lines(ids_of("\n\n"), batch_size=1, sequence_length=1, seed=0, newline_id=NEWLINE)


# Windows


def test_windows_are_the_blogs():
    text = (
        "One bright morning as the Fox was following his sharp nose through the wood in "
        "search of a bite to eat, he saw a Crow on the limb of a tree overhead."
    )
    sequences = windows(Vocabulary.of(text).encode(text), 15)
    assert sequences.shape == (134, 16)
    assert sequences[:5].tolist() == [
        [5, 17, 10, 0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14],
        [17, 10, 0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17],
        [10, 0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17, 12],
        [0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17, 12, 0],
        [7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14, 17, 12, 0, 6],
    ]


def test_windows_are_a_view_of_the_text():
    ids = ids_of(ALPHABET)
    assert np.shares_memory(windows(ids, 5), ids)


def test_windows_in_the_order_of_the_text():
    source = Windows(ids_of("abcdef"), batch_size=2, sequence_length=3, seed=0, shuffle=False)
    first, second = all_batches(source)
    assert (shown(first.inputs), shown(first.targets)) == (["abc", "bcd"], ["..d", "..e"])
    assert (shown(second.inputs), shown(second.targets)) == (["cde"], ["..f"])
    assert first.fresh and second.fresh


@given(
    count=st.integers(2, 80),
    batch_size=st.integers(1, 40),
    sequence_length=st.integers(1, 40),
    epoch=st.integers(0, 2),
)
@settings(deadline=None)
def test_every_window_is_read_once_in_an_epoch(count, batch_size, sequence_length, epoch):
    if count <= sequence_length:
        return
    source = Windows(
        np.arange(count), batch_size=batch_size, sequence_length=sequence_length, seed=1
    )
    read = all_batches(source, epoch)
    rows = [
        [*inputs, target]
        for batch in read
        for inputs, target in zip(batch.inputs.T, batch.targets[-1], strict=True)
    ]
    assert sorted(rows) == windows(np.arange(count), sequence_length).tolist()
    assert all((batch.targets[:-1] == NOT_COUNTED).all() for batch in read)


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(TextError, match=r"15 characters\) is too short for a window of 15"):
        Windows(np.zeros(15, np.uint8), batch_size=1, sequence_length=15, seed=0)


# All three


def sources(seed: int = 0):
    text = ids_of("\n".join(ALPHABET[i:] for i in range(26)))
    common = {"batch_size": 4, "sequence_length": 5, "seed": seed}
    return [
        Streams(text, **common),
        Lines(text, **common, newline_id=NEWLINE),
        Windows(text, **common),
    ]


def test_a_batch_depends_on_seed_epoch_and_index_and_on_nothing_before():
    asked = [(epoch, index) for epoch in (0, 2, 1) for index in (3, 0, 7)]
    for there, back in zip(sources(), sources(), strict=True):
        forward = {at: there.batch(*at) for at in asked}
        backward = {at: back.batch(*at) for at in reversed(asked)}
        for at in asked:
            assert (forward[at].inputs == backward[at].inputs).all()
            assert (forward[at].targets == backward[at].targets).all()
            assert forward[at].fresh == backward[at].fresh


def test_another_seed_is_another_order():
    for one, other in zip(sources(seed=0), sources(seed=1), strict=True):
        assert not np.array_equal(one.batch(1, 0).inputs, other.batch(1, 0).inputs)


def test_batches_are_contiguous_and_of_the_type_the_core_takes():
    for source in sources():
        for array in (source.batch(0, 0).inputs, source.batch(0, 0).targets):
            assert array.dtype == np.int32
            assert array.flags.c_contiguous


@pytest.mark.parametrize("wrong", [-1, 10_000])
def test_a_batch_that_is_not_there_is_an_index_error(wrong):
    for source in sources():
        with pytest.raises(IndexError, match=f"no batch {wrong}"):
            source.batch(0, wrong)


@pytest.mark.parametrize(
    ("kind", "made"), [("streams", Streams), ("lines", Lines), ("windows", Windows)]
)
def test_the_settings_say_which_batches_are_made(kind, made):
    vocabulary = Vocabulary.bytes()
    chosen = TrainingSettings(batches=kind, batch_size=2, sequence_length=3)
    source = make_batches(chosen, ids_of("one\ntwo\nthree"), vocabulary)
    assert type(source) is made
    assert (source.batch_size, source.sequence_length) == (2, 3)


def test_lines_need_a_line_feed():
    with pytest.raises(TextError, match="use `batches='streams'`"):
        make_batches(TrainingSettings(batches="lines"), ids_of("abc"), Vocabulary.of("abc"))


# The unknown


def test_a_replaced_character_is_unknown_as_target_and_as_the_next_input():
    for source in sources():
        plain = source.batch(0, 0)
        changed = with_unknowns(plain, 255, 0.5, seed=0, epoch=0, index=0)
        counted = plain.targets != NOT_COUNTED
        replaced = changed.targets == 255
        assert 0 < replaced.sum() < counted.sum()
        assert ((changed.targets == plain.targets) | replaced).all()
        both = counted[:-1]
        assert ((changed.inputs[1:] == 255) == replaced[:-1])[both].all()
        assert (changed.inputs[0] == plain.inputs[0]).all()
        assert not (plain.inputs == 255).any() and not (plain.targets == 255).any()


def test_about_the_share_asked_for_is_replaced_and_differently_in_every_batch():
    zeros = np.zeros((1000, 50), np.int32)
    batch = Batch(inputs=zeros, targets=zeros, fresh=True)
    changed = [with_unknowns(batch, 1, 0.01, 0, epoch, index).targets for epoch, index in
               [(0, 0), (0, 1), (1, 0), (0, 0)]]  # fmt: skip
    assert all(400 < targets.sum() < 600 for targets in changed)
    assert (changed[0] == changed[3]).all()
    assert (changed[0] != changed[1]).any() and (changed[0] != changed[2]).any()


def test_without_an_unknown_a_batch_stays_as_it_is():
    batch = sources()[0].batch(0, 0)
    assert with_unknowns(batch, None, 0.5, 0, 0, 0) is batch
    assert with_unknowns(batch, 255, 0.0, 0, 0, 0) is batch
