"""Texts made side by side are those made alone, whoever comes, goes or fails beside them."""

from __future__ import annotations

import re
import threading
import time
from threading import Lock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_tools import TEXT, small_model

from charloom import Grammar, Model, Pattern, SamplingSettings
from charloom.engines.weights import initial_weights
from charloom.serving import batching, guard
from charloom.serving.batching import LONGEST, Batcher, Job, Piece
from charloom.serving.guard import RequestError
from charloom.text.vocabulary import Vocabulary

WAIT = 20  # seconds; never reached unless a text is lost


class Heard:
    """What one stream was told."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.ended = threading.Event()

    def __call__(self, piece: Piece) -> None:
        self.pieces.append(piece)
        if piece.finish:
            self.ended.set()

    @property
    def text(self) -> str:
        assert self.ended.wait(WAIT)
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> list[batching.Token]:
        assert self.ended.wait(WAIT)
        return [token for piece in self.pieces for token in piece.tokens]


def job(
    model: Model, prompt, *, count: int = 1, seed: int = 0, **options
) -> tuple[Job, list[Heard]]:
    names = SamplingSettings.model_fields
    sampling = {name: options.pop(name) for name in names if name in options}
    heard = [Heard() for _ in range(count)]
    options = {"length": 40, **options}
    return Job(model, prompt, SamplingSettings(seed=seed, **sampling), heard, **options), heard


@pytest.fixture
def batcher_of(request):
    made = []

    def make(model: Model, **options) -> Batcher:
        options = {"slots": 4, "queue": 100, "lock": Lock(), **options}
        made.append(Batcher(model, **options))
        return made[-1]

    yield make
    for batcher in made:
        batcher.close()


MODELS = {
    "streams": small_model(),
    "lines": small_model(lines=True),
    "a plain rnn": small_model(cell="rnn"),
    "an embedding": small_model(embedding_size=5),
    "bytes": Model(
        small_model().settings,
        Vocabulary.bytes(),
        initial_weights(small_model().settings, 256, seed=0),
    ),
    "no line feed": Model(
        small_model().settings,
        Vocabulary.of("the fox"),
        initial_weights(small_model().settings, 7, seed=0),
    ),
}

PROMPTS = ["", "the", "the fox to the foe", "t" * 300]


@pytest.mark.parametrize("name", MODELS)
def test_every_text_is_the_one_made_alone(name, batcher_of):
    """More requests than slots, of all kinds, in a random order and at random times."""
    model, random = MODELS[name], np.random.default_rng(3)
    batcher, asked = batcher_of(model), []
    for seed in range(24):
        options = {
            "length": int(random.integers(0, 90)),
            "temperature": float(random.choice([0, 0.5, 1.0, 1.5])),
            "top_k": int(random.choice([0, 1, 3])),
            "top_p": float(random.choice([1.0, 0.6])),
            "stop": list(random.choice(["e", "th", "x q"], random.integers(0, 3))),
        }
        prompt = str(random.choice(PROMPTS))
        likeliest = [None, 0, 2][seed % 3]
        made = job(model, prompt, count=1 + seed % 3, seed=seed, likeliest=likeliest, **options)
        asked.append((made, prompt, options))
        batcher.submit([made[0]])
        time.sleep(float(random.choice([0, 0.002])))
    for (made, heard), prompt, options in asked:
        seed, count = made.sampling.seed, len(heard)
        alone = model.generate_many(prompt, count=count, seed=seed, **options)
        assert [one.text for one in heard] == alone
        ends = ["length" if len(t) == options["length"] else "stop" for t in alone]
        assert [one.pieces[-1].finish for one in heard] == ends


@pytest.mark.parametrize("name", ["streams", "lines", "bytes", "no line feed"])
def test_texts_under_rules_are_those_made_alone_whatever_is_beside_them(name, batcher_of):
    model = MODELS[name]
    rules = [None, Pattern("[a-z ]+x"), Pattern("th(e|o){2,9}"), Grammar('start: "f" /o+x/'), None]
    batcher, asked = batcher_of(model), []
    for seed in range(15):
        rule, prompt = rules[seed % 5], ["", "the"][seed % 2]
        made = job(
            model, prompt, count=2, seed=seed, length=30, rule=rule, likeliest=[None, 1][seed % 2]
        )
        asked.append((made[1], prompt, seed, rule))
        batcher.submit([made[0]])
    for heard, prompt, seed, rule in asked:
        alone = model.generate_many(prompt, count=2, seed=seed, length=30, rule=rule)
        assert [one.text for one in heard] == alone
        if isinstance(rule, Pattern):
            assert all(re.fullmatch(rule.pattern, text) for text in alone)


@pytest.mark.usefixtures("unknown_characters_are_expected")
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_tokens_are_the_surprisal_of_the_text(data):
    name = data.draw(st.sampled_from(["streams", "lines", "an embedding"]))
    model = MODELS[name]
    prompt = data.draw(st.text(st.sampled_from(TEXT + "ß"), max_size=40))
    made, (heard,) = job(model, prompt, length=20, echo=True, likeliest=3, seed=5)
    batcher = Batcher(model, slots=2, queue=9, lock=Lock())
    batcher.submit([made])
    try:
        text = heard.text
    finally:
        batcher.close()
    tokens = heard.tokens
    assert text.startswith(prompt)
    assert "".join(token.text for token in tokens)[: len(text)] == text
    begun = "" if name == "lines" or prompt else "\n"  # read, not shown
    parts = list(model.score(begun + text))[len(begun) :]
    for token, part in list(zip(tokens, parts, strict=False)):
        if part.start == 0 and name != "lines":
            assert token.nats is None
            continue
        assert token.nats == pytest.approx(part.nats, abs=2e-5)
        assert len(token.likeliest) == 3
        if not part.unknown_characters:  # which of them it was counts, too
            assert (min(token.likeliest.values()) == token.nats) == (part.rank == 1)
    assert len(tokens) >= len(text)


def test_tokens_of_bytes_are_those_of_their_characters(batcher_of):
    model = MODELS["bytes"]
    made, (heard,) = job(model, "é!", echo=True, likeliest=2, length=30)
    batcher_of(model).submit([made])
    text, tokens = heard.text, heard.tokens
    assert [token.text for token in tokens[:3]] == ["bytes:\\xc3", "bytes:\\xa9", "!"]
    assert "".join(token.text for token in tokens[3:]) == text[2:]
    assert len(tokens) == 3 + 30


def test_a_prompt_of_ids_is_that_of_their_text(batcher_of):
    model = MODELS["lines"]
    batcher = batcher_of(model)
    for prompt in ("the fox", "a\nthe fox", "the fox\n", ""):
        ids = model.vocabulary.encode(prompt)
        (first, (a,)), (second, (b,)) = job(model, prompt), job(model, ids)
        batcher.submit([first, second])
        assert a.text == b.text == "".join(model.generate(prompt, length=40, seed=0))


def test_who_is_gone_leaves_before_more_than_sixteen_characters_are_drawn(batcher_of):
    model = MODELS["streams"]
    batcher, told = batcher_of(model), []
    made, _ = job(model, "the", length=20_000)
    stream = made.streams[0]
    begun = threading.Event()

    def receive(piece: Piece) -> None:
        told.append(stream.drawn)
        batcher.cancel([made])
        begun.set()

    stream.receive = receive
    batcher.submit([made])
    assert begun.wait(WAIT)
    other, (heard,) = job(model, "the", length=200)
    batcher.submit([other])
    assert len(heard.text) == 200
    assert stream.drawn <= told[0] + LONGEST
    assert len(told) == 1
    assert batcher.busy == batcher.waiting == 0


def test_who_is_gone_while_waiting_or_reading_takes_no_place(batcher_of):
    model = MODELS["streams"]
    batcher = batcher_of(model, slots=1, queue=2)
    long = [job(model, "the " * 5_000, length=5_000) for _ in range(3)]
    batcher.submit([made for made, _ in long])
    with pytest.raises(RequestError, match="in the queue, which is full") as refused:
        batcher.submit([job(model, "the")[0]])
    assert refused.value.status == 429
    batcher.cancel([made for made, _ in long])
    made, (heard,) = job(model, "the")
    batcher.submit([made])
    assert heard.text == "".join(model.generate("the", length=40, seed=0))
    assert not any(heard.pieces for _, (heard,) in long)


def test_a_request_for_more_texts_than_slots_is_served(batcher_of):
    model = MODELS["streams"]
    made, heard = job(model, "the", count=11, seed=9)
    batcher_of(model, slots=4).submit([made])
    assert [one.text for one in heard] == model.generate_many("the", count=11, length=40, seed=9)


def test_an_engine_that_fails_fails_who_was_beside_it_and_nobody_after(batcher_of, capfd):
    model = small_model()
    batcher = batcher_of(model)
    working = model.engine.generate

    def failing(*arguments):
        raise MemoryError("no room")

    model.engine.generate = failing  # type: ignore[method-assign]
    made, heard = job(model, "the", count=2)
    batcher.submit([made])
    assert [one.text for one in heard] == ["", ""]
    assert [one.pieces[-1].finish for one in heard] == ["error", "error"]
    assert "MemoryError: no room" in capfd.readouterr().err
    model.engine.generate = working  # type: ignore[method-assign]
    made, (after,) = job(model, "the")
    batcher.submit([made])
    assert after.text == "".join(model.generate("the", length=40, seed=0))


def test_what_is_made_is_measured(batcher_of):
    model = MODELS["streams"]
    batcher = batcher_of(model)
    made, heard = job(model, "the fox", count=2)
    batcher.submit([made])
    assert len("".join(one.text for one in heard)) == 80
    assert (batcher.measured.read, batcher.measured.generated) == (6, 80)
    assert batcher.measured.waits == 2
    assert batcher.measured.busy_seconds > 0


def test_a_slow_engine_draws_less_at_a_time(batcher_of, monkeypatch):
    model = small_model()
    lengths, working = [], model.engine.generate

    def slow(last, state, length, *others):
        lengths.append(length)
        time.sleep(0.02 * length)
        return working(last, state, length, *others)

    monkeypatch.setattr(model.engine, "generate", slow)
    made, (heard,) = job(model, "the", length=30)
    batcher_of(model).submit([made])
    assert len(heard.text) == 30
    assert max(lengths[1:]) <= batching.SHORTEST < LONGEST


@pytest.mark.parametrize("stop", [[], ["x q"]])
def test_a_stream_is_told_its_first_characters_at_once_and_others_now_and_then(
    batcher_of, monkeypatch, stop
):
    monkeypatch.setattr(batching, "PIECE_SECONDS", 1e9)
    model = MODELS["streams"]
    made, (heard,) = job(model, "the", length=300, likeliest=0, stop=stop)
    batcher_of(model).submit([made])
    assert heard.text == "".join(model.generate("the", length=300, seed=0, stop=stop))
    assert "".join(token.text for token in heard.tokens) == heard.text
    first, last = heard.pieces
    assert 0 < len(first.text) <= LONGEST
    assert last.finish == "length"


def test_no_more_is_drawn_than_the_longest_text_needs(batcher_of, monkeypatch):
    monkeypatch.setattr(batching, "PIECE_SECONDS", 1e9)
    model = small_model()
    made, (heard,) = job(model, "the", length=101)
    batcher_of(model).submit([made])
    assert len(heard.text) == made.streams[0].drawn == 101


def test_prompts_of_texts_that_wait_are_read_together(batcher_of, monkeypatch):
    model, slots, count = small_model(), 8, 40
    together, seen, working = [], [], model.engine.surprisal

    def counted(inputs, *others):
        together.append(inputs.shape[1])
        seen.append((batcher.busy, batcher.waiting))
        return working(inputs, *others)

    monkeypatch.setattr(model.engine, "surprisal", counted)
    batcher = batcher_of(model, slots=slots)
    jobs = [job(model, "the fox", seed=n, length=20 + n) for n in range(count)]
    batcher.submit([made for made, _ in jobs])
    texts = [heard.text for _, (heard,) in jobs]
    assert sum(together) == count
    assert len(together) <= 2 * count / slots
    assert all(busy <= slots for busy, _ in seen)
    assert seen[0] == (slots, count - slots)
    monkeypatch.undo()
    options = [{"seed": made.sampling.seed, "length": made.length} for made, _ in jobs]
    assert texts == ["".join(model.generate("the fox", **one)) for one in options]


def test_bounds_fit_together():
    assert guard.SLOTS + guard.QUEUE >= 1000
