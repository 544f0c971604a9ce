"""A model: settings, vocabulary and weights, with every verb that takes one.

The verbs are short, and say where their work is done.

    load, save               a file, with all of it
    generate, generate_many  texts that follow a prompt
    score, evaluate          the surprisal of a text, in parts or in total
    trace, trace_pieces      every gate and state while a text is read
    describe                 what is known of the model
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from ..engines.base import Engine
from ..engines.selection import open_engine
from ..engines.weights import Weights, check_weights, parameter_count
from ..errors import ModelFileError, SettingsError
from ..settings import ModelSettings, SamplingSettings, TextSettings
from ..text.reading import InMemory, read
from ..text.vocabulary import Vocabulary
from . import generation, scoring, tracing
from .container import FORMAT, MODEL_FILE
from .file import ModelFile, read_model, write_model
from .predictor import Predictor
from .scoring import Part, Score
from .tracing import ALTERNATIVES, Trace

Text = str | Path | InMemory | Iterable[str] | Sequence[Path]
"""A str is the text itself; a Path, or a list of Paths, is read as the model's own text was
(a str, too, is normalized like it); any other iterable gives the text in pieces."""


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
        weights: float32 arrays under the names of `charloom.engines.weights`.
        record: how it came about, as plain JSON (text, training, measurements).
        text_settings: how its text was read, from the record.

    """

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary: Vocabulary,
        weights: Weights,
        record: dict[str, Any] | None = None,
        *,
        precision: str = "auto",
        threads: int = 0,
        engine: str = "auto",
        device: str = "auto",
    ) -> None:
        """Put a model together; ModelFileError if the weights do not fit the settings.

        `precision` (auto, float32, bfloat16, float16, int8), `threads` (0: every processor
        core), `engine` (auto, native, torch, reference) and torch's `device` (auto, cpu,
        cuda, mps) say how it will compute; they are not part of the model.
        """
        check_weights(weights, settings, vocabulary.size)
        self.settings = settings
        self.vocabulary = vocabulary
        self.weights = weights
        self.record = record or {}
        self.text_settings = TextSettings(**self.record.get("text", {}))
        self._computing: dict[str, Any] = {
            "precision": precision,
            "threads": threads,
            "engine": engine,
            "device": device,
        }

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
        """Read a model file, or the best model of a run's folder.

        Raises ModelFileError if it is missing, truncated, damaged, foreign or newer.
        """
        path = Path(path)
        if path.is_dir():
            path /= MODEL_FILE
            if not path.exists():
                raise ModelFileError(
                    f"{path.parent}: holds no {MODEL_FILE}; give the folder of a run that "
                    "has saved a model, or a model file"
                )
        file = read_model(path)
        try:
            return cls(
                file.settings,
                file.vocabulary,
                file.weights,
                file.record,
                precision=precision,
                threads=threads,
                engine=engine,
                device=device,
            )
        except (SettingsError, TypeError) as error:
            raise ModelFileError(f"{path}: its record makes no sense ({error})") from None

    def save(self, path: str | Path) -> None:
        """Write the model file, all at once: equal models give equal bytes.

        Raises OutputError, and leaves what was at `path`, if it cannot be written.
        """
        file = ModelFile(
            settings=self.settings,
            vocabulary=self.vocabulary,
            weights=self.weights,
            record=self.record,
        )
        write_model(path, file)

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
    ) -> Iterator[str]:
        """Yield up to `length` characters that follow the prompt, in pieces, as made.

        `temperature` sharpens (below 1) or flattens the distribution, and 0 takes the
        likeliest every time; `top_k` keeps the k likeliest characters, `top_p` those that
        make up this share. The text ends before `stop`, a string or several, and, for a
        model of lines, at the end of the line. The same seed gives the same text.
        """
        return generation.generate(
            self.predictor,
            prompt,
            length=length,
            sampling=SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed),
            stop=stop,
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
    ) -> list[str]:
        """`count` texts that follow one prompt, much faster than one after the other.

        The options are those of `generate`, which yields the first of these texts.
        """
        return generation.generate_many(
            self.predictor,
            prompt,
            count=count,
            length=length,
            sampling=SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed),
            stop=stop,
        )

    def score(
        self, text: Text, *, by: Literal["character", "word", "line"] = "character"
    ) -> Iterator[Part]:
        """Yield the parts of a text in order, each with its surprisal in nats and bits.

        The parts add up, exactly, to `evaluate(text, exact=True)`. A str is the text
        itself, a Path is read. Characters that the model has never seen count in full, and
        one UnknownCharacterWarning names them; a model without an unknown raises
        UnknownCharacterError.
        """
        return scoring.score_text(self.predictor, self._pieces(text), by=by)

    def evaluate(self, text: Text, *, exact: bool = False) -> Score:
        """The total surprisal of a text: nats, bits per character and byte, perplexity.

        The definition is one stream from the first character to the last. Unless `exact`,
        parallel segments stand in for it: many times faster, and very near.
        """
        return scoring.evaluate_text(self.predictor, self._pieces(text), exact=exact)

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
        return tracing.trace_pieces(
            self.predictor, self._pieces(text), alternatives=alternatives, steps=steps
        )

    def describe(self) -> dict[str, Any]:
        """Everything known of the model, as plain JSON."""
        return {
            "format": FORMAT,
            "settings": self.settings.model_dump(),
            "parameters": self.parameters,
            "vocabulary": {"size": self.vocabulary.size, **self.vocabulary.to_json()},
            "record": self.record,
        }

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return parameter_count(self.settings, self.vocabulary.size)

    @property
    def lines(self) -> bool:
        """Whether it was trained on lines, each a text of its own."""
        return self.record.get("training", {}).get("batches") == "lines"

    @cached_property
    def engine(self) -> Engine:
        """What computes, opened at first use with a copy of the weights."""
        return open_engine(self.settings, self.vocabulary.size, self.weights, **self._computing)

    @property
    def predictor(self) -> Predictor:
        """What scores, generates and traces: the engine, the vocabulary, and whether by line."""
        return Predictor(engine=self.engine, vocabulary=self.vocabulary, lines=self.lines)

    def _pieces(self, text: Text) -> Iterable[str]:
        if isinstance(text, str):
            text = InMemory(text)
        if isinstance(text, (Path, InMemory)):
            return read(text, self.text_settings)
        if isinstance(text, Sequence) and text and all(isinstance(t, Path) for t in text):
            return read(cast("Sequence[Path]", text), self.text_settings)
        return cast("Iterable[str]", text)

    def __repr__(self) -> str:
        shape, vocabulary = self.settings, self.vocabulary
        return (
            f"Model({shape.cell}, {shape.num_layers} layer{'s'[: shape.num_layers - 1]} of "
            f"{shape.hidden_size}, vocabulary of {vocabulary.size} {vocabulary.kind}, "
            f"{self.parameters:,} weights)"
        )
