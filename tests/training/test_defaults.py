"""What is chosen to fit a text: the formulas by hand, what is given stands, lists are found."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import warned

from charloom.settings import ModelSettings, TextSettings, TrainingSettings
from charloom.text.corpus import InMemory, build_corpus
from charloom.text.lists import held_out_lines, is_list, is_sorted, mean_line_length
from charloom.text.splitting import split
from charloom.training.defaults import BUDGET, TextShape, choose, multiplied_weights
from charloom.training.start import train


def shape(characters: int, V: int = 65, line_length: float | None = None) -> TextShape:
    return TextShape(
        characters=characters,
        held_out=characters // 9,
        vocabulary_size=V,
        line_length=line_length,
    )


def test_the_settings_of_a_text_of_188_kb_are_those_computed_by_hand():
    chosen = choose(ModelSettings(), TrainingSettings(), shape(169_000))
    passes = round(2 * (1e6 / 169_000) ** 0.55)  # 5
    P = 4 * 448 * 448 * 3 + 448 * 65
    assert (chosen.training.members, chosen.model.num_layers) == (2, 2)
    assert chosen.model.hidden_size == 2 * 448
    assert chosen.training.batch_size == 16  # of 32 there would be fewer than 800 steps
    assert chosen.steps == round(passes * 169_000 / (16 * 64))
    rate = 0.0146 * (256 / 448) ** 0.75 * (1000 / chosen.steps) ** 0.4
    assert chosen.training.learning_rate == pytest.approx(rate, rel=0.01)
    E = chosen.steps * 16 * 64 / 169_000
    d = 0.2 * math.log(E) + 0.08 * math.log(P / 169_000) - 0.17
    assert chosen.training.dropout == pytest.approx(d / 2, abs=0.006)
    assert chosen.training.final_dropout == pytest.approx(1.5 * d, abs=0.006)


@given(st.integers(10, 10**9), st.integers(2, 20_000), st.sampled_from([None, 7.5, 80.0]))
def test_every_text_gets_settings_that_are_in_bounds_and_within_the_budget(characters, V, line):
    batches = "streams" if line is None else "lines"
    chosen = choose(ModelSettings(), TrainingSettings(batches=batches), shape(characters, V, line))
    assert chosen.steps >= 1
    T = chosen.training.sequence_length if line is None else line
    read = chosen.steps * chosen.training.batch_size * T
    work = 6 * multiplied_weights(chosen.model, V, chosen.training.members) * read
    assert work <= 1.1 * BUDGET or chosen.steps <= 2
    assert set(TrainingSettings.model_fields) == chosen.training.model_fields_set


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 0.5), ("dropout", 0.4), ("batch_size", 7), ("warmup_steps", 0),
     ("patience", 9), ("steps", 77)],
)  # fmt: skip
def test_what_is_given_stands(field, value):
    chosen = choose(ModelSettings(), TrainingSettings(**{field: value}), shape(300_000))
    assert getattr(chosen.training, field) == value
    if field == "dropout":
        assert chosen.training.final_dropout == value
    if field == "steps":
        assert chosen.steps == 77


def test_a_dropout_that_is_given_stays_the_same_from_the_first_step_to_the_last():
    for tuned in (False, True):
        chosen = choose(ModelSettings(), TrainingSettings(dropout=0.4), shape(99_000), tuned=tuned)
        assert (chosen.training.dropout, chosen.training.final_dropout) == (0.4, 0.4)
        given = TrainingSettings(dropout=0.4, final_dropout=0.1)
        chosen = choose(ModelSettings(), given, shape(99_000), tuned=tuned)
        assert (chosen.training.dropout, chosen.training.final_dropout) == (0.4, 0.1)
    own = choose(ModelSettings(), TrainingSettings(), shape(99_000), tuned=True).training
    assert own.dropout == own.final_dropout == 0.2


def test_a_size_that_is_given_decides_the_rest():
    small = choose(ModelSettings(hidden_size=64), TrainingSettings(), shape(300_000))
    large = choose(ModelSettings(hidden_size=512), TrainingSettings(), shape(300_000))
    assert small.model.hidden_size == 64 and small.model.num_layers == 2
    assert small.training.learning_rate > large.training.learning_rate
    assert small.training.dropout <= large.training.dropout


def test_more_time_makes_a_larger_model_and_ends_where_more_passes_do_not_help():
    speed = 400e9
    by_minutes = [
        choose(ModelSettings(), TrainingSettings(minutes=m), shape(1_000_000), lambda *_: speed)
        for m in (0.1, 1, 15, 600)
    ]
    sizes = [chosen.model.hidden_size for chosen in by_minutes]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2] == sizes[3]
    assert by_minutes[3].steps == by_minutes[3].most_steps
    assert [chosen.training.members for chosen in by_minutes] == [1, 2, 2, 2]
    P = multiplied_weights(by_minutes[1].model, 65, members=2)
    work = 6 * P * by_minutes[1].steps * 32 * 64
    assert work / speed == pytest.approx(54, rel=0.1)


def test_of_a_large_text_the_largest_network_is_taken_that_can_read_20_characters_a_weight():
    def chosen(minutes: float):
        training = TrainingSettings(minutes=minutes)
        return choose(ModelSettings(), training, shape(50_000_000), speed=lambda *_: 300e9)

    work = {H: 6 * 20 * (12 * H * H + 65 * H) ** 2 for H in (256, 320)}
    minutes = {H: operations / 300e9 / 60 / 0.9 for H, operations in work.items()}
    assert chosen(minutes[320] * 0.99).model.hidden_size == 256
    assert chosen(minutes[320] * 1.01).model.hidden_size == 320
    between = chosen(minutes[256] * 1.5)  # the time that is left reads on, up to one pass
    P = multiplied_weights(between.model, 65)
    assert between.steps * 32 * 64 == pytest.approx(1.5 * 20 * P, rel=0.01)
    assert between.most_steps * 32 * 64 == pytest.approx(50_000_000, rel=0.01)


@pytest.mark.parametrize(
    ("model", "training"),
    [
        (ModelSettings(hidden_size=512), TrainingSettings()),
        (ModelSettings(cell="rnn"), TrainingSettings()),
        (ModelSettings(embedding_size=9), TrainingSettings()),
        (ModelSettings(), TrainingSettings(members=1)),
        (ModelSettings(), TrainingSettings(batches="windows")),
        (ModelSettings(), TrainingSettings(engine="torch")),
        (ModelSettings(), TrainingSettings(device="cuda")),
    ],
    ids=str,
)
def test_a_network_that_is_described_or_trained_elsewhere_is_one(model, training):
    assert choose(model, training, shape(300_000)).training.members == 1
    assert choose(ModelSettings(), TrainingSettings(), shape(300_000)).training.members == 2
    assert choose(ModelSettings(), TrainingSettings(), shape(2_000_000)).training.members == 1
    tuned = choose(ModelSettings(), TrainingSettings(), shape(300_000), tuned=True)
    assert tuned.training.members == 1


def test_the_choice_is_kept_with_the_run():
    run = train(InMemory("the quick brown fox. " * 40), training=TrainingSettings(epochs=1))
    assert "learning rate" in run.plan.choice
    assert run.plan.training.model_fields_set == set(TrainingSettings.model_fields)


# Lists

NAMES = [f"{a}{b}{c}" for a in "bdfgklmnprstvz" for b in "aeiou" for c in ("na", "ro", "lin", "s")]
PROSE = "It was a dark night and the road\nwas long, as roads are\nin the hills.\n" * 40
LOGS = "".join(
    f"Jan {n % 28 + 1:2} 0{n % 9}:12 host sshd[{n}]: session opened\n" for n in range(90)
)
DATED = "".join(f"2026-01-{n % 28 + 1:02} INFO a request took {n} ms\n" for n in range(90))
CODE = "def f(x):\n    return x\n\n" * 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [("\n".join(NAMES), True), (LOGS, True), (DATED, True), ("CCO\nCC(=O)O\nc1ccccc1\n" + "\n".join(
        "C" * n + "O" for n in range(1, 90)), True), (PROSE, False), (CODE, False),
     ("\n\n".join(NAMES), False), ("one\ntwo\n", False), ("", False),
     ("the fox and the crow\n" * 200, False)],
)  # fmt: skip
def test_a_list_is_recognized_by_its_rule(text, expected):
    assert is_list(text) is expected


def items_held_out(text: str) -> set[str]:
    corpus = build_corpus(InMemory(text), TextSettings())
    parts = split(corpus, TextSettings(), lines=True)
    decode = corpus.vocabulary.decode
    held, kept = (set(decode(p.ids).split("\n")) for p in (parts.validation, parts.training))
    assert not (held & kept) - {""}
    assert held | kept == set(text.split("\n")) | {""}
    return held


def test_the_same_items_are_held_out_in_every_order_and_duplicates_stay_together():
    rows = NAMES * 2
    shuffled = rows.copy()
    random.Random(1).shuffle(shuffled)
    first = items_held_out("\n".join(sorted(rows)) + "\n")
    assert first == items_held_out("\n".join(shuffled) + "\n")
    assert 0.04 < len(first) / len(NAMES) < 0.18


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_items_of_every_vocabulary_are_held_out_whole(kind):
    corpus = build_corpus(InMemory("é\n" + "\n".join(NAMES)), TextSettings(vocabulary=kind))
    held = held_out_lines(corpus.ids, corpus.vocabulary, 0.5)
    feeds = np.flatnonzero(corpus.ids == corpus.vocabulary.newline_id)
    assert (held[feeds[:-1]] == held[feeds[:-1] - 1]).all()
    assert 0.3 < held.mean() < 0.7
    assert mean_line_length(np.array([1, 0, 0, 1, 1, 0]), 0) == 2.5


def test_a_sorted_text_is_told_and_trained_on_by_line():
    rows = sorted(NAMES)
    assert is_sorted("\n".join(rows)) and not is_sorted(PROSE)
    run = train(InMemory("\n".join(rows)), training=TrainingSettings(steps=1))
    assert run.plan.training.batches == "lines"
    with warned("sorted"):
        train(InMemory("\n".join(rows)), training=TrainingSettings(steps=1, batches="streams"))
