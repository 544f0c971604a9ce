"""Many texts from one model, made side by side: streams join and leave between short draws.

    job      waiting ── reading its prompt ── its streams are ready
    stream   ready ── live, in one of the slots ── ended, or nobody wants it any more

One thread computes. In every round it reads some of the prompts that wait, draws at most
LONGEST characters for all streams that are live, and hands out what is new. What a stream draws
depends on its seed and its own count alone, so a text is that of `Model.generate`, to the last
bit, whatever is made beside it.
"""

from __future__ import annotations

import codecs
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np

from ..engines.base import State
from ..engines.random import stream_seeds
from ..engines.weights import Array
from ..errors import counted
from ..model.drawing import drawn, drawn_evenly
from ..model.generation import writers_of
from ..model.model import Model
from ..model.rules.rule import Rule
from ..model.tracing import judged, symbols
from ..settings import SamplingSettings
from ..text.batches import NOT_COUNTED
from .guard import RequestError
from .metrics import Measurements

LONGEST = 16
"""Characters that are drawn before anybody can leave, or join."""

ROUND_SECONDS = 0.02
"""A draw is shorter than LONGEST where it would take longer than this..."""

SHORTEST = 4
"""... but no shorter than this."""

PIECE_SECONDS = 0.05
"""After its first characters, a stream is told what is new so often, not after every draw..."""

QUEUED_PIECE_SECONDS = 0.5
"""... and so often where other texts wait: each piece takes time that they could have."""

READ = 512
"""Characters of prompts that are read in one round, all together..."""

STEPS = 128
"""... and of each of them."""

_LOGITS = 2**22  # at most, for the characters of prompts that are scored in one round


class Token(NamedTuple):
    """A character (of a prompt for a model of bytes, a byte), and how likely it was."""

    text: str
    nats: float | None
    """Its surprisal as `Model.score` has it; None where nothing predicted it."""
    likeliest: dict[str, float]
    """Surprisal in nats of the characters that were likeliest in its place, by character."""


class Piece(NamedTuple):
    """What is new in a stream."""

    text: str = ""
    tokens: Sequence[Token] = ()
    """Where they were asked for: of the characters of `text`, and at the end of a stop string."""
    finish: str | None = None
    """Why it has ended: "length" or "stop", or "error"."""


class Stream:
    """One text: how it is drawn, and who is told of it."""

    def __init__(self, job: Job, number: int, seed: int, receive: Callable[[Piece], None]) -> None:
        self.job, self.number, self.seed, self.receive = job, number, seed, receive
        self.wanted = True
        (self.writer,) = writers_of(job.model.predictor, 1, job.length, job.stop, job.rule)
        self.drawn = 0
        self._ids: list[Array] = []  # drawn, not yet written
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""  # written, not yet handed out
        self._tokens: list[Token] = []
        self._handed_out = 0
        self._told = -inf  # when something was handed out
        self._begun = Token("", 0.0, {})  # a character whose bytes are not all drawn

    def take(self, ids: Array, tokens: Sequence[Token] = (), states: Array | None = None) -> None:
        """Take ids that were drawn for it, and their tokens where those are asked for.

        `states` are those that the table of its rule comes to by the ids.
        """
        self.drawn += len(ids)
        self._tokens += self._characters(ids, tokens) if tokens else ()
        if self.writer.follower is not None:
            self._text += self.writer.write(ids, states)
            return
        self._ids.append(ids)
        if self.writer.stops or self.left <= 0:
            self._write()

    def _write(self) -> None:
        if self._ids:
            self._text += self.writer.write(np.concatenate(self._ids))
            self._ids = []

    def hand_out(self, now: float, every: float) -> Piece | None:
        """What is new, if it has ended or was told nothing for `every` seconds."""
        if not self.writer.ended and now < self._told + every:
            return None
        self._write()
        text, self._text = self._text, ""
        certain = self.writer.read if self.writer.ended else self._handed_out + len(text)
        new = self._tokens[: certain - self._handed_out]
        self._tokens = self._tokens[len(new) :]
        self._handed_out += len(new)
        piece = Piece(text, new, self.finish)
        if not (text or new or piece.finish):
            return None
        self._told = now
        return piece

    @property
    def left(self) -> int:
        """How many more ids it needs, at least."""
        return self.writer.left - sum(map(len, self._ids))

    @property
    def finish(self) -> str | None:
        """Why the text has ended, if it has."""
        return ("stop" if self.writer.stopped else "length") if self.writer.ended else None

    def _characters(self, ids: Array, tokens: Sequence[Token]) -> Sequence[Token]:
        """A token for each character: of a model of bytes, their surprisal is added up."""
        if self.job.model.vocabulary.kind == "characters":
            return tokens
        found = []
        for id, token in zip(ids.tolist(), tokens, strict=True):
            whole = self._begun.nats == 0.0
            self._begun = Token("", (self._begun.nats or 0.0) + (token.nats or 0.0), {})
            for character in self._decoder.decode(bytes([id])):
                alone = token.likeliest if whole else {}
                found.append(Token(character, self._begun.nats, alone))
                self._begun = Token("", 0.0, {})
        return found


class Job:
    """A prompt, and the streams that go on from it.

    The streams are those of `Model.generate_many`: the first is that of `Model.generate`.
    `prompt` is normalized, or given as ids. With `likeliest` each stream has tokens with so
    many alternatives; with `echo` it begins with the prompt; a `rule` is for what follows.
    """

    def __init__(
        self,
        model: Model,
        prompt: str | Array,
        sampling: SamplingSettings,
        receivers: Sequence[Callable[[Piece], None]],
        *,
        length: int,
        stop: Sequence[str] = (),
        echo: bool = False,
        likeliest: int | None = None,
        rule: Rule | None = None,
    ) -> None:
        self.model, self.sampling, self.rule = model, sampling, rule
        self.length, self.stop, self.echo, self.likeliest = length, stop, echo, likeliest
        vocabulary, predictor = model.vocabulary, model.predictor
        own = vocabulary.encode(prompt) if isinstance(prompt, str) else prompt
        self.text = prompt if isinstance(prompt, str) else vocabulary.decode(prompt)
        self.prompt_characters = len(own)
        self.scored = echo and likeliest is not None
        newlines = np.flatnonzero(own == vocabulary.newline_id) if predictor.lines else own[:0]
        if len(newlines) and not self.scored:  # of lines only the last one matters
            own = own[newlines[-1] + 1 :]
        self.ids = predictor.opened(own)
        self._own = len(self.ids) - len(own)  # where the prompt's own ids begin
        self._cuts = deque(np.flatnonzero(self.ids == predictor.line_start).tolist())
        self.at = 0
        self.state = predictor.engine.zero_state(1)
        self.tokens: list[Token] = []
        self.submitted = time.monotonic()
        seeds = stream_seeds(sampling.seed, len(receivers))
        self.streams = [
            Stream(self, number, int(seed), receive)
            for number, (seed, receive) in enumerate(zip(seeds, receivers, strict=True))
        ]
        if self.scored and len(own) and not self._own:
            self._take(self.ids[:1], [None], [{}])
        self._settle()

    @property
    def wanted(self) -> bool:
        """Whether anybody still wants one of its streams."""
        return any(stream.wanted for stream in self.streams)

    @property
    def room(self) -> int:
        """How many ids can be read in one go, before the last, which drawing begins with."""
        last = max(len(self.ids) - 1, 0)
        return (min(self._cuts[0], last) if self._cuts else last) - self.at

    def read(self, count: int, state: State, logits: Array | None) -> None:
        """Take the state after `count` more ids and, where they are scored, logits (count, V)."""
        following = self.ids[self.at + 1 : self.at + 1 + count]
        self.at += count
        self.state = state
        if logits is not None:
            found = _judged(self.model, following, logits, self.likeliest or 0)
            self._take(following, *found)
        self._settle()

    def _settle(self) -> None:
        """Before the line feed that opens a line, the state is zero."""
        while self._cuts and self._cuts[0] == self.at:
            self._cuts.popleft()
            self.state = self.model.engine.zero_state(1)

    def _take(self, ids: Array, nats: Sequence[float | None], likeliest: Sequence[Any]) -> None:
        start = len(self.tokens)
        if self.model.vocabulary.kind == "characters":
            texts: Sequence[str] = self.text[start : start + len(ids)]
        else:
            texts = [_token_name(id) for id in ids.tolist()]
        self.tokens += map(Token, texts, nats, likeliest)


def _judged(
    model: Model, ids: Array, logits: Array, likeliest: int
) -> tuple[list[float], list[dict[str, float]]]:
    """The surprisal of some ids (T,) by the logits (T, V) before each, and what was likeliest."""
    every = np.concatenate([logits, logits[-1:]])  # of what follows the last nothing is asked
    found = judged(model.vocabulary, ids, every, likeliest, blind=False)
    rows = zip(found["expected"][:-1], found["expected_log_probability"][:-1], strict=True)
    alternatives = [
        dict(zip(_token_names(model, best), (-shares).tolist(), strict=True))
        for best, shares in rows
    ]
    return (-found["log_probability"]).tolist(), alternatives


def _token_names(model: Model, ids: Array) -> Sequence[str]:
    if model.vocabulary.kind == "characters":
        return symbols(model.vocabulary, ids)
    return [_token_name(id) for id in ids.tolist()]


def _token_name(byte: int) -> str:
    """A byte, as OpenAI's server shows one that is no character."""
    return chr(byte) if byte < 128 else f"bytes:\\x{byte:02x}"


class Batcher:
    """Makes the streams of one model, in a thread of its own, `slots` of them at a time.

    `lock` is held while the engine computes. `hand_out` is given, once a round, a function that
    tells every stream what is new; it calls it where the receivers belong.
    """

    def __init__(
        self,
        model: Model,
        *,
        slots: int,
        queue: int,
        lock: threading.Lock,
        hand_out: Callable[[Callable[[], None]], object] = lambda tell: tell(),
    ) -> None:
        self.model, self.slots, self.queue = model, slots, queue
        self.measured = Measurements()
        self._lock, self._hand_out = lock, hand_out
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._closed = False
        self._reset()
        self._step_seconds = ROUND_SECONDS / LONGEST
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def _reset(self) -> None:
        self._reading: list[Job] = []
        self._ready: deque[Stream] = deque()
        self._live: list[Stream] = []
        self._state: State | None = None  # of the live streams, and the last id of each
        self._last = np.empty(0, np.int32)

    @property
    def waiting(self) -> int:
        """Streams for which there is no slot."""
        with self._changed:
            return sum(len(job.streams) for job in self._waiting) + self._begun - self.busy

    @property
    def busy(self) -> int:
        """Streams that have a slot, or will have one when their prompts are read."""
        return min(self._begun, self.slots)

    @property
    def _begun(self) -> int:
        """Streams that are drawn, or whose prompts are read or being read."""
        reading = sum(len(job.streams) for job in self._reading)
        return len(self._live) + len(self._ready) + reading

    def submit(self, jobs: Sequence[Job]) -> None:
        """Begin them as soon as there is room; RequestError (429) if the queue is full."""
        streams = sum(len(job.streams) for job in jobs)
        with self._changed:
            if self.waiting + streams > self.queue + self.slots - self.busy:
                raise RequestError(
                    f"{counted(self.waiting, 'text')} in the queue, which is full; try again later",
                    429,
                    code="queue_full",
                    retry_after=self._seconds_to_wait(),
                )
            self._waiting.extend(jobs)
            self._changed.notify()

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Nobody wants them any more: they leave before more than LONGEST characters are drawn."""
        for job in jobs:
            for stream in job.streams:
                stream.wanted = False
        with self._changed:
            self._waiting = deque(job for job in self._waiting if job.wanted)

    def close(self) -> None:
        """End the thread; what is not complete stays so."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _seconds_to_wait(self) -> int:
        """Until there is room for another text, at the present speed."""
        waiting = sum(job.length * len(job.streams) for job in self._waiting)
        return round(min(max(waiting * self._step_seconds / self.slots, 1), 60))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._waiting or self.busy):
                    self._changed.wait()
                if self._closed:
                    return
                self._admit()
            try:
                self._round()
            except Exception as error:
                print("charloom: while texts were made:", file=sys.stderr)
                traceback.print_exception(error)
                lost = [*self._live, *self._ready]
                lost += [stream for job in self._reading for stream in job.streams]
                self._reset()
                self._tell([(stream, Piece(finish="error")) for stream in lost])

    def _admit(self) -> None:
        """Begin jobs for which there are slots, and some more each time few are left.

        Reading many prompts together takes hardly longer than reading one.
        """
        few = len(self._ready) < self.slots // 4
        most = 2 * self.slots if few else self.slots
        while self._waiting and self._begun < most:
            self._reading.append(self._waiting.popleft())

    def _round(self) -> None:
        start = time.monotonic()
        self._reading = [job for job in self._reading if job.wanted]
        self._read([job for job in self._reading if not job.scored], READ)
        most = min(READ, max(_LOGITS // self.model.vocabulary.size, 1))
        self._read([job for job in self._reading if job.scored], most)
        told = self._begin()
        self._keep()
        if self._live:
            told += self._draw()
        self._keep()
        self.measured.busy_seconds += time.monotonic() - start
        self._tell(told)

    def _tell(self, told: list[tuple[Stream, Piece]]) -> None:
        def tell() -> None:
            for stream, piece in told:
                if stream.wanted:
                    stream.receive(piece)

        if told:
            self._hand_out(tell)

    def _read(self, jobs: list[Job], most: int) -> None:
        """Read the prompts of some jobs side by side, as far as all go."""
        jobs = [job for job in jobs if job.room][:most]
        if not jobs:
            return
        steps = min(max(most // len(jobs), 1), STEPS, min(job.room for job in jobs))
        inputs = np.stack([job.ids[job.at : job.at + steps] for job in jobs], axis=1)
        state = jobs[0].state.beside(*(job.state for job in jobs[1:]))
        logits = None
        with self._lock:
            if jobs[0].scored:
                logits, state = self.model.engine.logits(inputs, state)
            else:
                uncounted = np.full_like(inputs, NOT_COUNTED)
                state = self.model.engine.surprisal(inputs, uncounted, state).state
        for b, job in enumerate(jobs):
            own = None if logits is None else logits[:, b]
            job.read(steps, state.select(np.array([b])), own)
        self.measured.read += steps * len(jobs)

    def _begin(self) -> list[tuple[Stream, Piece]]:
        """Let streams whose prompts are read go on, as far as there are slots."""
        for job in [job for job in self._reading if not job.room]:
            self._reading.remove(job)
            self._ready.extend(job.streams)
        told: list[tuple[Stream, Piece]] = []
        joining: list[tuple[Stream, Array]] = []
        while self._ready and len(self._live) + len(joining) < self.slots:
            stream = self._ready.popleft()
            if not stream.wanted:
                continue
            piece, last = self._first(stream)
            if piece.text or piece.tokens or piece.finish:
                told.append((stream, piece))
            if not piece.finish:
                joining.append((stream, last))
        if joining:
            self._live += [stream for stream, _ in joining]
            self._last = np.concatenate([self._last, *(last for _, last in joining)])
            states = [stream.job.state for stream, _ in joining]
            first, others = (self._state or states[0]), (states if self._state else states[1:])
            self._state = first.beside(*others)
        return told

    def _first(self, stream: Stream) -> tuple[Piece, Array]:
        """What is known of a stream before anything is drawn, and the id to begin with."""
        job, last = stream.job, stream.job.ids[-1:]
        piece = Piece(job.text if job.echo else "", job.tokens)
        if not len(last) and not stream.writer.ended:
            seeds = np.array([stream.seed], np.uint64)
            last, states = drawn_evenly(self.model.predictor, [stream.writer.follower], seeds)
            evenly = Token(
                _token_names(self.model, last)[0], np.log(self.model.vocabulary.size), {}
            )
            stream.take(
                last,
                [evenly] if job.likeliest is not None else (),
                None if states is None else states[:, 0],
            )
        if stream.writer.ended and (end := stream.hand_out(inf, 0)):
            piece = Piece(piece.text + end.text, [*piece.tokens, *end.tokens], end.finish)
        return piece, last

    def _keep(self) -> None:
        """Take the slots of those that have ended, or that nobody wants."""
        kept = [b for b, s in enumerate(self._live) if s.wanted and not s.writer.ended]
        if len(kept) == len(self._live) or self._state is None:
            return
        self._live = [self._live[b] for b in kept]
        self._last = self._last[kept]
        self._state = self._state.select(np.array(kept)) if kept else None

    def _draw(self) -> list[tuple[Stream, Piece]]:
        live, last, state = self._live, self._last, self._state
        assert state is not None
        affordable = max(int(ROUND_SECONDS / self._step_seconds), SHORTEST)
        most = min(LONGEST, affordable, max(stream.left for stream in live))
        start = time.monotonic()
        with self._lock:
            ids, states, self._state = drawn(
                self.model.predictor,
                [stream.writer.follower for stream in live],
                last,
                state,
                most,
                [stream.job.sampling for stream in live],
                np.array([stream.seed for stream in live], np.uint64),
                np.array([stream.drawn for stream in live], np.int64),
            )
        self._step_seconds = (time.monotonic() - start) / len(ids)
        self._last = ids[-1]
        tokens = self._tokens(ids, last, state)
        now = time.monotonic()
        every = QUEUED_PIECE_SECONDS if self._waiting or self._ready else PIECE_SECONDS
        told = []
        for b, stream in enumerate(live):
            if not stream.drawn:
                self.measured.first_character(now - stream.job.submitted)
            own = None if states is None else states[:, b]
            stream.take(ids[:, b], tokens.get(b, ()), own)
            if piece := stream.hand_out(now, every):
                self.measured.generated += len(piece.text)
                told.append((stream, piece))
        return told

    def _tokens(self, ids: Array, last: Array, state: State) -> dict[int, Sequence[Token]]:
        """Of the streams that ask for them: read again, since drawing forgets the logits."""
        chosen = [b for b, s in enumerate(self._live) if s.job.likeliest is not None]
        found: dict[int, Sequence[Token]] = {}
        if not chosen:
            return found
        inputs = np.concatenate([last[None], ids[:-1]])[:, chosen]
        with self._lock:
            logits, _ = self.model.engine.logits(inputs, state.select(np.array(chosen)))
        for column, b in enumerate(chosen):
            likeliest = self._live[b].job.likeliest or 0
            nats, others = _judged(self.model, ids[:, b], logits[:, column], likeliest)
            found[b] = list(map(Token, _token_names(self.model, ids[:, b]), nats, others))
        return found
