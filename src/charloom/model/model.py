"""A model: settings, vocabulary and weights, with every verb that takes one.

The verbs are short, and say where their work is done.

    untrained, fit           a model from nothing, and the blog's training on windows
    load, save               a file, with all of it
    to_torch, from_torch     a torch.nn.Module, and back
    next                     the distribution of the next character
    generate, generate_many  texts that follow a prompt; with generate_checked, that pass a check
    complete, fill           the likeliest that follow it, and that stand in a gap
    state_after              what is known after a text, to go on from it
    score, evaluate          the surprisal of a text, in parts or in total
    odd, calibrated          its lines that are strange for their length
    trace, trace_pieces      every gate and state while a text is read
    describe                 what is known of the model
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np

from ..engines.base import Engine
from ..engines.loss import log_softmax
from ..engines.selection import open_engine
from ..engines.weights import (
    Array,
    Weights,
    check_weights,
    initial_weights,
    parameter_count,
    weight_shapes,
)
from ..errors import SettingsError, TextError, counted, shown
from ..settings import (
    AdaptationSettings,
    ComputingSettings,
    ModelSettings,
    OddSettings,
    SamplingSettings,
    TextSettings,
    check_kind,
)
from ..text.normalizing import Normalized, normalized, steps
from ..text.reading import InMemory, given_as_text, read
from ..text.vocabulary import Vocabulary
from . import fitting, generation, scoring, tracing
from .bases import find
from .checking import Checked, generate_checked
from .completion.filling import Fill, fills
from .completion.likeliest import Continuations, likeliest
from .html import model_html
from .oddity import parts as oddity
from .oddity.calibration import Calibration
from .predictor import Predictor
from .rules.rule import Rule
from .scoring import Part, Score
from .storage.characters import Characters, with_vocabulary
from .storage.container import FORMAT
from .storage.file import ModelFile, read_model, write_model
from .storage.provenance import Provenance
from .storage.text_state import TextState, read_on, with_drawn
from .tracing import ALTERNATIVES, Trace

Text = str | Path | InMemory | Iterable[str] | Sequence[Path]
"""A str is the text itself; a Path, or a list of Paths, is read as the model's own text was
(a str, too, is normalized like it); any other iterable gives the text in pieces."""


def check_model(name: str, given: object) -> None:
    """SettingsError where something else is given as a model.

    >>> check_model("model", "book.run")
    Traceback (most recent call last):
    charloom.errors.SettingsError: model: 'book.run' was given; it must be a Model (see Model.load)
    """
    check_kind(name, given, Model, "a Model (see Model.load)")


class Model:
    r"""A character-level language model, trained or not.

    >>> from charloom.engines.weights import initial_weights
    >>> vocabulary = Vocabulary.of("the fox and the crow\n")
    >>> settings = ModelSettings(hidden_size=16, num_layers=1)
    >>> weights = initial_weights(settings, vocabulary.size, seed=0)
    >>> model = Model(settings, vocabulary, weights)
    >>> model
    Model(lstm, 1 layer of 16, vocabulary of 14 characters, 2,222 weights)
    >>> len("".join(model.generate("the ", length=20, seed=1)))
    20
    >>> model.evaluate("the fox").characters
    7
    >>> [part.text for part in model.score("the fox", by="word")]
    ['the ', 'fox']

    Attributes:
        settings: the shape of the network.
        vocabulary: the characters it knows.
        provenance: how it came about: its text, training and measurements.

    """

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary: Vocabulary,
        weights: Weights,
        provenance: Provenance | None = None,
        *,
        precision: str = "auto",
        threads: int = 0,
        engine: str = "auto",
        device: str = "auto",
    ) -> None:
        """Put a model together; ModelFileError if the weights do not fit the settings.

        `precision` (auto, float32, bfloat16, float16, int8), `threads` (0: every processor
        core), `engine` (auto, native, torch, reference) and torch's `device` (auto, cpu, cuda,
        mps) say how it will compute; they are not part of the model. With precision auto,
        `score` and `evaluate` compute in the one that the record names, all else in the
        fastest.
        """
        check_weights(weights, settings, vocabulary.size)
        ComputingSettings(threads=threads)
        self.settings = settings
        self.vocabulary = vocabulary
        self.provenance = provenance or Provenance()
        self._weights = _read_only(weights)
        self._computing: dict[str, Any] = {
            "precision": precision,
            "threads": threads,
            "engine": engine,
            "device": device,
        }

    @classmethod
    def untrained(
        cls,
        settings: ModelSettings,
        vocabulary: Vocabulary,
        *,
        seed: int = 0,
        first_values: Literal["scaled", "keras"] = "scaled",
        precision: str = "auto",
        threads: int = 0,
    ) -> Model:
        """A model with first values, a function of the seed, in place of trained weights.

        `first_values` are scaled, which trains best, or Keras's, as in the blog's program.
        """
        settings = ModelSettings.of(settings, "settings")
        if not isinstance(vocabulary, Vocabulary):
            raise SettingsError(
                f"vocabulary: {type(vocabulary).__name__} was given; it must be a Vocabulary, such "
                "as Vocabulary.of(text)"
            )
        weights = initial_weights(settings, vocabulary.size, seed, first_values=first_values)
        return cls(settings, vocabulary, weights, precision=precision, threads=threads)

    def fit(
        self,
        X: Array,
        y: Array,
        *,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> list[float]:
        """Train on windows, as the blog does: X (N, T) ids, y (N,) the id after each.

        Either may be one-hot, X (N, T, V) and y (N, V). Every window is read from a zero
        state. Returns the mean loss of each epoch in nats. For a text of your own use
        `charloom.train`, which carries the state, validates and can be resumed.

        >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("ab"))
        >>> losses = model.fit(np.array([[0, 1], [1, 0]]), np.array([0, 1]), epochs=30)
        >>> losses[0] > losses[-1]
        True
        """
        losses = fitting.fit_windows(
            self.engine,
            X,
            y,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
        )
        self._weights = _read_only(self.engine.weights())
        vars(self).pop("_measuring", None)  # it has the weights from before
        return losses

    def to_torch(self) -> Any:
        """The same as a torch.nn.Module of PyTorch's own layers, with copies of the weights.

        It turns ids (T, B) and, if given, a state into logits (T, B, V) and the state after.
        Its state dict has the names of a model file. SettingsError without PyTorch.
        """
        module = _torch_modules()
        return module.module_of(self.settings, self.vocabulary.size, self.weights)

    @classmethod
    def from_torch(
        cls,
        module: Any,
        characters: Characters,
        provenance: Provenance | None = None,
        *,
        precision: str = "auto",
        threads: int = 0,
    ) -> Model:
        """The model that a torch.nn.Module is: the way back from `to_torch`.

        Any module will do that has one nn.LSTM, nn.GRU or nn.RNN, one nn.Linear and perhaps an
        nn.Embedding. `characters` say what its ids are: a Vocabulary, a mapping from character to
        id, or the characters in the order of their ids. SettingsError names what has no twin
        here, such as a second direction.
        """
        settings, weights = _torch_modules().network_of(module)
        vocabulary, weights = with_vocabulary(weights, characters)
        return cls(settings, vocabulary, weights, provenance, precision=precision, threads=threads)

    def next(self, text: str) -> dict[str, float]:
        """The probability of every character to come next after a text, the likeliest first.

        The unknown character is shown as U+FFFD, a byte that is no character as two
        hexadecimal digits. An empty text stands after a line feed, where there is one.

        >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("abc"))
        >>> expected = model.next("ab")
        >>> sorted(expected), round(sum(expected.values()), 6)
        (['a', 'b', 'c'], 1.0)
        """
        predictor = self.predictor
        ids = predictor.context(self.normalized(text))
        V = self.vocabulary.size
        logits = np.zeros(V)
        if len(ids):
            state = predictor.read(ids[:-1])
            logits = self.engine.logits(ids[-1:, None], state)[0][0, 0].astype(np.float64)
        shares = np.exp(log_softmax(logits))
        order = np.argsort(-shares, kind="stable")
        names = tracing.symbols(self.vocabulary, order)
        return dict(zip(names, shares[order].tolist(), strict=True))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        precision: str = "auto",
        threads: int = 0,
        engine: str = "auto",
        device: str = "auto",
    ) -> Model:
        """Read a model file, the best model of a run's folder, or a base by name ("english").

        Raises ModelFileError if it is missing, truncated, damaged, foreign or newer.
        """
        file = read_model(find(path))
        return cls(
            file.settings,
            file.vocabulary,
            file.weights,
            file.provenance,
            precision=precision,
            threads=threads,
            engine=engine,
            device=device,
        )

    def save(self, path: str | Path, *, bits: Literal[8, 32] = 32) -> None:
        """Write the model file, all at once: equal models give equal bytes.

        With 8 `bits` the matrices are rounded: a quarter of the size, for at most a few
        thousandths of a bit a character. Raises OutputError, and leaves what was at `path`, if
        it cannot be written.
        """
        file = ModelFile(
            settings=self.settings,
            vocabulary=self.vocabulary,
            weights=self.weights,
            provenance=self.provenance,
        )
        write_model(path, file, bits=bits)

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] | None = None,
        state: TextState | None = None,
        rule: Rule | None = None,
    ) -> Iterator[str]:
        """Yield up to `length` characters that follow the prompt, in pieces, as made.

        `temperature` sharpens (below 1) or flattens the distribution, and 0 takes the
        likeliest every time; without one it is the model's own, and 0.7 on the command line, which
        reads better. `top_k` keeps the k likeliest characters, `top_p` those that
        make up this share. Prompt and `stop` are normalized as the model's own text was. The
        text ends before `stop`, a string or several, and, for a
        model of lines, at the end of the line. The same seed gives the same text. With a
        `state`, of `state_after`, the prompt goes on after the text that was read there. With a
        `rule`, such as a Pattern, what follows the prompt is a text that fulfils it
        (docs/howto/rules.md).
        """
        return generation.generate(
            self.predictor,
            self.normalized(prompt, "prompt"),
            length=length,
            sampling=SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed),
            stop=self._stops(stop),
            before=self._checked(state),
            rule=rule,
        )

    def generate_many(
        self,
        prompt: str = "",
        *,
        count: int,
        length: int = 500,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] | None = None,
        state: TextState | None = None,
        rule: Rule | None = None,
    ) -> list[str]:
        """`count` texts that follow one prompt, much faster than one after the other.

        The options are those of `generate`, which yields the first of these texts.
        """
        return generation.generate_many(
            self.predictor,
            self.normalized(prompt, "prompt"),
            count=count,
            length=length,
            sampling=SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed),
            stop=self._stops(stop),
            before=self._checked(state),
            rule=rule,
        )

    def generate_checked(
        self,
        check: Callable[[str], bool],
        prompt: str = "",
        *,
        count: int = 1,
        tries: int = 100,
        length: int = 500,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] | None = None,
        state: TextState | None = None,
        rule: Rule | None = None,
    ) -> Checked:
        """The first `count` texts of `generate_many` that a check accepts: for what no rule says.

        `check` is called with what follows the prompt. At most `tries` texts are drawn for each
        that is asked for, so there may be fewer; `drawn` says how many it took.

        >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("0123456789"))
        >>> found = model.generate_checked(lambda text: int(text) % 7 == 0, count=3, length=4)
        >>> [int(text) % 7 for text in found.texts], found.drawn >= 3
        ([0, 0, 0], True)
        """
        return generate_checked(
            self.predictor,
            self.normalized(prompt, "prompt"),
            check,
            count=count,
            tries=tries,
            length=length,
            sampling=SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed),
            stop=self._stops(stop),
            before=self._checked(state),
            rule=rule,
        )

    def complete(
        self,
        prompt: str = "",
        *,
        n: int = 10,
        until: str | Sequence[str] | None = None,
        length: int = 40,
        most: int = 20_000,
        state: TextState | None = None,
    ) -> Continuations:
        """The n most probable continuations of a prompt, with exact probabilities.

        A continuation ends before `until`, a string or several (for a model of lines at the end
        of the line), or after `length` characters (of a model of bytes, bytes). At most `most`
        prefixes are opened; if that is not enough to be sure, `complete` is False and `bound`
        says how probable a continuation can be that is not among them.

        >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("ab."))
        >>> found = model.complete("a", n=3, until=".", length=3)
        >>> len(found.continuations), found.complete
        (3, True)
        >>> total = model.complete("a", n=100, until=".", length=3).total
        >>> round(total, 6)
        1.0
        """
        return likeliest(
            self.predictor,
            self.normalized(prompt, "prompt"),
            n=n,
            length=length,
            stops=self._stops(until),
            most=most,
            before=self._checked(state),
        )

    def fill(
        self,
        text: str,
        *,
        gap: str = "___",
        n: int = 10,
        length: int = 12,
        samples: int = 256,
        seed: int = 0,
    ) -> list[Fill]:
        """What may stand in the gap of a text, by what stands on both sides, the likeliest first.

        Candidates, of 1 to `length` characters, are the beginnings of `samples` texts drawn from
        the left side. The probability of each is given both sides, and an estimate; more samples
        make it better.

        >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("ab ."))
        >>> found = model.fill("a ___ b.", n=3, length=2)
        >>> len(found), sum(one.probability for one in found) <= 1
        (3, True)
        """
        text = self.normalized(text)
        found = text.count(gap) if gap else 0
        if found != 1:
            raise SettingsError(
                f"gap: {shown(repr(gap))} must stand in the text once; found: {found:,} x"
            )
        left, _, right = text.partition(gap)
        return fills(self.predictor, left, right, n=n, length=length, samples=samples, seed=seed)

    def state_after(
        self, text: Text, state: TextState | None = None, *, generated: str = ""
    ) -> TextState:
        """What the model knows after a text, to go on from with `generate`; see TextState.

        The text goes on after `state`, if there is one. `generated` is what the model itself
        wrote after it: a text in two halves is then, with the same seed, that of one call.
        SettingsError for the state of another model, TextError for an empty text.
        """
        predictor, before = self.predictor, self._checked(state)
        start = ""
        if text == "" and before is None and self.vocabulary.newline_id is not None:
            start = "\n"  # what an empty prompt stands after
        given = () if text == "" else self.pieces(text)
        pieces = chain([start], given, [self.normalized(generated)])
        found = read_on(predictor, filter(None, pieces), before, self.digest)
        return with_drawn(found, len(self.vocabulary.encode(generated)))

    def _checked(self, state: TextState | None) -> TextState | None:
        return state and state.checked(self.predictor, self.digest)

    def score(
        self, text: Text, *, by: Literal["character", "word", "line"] = "character"
    ) -> Iterator[Part]:
        """Yield the parts of a text in order, each with its surprisal in nats and bits.

        The parts add up, exactly, to `evaluate(text, exact=True)`. A str is the text
        itself, a Path is read. Characters that the model has never seen count in full, and
        one logged warning names them; a model without an unknown raises UnknownCharacterError.
        """
        return scoring.score_text(self._measuring, self.pieces(text), by=by)

    def evaluate(
        self, text: Text, *, exact: bool = False, adapt: AdaptationSettings | None = None
    ) -> Score:
        r"""The total surprisal of a text: nats, bits per character and byte, perplexity.

        The definition is one stream from the first character to the last. Unless `exact`,
        parallel segments stand in for it: many times faster, and very near.

        With `adapt` the number is another one: a copy of the model learns from the text on
        the way, chunk by chunk, each after it was counted (see `charloom.model.adaptation`).
        The model stays as it is.

        >>> model = Model.untrained(ModelSettings(hidden_size=16), Vocabulary.of("the fox\n"))
        >>> text, rate = "the fox\n" * 40, AdaptationSettings(learning_rate=0.01)
        >>> adapted = model.evaluate(text, adapt=rate).bits_per_character
        >>> adapted < model.evaluate(text, exact=True).bits_per_character
        True
        """
        if adapt is None:
            return scoring.evaluate_text(self._measuring, self.pieces(text), exact=exact)
        adapt = AdaptationSettings.of(adapt, "adapt")
        return scoring.evaluate_adapting(self._learner(), self.pieces(text), adapt)

    def odd(
        self,
        text: Text,
        *,
        threshold: float | None = None,
        calibration: Calibration | None = None,
        live: bool = False,
    ) -> oddity.OddParts:
        r"""Yield the lines of a text that are odd for their length, in their order.

        A line's p-value is at least the chance that a new line of the calibrating kind is as
        strange (see `charloom.model.oddity.calibration`). Odd are those with at most the
        `threshold`, which is also the share of false alarms: by default 0.001, or the least
        p-value that the calibration has. Empty lines are passed over. A model
        of lines that `train` made holds a `calibration`, by the lines that were held out; others
        need one of `calibrated`. The iterator's `read` counts the lines. A text that arrives,
        such as a log that is followed, is read piece by piece if it is `live`. SettingsError
        without a calibration, or where no p-value is as low as the threshold.

        >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("fox\n"), seed=1)
        >>> usual = model.calibrated("fox\nofx\nxof\noxo\n" * 50)
        >>> found = model.odd("fox\nffffffff\n\nxof\n", calibration=usual, threshold=0.01)
        >>> [part.text for part in found]
        ['ffffffff']
        """
        calibration = calibration or self.provenance.calibration
        if calibration is None:
            raise SettingsError(
                "calibration: this model holds none; give a text like its own in which little is "
                "odd"
            )
        self._check_window(calibration.window)
        settings = OddSettings(threshold=threshold)
        return oddity.OddParts(self._measuring, self.pieces(text), calibration, settings, live=live)

    def calibrated(self, text: Text, *, window: int = 0) -> Calibration:
        r"""How strange lines are that are not odd, by those of a text: for `odd`.

        The text is like those that will be tested, not trained on, and in it little is odd.
        With `window` a stream is tested in windows of so many characters in place of lines.
        TextError for fewer than 40 of them.

        >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("fox\n"))
        >>> model.calibrated("fox\nofx\n" * 50).parts
        50
        """
        self._check_window(OddSettings(window=window).window)
        return oddity.calibrate(self._measuring, self.pieces(text), window)

    def _check_window(self, window: int) -> None:
        if window and self.lines:
            raise SettingsError(
                f"window: {window} was given, and this model reads each line by itself; use 0"
            )
        if not window and self.vocabulary.newline_id is None:
            raise SettingsError("window: 0 was given, and this model knows no line feed; give more")

    def trace(self, text: Text, *, alternatives: int = ALTERNATIVES) -> Trace:
        """Every gate, cell and hidden state while a text is read, under the blog's names.

        Arrays are (T, L, H) float32, as the engine computed them, beside each character's
        log-probability, its rank, and the `alternatives` that were likeliest instead.

        >>> from charloom.engines.weights import initial_weights
        >>> vocabulary, settings = Vocabulary.of("the fox"), ModelSettings(hidden_size=16)
        >>> model = Model(settings, vocabulary, initial_weights(settings, 7, seed=0))
        >>> trace = model.trace("fox")
        >>> trace.f_t.shape, bool((trace.C_t == trace.fC_t + trace.gi_t).all())
        ((3, 2, 16), True)
        """
        return tracing.joined(list(self.trace_pieces(text, alternatives=alternatives)))

    def trace_pieces(
        self, text: Text, *, alternatives: int = ALTERNATIVES, steps: int = 0
    ) -> Iterator[Trace]:
        """The trace of a text of any length, in pieces of at most `steps` characters.

        By default a piece has as many as fit in 64 MB; the numbers are those of `trace`.
        """
        if alternatives < 1 or steps < 0:
            raise SettingsError(
                f"alternatives {alternatives} and steps {steps} were given; they must be at least "
                "1 and 0"
            )
        return tracing.trace_pieces(
            self.predictor, self.pieces(text), alternatives=alternatives, steps=steps
        )

    def with_weights(self, weights: Weights, *, precision: str | None = None) -> Model:
        """The same network with other weights, computed the same way unless told otherwise."""
        return Model(
            self.settings,
            self.vocabulary,
            weights,
            self.provenance,
            **{**self._computing, "precision": precision or self.engine.precision},
        )

    def describe(self) -> dict[str, Any]:
        """Everything known of the model, as plain JSON."""
        return {
            "format": FORMAT,
            "settings": self.settings.model_dump(),
            "parameters": self.parameters,
            "vocabulary": {"size": self.vocabulary.size, **self.vocabulary.to_json()},
            "record": self.provenance.to_json(),
        }

    @property
    def weights(self) -> Weights:
        """Read-only float32 arrays under the names of `charloom.engines.weights`.

        The engine has a copy of them, so a change would go unnoticed: make another Model
        for other weights.
        """
        return self._weights

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return parameter_count(self.settings, self.vocabulary.size)

    @property
    def digest(self) -> str:
        """The SHA-256 of vocabulary and weights, in hexadecimal: what decides its texts.

        >>> vocabulary = Vocabulary.of("the fox")
        >>> a, b = (Model.untrained(ModelSettings(), vocabulary, seed=n) for n in (0, 1))
        >>> len(a.digest), a.digest == b.digest, a.digest == b.with_weights(a.weights).digest
        (64, False, True)
        """
        known = json.dumps(self.vocabulary.to_json(), sort_keys=True)
        digest = hashlib.sha256(known.encode())
        for name in weight_shapes(self.settings, self.vocabulary.size):
            values = np.ascontiguousarray(self.weights[name], "<f4")
            digest.update(f"{name} {values.shape}".encode())
            digest.update(values.data)
        return digest.hexdigest()

    @property
    def lines(self) -> bool:
        """Whether it was trained on lines, each a text of its own."""
        return self.provenance.lines

    @property
    def text_settings(self) -> TextSettings:
        """How its text was read, and other texts are."""
        return self.provenance.text

    @cached_property
    def engine(self) -> Engine:
        """What computes, opened at first use with a copy of the weights."""
        return open_engine(self.settings, self.vocabulary.size, self.weights, **self._computing)

    @property
    def predictor(self) -> Predictor:
        """What scores, generates and traces: the engine, the vocabulary, and whether by line."""
        return Predictor(engine=self.engine, vocabulary=self.vocabulary, lines=self.lines)

    @property
    def computed_with(self) -> dict[str, str]:
        """The precision and the kernels behind the numbers of `score` and `evaluate`."""
        engine = self._measuring.engine
        return {"precision": engine.precision, "kernels": engine.kernels}

    @cached_property
    def _measuring(self) -> Predictor:
        """What scores and evaluates: in the precision of training, unless told otherwise."""
        recorded = self.provenance.precision
        if self._computing["precision"] != "auto" or recorded in (None, self.engine.precision):
            return self.predictor
        try:
            engine = self.with_weights(self.weights, precision=recorded).engine
        except SettingsError:  # the reference engine has float32 alone
            return self.predictor
        return Predictor(engine=engine, vocabulary=self.vocabulary, lines=self.lines)

    def _learner(self) -> Predictor:
        """A predictor like that of `evaluate`, with an engine and weights of its own."""
        precision = self._measuring.engine.precision
        return self.with_weights(self.weights, precision=precision).predictor

    def pieces(self, text: Text) -> Normalized:
        """A text in pieces, read as every verb of the model reads it.

        TextError for a str that is the name of a file: give a Path or InMemory instead.
        """
        if isinstance(text, str):
            text = given_as_text(text)
        if isinstance(text, (Path, InMemory)):
            return read(text, self.text_settings)
        if isinstance(text, Sequence) and text and all(isinstance(t, Path) for t in text):
            return read(cast("Sequence[Path]", text), self.text_settings)
        if not isinstance(text, Iterable):
            raise TextError(
                f"{type(text).__name__} was given as a text; it must be a str, a Path, "
                "InMemory(text) or pieces of str"
            )
        normalization = self.text_settings.normalization
        if isinstance(text, Normalized) and text.normalization == normalization:
            return text
        return Normalized(steps(cast("Iterable[str]", text), normalization), normalization)

    def normalized(self, text: str, name: str = "the text") -> str:
        """A short text, such as a prompt, after the steps that every text passes.

        TextError, with `name`, if it is no str or holds half a surrogate pair.
        """
        return normalized(text, self.text_settings.normalization, name)

    def _stops(self, stop: str | Sequence[str] | None) -> list[str]:
        stops = [stop] if isinstance(stop, str) else list(stop or ())
        return [self.normalized(one, "stop") for one in stops]

    def __getstate__(self) -> dict[str, Any]:
        """All but the engine, which is opened again when it is needed: for pickle and copy."""
        opened = ("engine", "_measuring")
        state = {name: value for name, value in vars(self).items() if name not in opened}
        return {**state, "_weights": dict(self._weights)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _weights=_read_only(state["_weights"]))

    def _repr_html_(self) -> str:
        return model_html(self.settings, self.vocabulary, self.provenance)

    def __repr__(self) -> str:
        shape, vocabulary = self.settings, self.vocabulary
        return (
            f"Model({shape.cell}, {counted(shape.num_layers, 'layer')} of "
            f"{shape.hidden_size}, vocabulary of "
            f"{counted(vocabulary.size, vocabulary.kind[:-1])}, "
            f"{counted(self.parameters, 'weight')})"
        )


def _torch_modules() -> Any:
    try:
        from ..engines.pytorch import module
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise SettingsError(
            "PyTorch is needed, which is not installed; pip install 'charloom[torch]'"
        ) from None
    return module


def _read_only(weights: Weights) -> Weights:
    """The same numbers, neither copied nor to be changed."""
    views = {name: values.view() for name, values in weights.items()}
    for view in views.values():
        view.flags.writeable = False
    return cast("Weights", MappingProxyType(views))
