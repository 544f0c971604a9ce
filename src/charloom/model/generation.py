"""Characters from a model: one stream as it is made, or many at once.

The n-th character of a stream is decided by the seed and n alone, so a text does not depend
on how it is cut into pieces, nor on what is drawn beside it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence

import numpy as np

from ..engines.random import stream_seeds
from ..engines.weights import Array
from ..errors import SettingsError
from ..settings import AmountSettings, SamplingSettings
from ..text.vocabulary import Vocabulary
from .drawing import drawn, drawn_evenly
from .predictor import Predictor
from .rules.rule import Follower, Rule, check_is_rule
from .storage.text_state import TextState, after_prompt

_LONGEST_PIECE = 16  # characters; the first is one, and each is twice as long as the last


def generate(
    predictor: Predictor,
    prompt: str = "",
    *,
    length: int = 500,
    sampling: SamplingSettings | None = None,
    stop: str | Sequence[str] | None = None,
    before: TextState | None = None,
    rule: Rule | None = None,
    first: int = 0,
) -> Iterator[str]:
    """Yield up to `length` characters that follow the prompt, in short pieces, as made.

    `stop` is a string or several: the text ends before the first that would be complete,
    and for a model of lines before a line feed. An empty prompt starts after
    a line feed, or, where the vocabulary has none, with a character drawn evenly. The
    unknown character is never drawn; in a prompt it is read, with a warning that names it.
    With `before` the prompt goes on after that text; with a `rule` only what it allows is drawn;
    with `first` the text is the one that follows so many in `generate_many`.
    """
    writers = writers_of(predictor, 1, length, stop, rule)
    pieces = _pieces(predictor, prompt, writers, sampling, before, first)
    return (piece for (piece,) in pieces if piece)


def generate_many(
    predictor: Predictor,
    prompt: str = "",
    *,
    count: int,
    length: int = 500,
    sampling: SamplingSettings | None = None,
    stop: str | Sequence[str] | None = None,
    before: TextState | None = None,
    rule: Rule | None = None,
    first: int = 0,
) -> list[str]:
    """`count` texts that follow one prompt, each as of `generate`, drawn side by side.

    The first is the one that `generate` yields, and a larger `count` only adds to them. With
    `first` the texts are those that come after so many.
    """
    AmountSettings(count=count)
    writers = writers_of(predictor, count, length, stop, rule)
    texts = [""] * count
    for pieces in _pieces(predictor, prompt, writers, sampling, before, first):
        texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
    return texts


def _pieces(
    predictor: Predictor,
    prompt: str,
    writers: list[Writer],
    sampling: SamplingSettings | None,
    before: TextState | None,
    first: int = 0,
) -> Iterator[list[str]]:
    """What each text gains, again and again, until all have ended."""
    engine, sampling = predictor.engine, SamplingSettings.of(sampling, "sampling")
    seeds = stream_seeds(sampling.seed, len(writers), first)
    last, state = after_prompt(predictor, prompt, before)
    count = before.drawn if before else 0
    if len(last):
        last, state = np.repeat(last, len(writers)), state.repeat(len(writers))
    else:
        last, states = drawn_evenly(predictor, [writer.follower for writer in writers], seeds)
        state = engine.zero_state(len(writers))
        count = 1
        yield [
            writer.write(last[b : b + 1], None if states is None else states[:, b])
            for b, writer in enumerate(writers)
        ]
    live = np.array([b for b, writer in enumerate(writers) if not writer.ended], int)
    kept, size = live, 1  # kept: the streams that go on, of those in `last` and `state`
    while len(live):
        if len(kept) < len(last):
            last, state = last[kept], state.select(kept)
        those = [writers[b] for b in live]
        new, states, state = drawn(
            predictor,
            [writer.follower for writer in those],
            last,
            state,
            min(size, max(writer.left for writer in those)),
            sampling,
            seeds[live],
            count,
        )
        pieces = [""] * len(writers)
        for column, b in enumerate(live):
            own = None if states is None else states[:, column]
            pieces[b] = writers[b].write(new[:, column], own)
        yield pieces
        kept = np.array([c for c, b in enumerate(live) if not writers[b].ended], int)
        last, live = new[-1], live[kept]
        count, size = count + len(new), min(2 * len(new), _LONGEST_PIECE)


def writers_of(
    predictor: Predictor,
    count: int,
    length: int,
    stop: str | Sequence[str] | None,
    rule: Rule | None = None,
) -> list[Writer]:
    """What turns the ids of `count` texts into characters, and ends them."""
    AmountSettings(length=length)
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    if "" in stops:
        raise SettingsError("stop: '' was given; it must have at least one character")
    if predictor.lines:
        stops.append("\n")
    if rule is not None:
        check_is_rule(rule)
    bound = rule and rule.bound(predictor, stops)
    return [
        Writer(predictor.vocabulary, length, stops, bound and bound.begin(length))
        for _ in range(count)
    ]


class Writer:
    """Turns the ids of one text into characters, and knows where the text ends.

    Attributes:
        left: how many characters may still come.
        stops: the strings that it ends before.
        ended: whether the text is complete.
        stopped: whether it has ended before a stop string or by its rule, and not by its length.
        read: how many characters it has looked at, up to the end of that stop string.
        follower: of the rule that it is under, if any.

    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        length: int,
        stops: list[str],
        follower: Follower | None = None,
    ) -> None:
        self.left, self.follower = length, follower
        self.stopped = follower is not None and follower.complete
        self.ended = length == 0 or self.stopped
        self.read = 0
        self._vocabulary = vocabulary
        self.stops = stops
        self._longest = max((len(stop) - 1 for stop in stops), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""  # what may be the beginning of a stop string

    def write(self, ids: Array, states: Array | None = None) -> str:
        """The characters that are certain now; those that may begin a stop string wait.

        `states` are those that the tables of a rule come to by the ids.
        """
        if self.follower is not None and states is not None:
            ids = ids[: self.follower.take(ids, states)]
        if self._vocabulary.kind == "bytes":  # a character may be cut: the decoder keeps it
            new = self._decoder.decode(bytes(ids.astype(np.uint8)))
        else:
            new = self._vocabulary.decode(ids)
        new = new[: self.left]
        self.left -= len(new)
        self.read += len(new)
        self._held += new
        found = [(at + len(s), at) for s in self.stops if (at := self._held.find(s)) >= 0]
        if found:
            end, start = min(found)
            self.ended = self.stopped = True
            self.read -= len(self._held) - end
            return self._held[:start]
        follower = self.follower
        self.stopped = follower is not None and follower.complete
        if self.left == 0 or self.stopped or (follower is not None and follower.ended):
            self.ended = True
            return self._held
        certain = len(self._held) - self._waiting()
        written, self._held = self._held[:certain], self._held[certain:]
        return written

    def _waiting(self) -> int:
        """How many characters at the end of what is held begin a stop string."""
        for size in range(min(self._longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self.stops):
                return size
        return 0
