"""What can be chosen, each choice checked at birth.

The same classes serve the library, the command line and the files: a field's description
is its help text, and its bounds are its check. All are frozen; `replace` makes a changed
copy that is checked again.

>>> ModelSettings(hidden_size=128).num_layers
2
>>> ModelSettings(hidden_size=0)
Traceback (most recent call last):
    ...
charloom.errors.SettingsError: hidden_size: 0 was given; it must be at least 1
"""

from __future__ import annotations

import os
import re
from operator import index
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)
from typing_extensions import Self

from .errors import SettingsError, shown

MOST_STEPS = 10**12
"""Steps of the longest run; at a million a second, eleven days."""

LARGEST = 2**31 - 1
"""The largest int of 32 bits, which is what most counts are in C++."""

Engine = Annotated[
    Literal["auto", "native", "torch", "reference"],
    Field(description="what computes; auto is torch where a GPU is given as device, else native"),
]


def _device(name: str) -> str:
    """A device's name, as it may also come from a file."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name):
        raise ValueError(
            f"device: {shown(repr(name))} was given; it must be auto, cpu, cuda, cuda:N or mps"
        )
    return name


Device = Annotated[
    str,
    AfterValidator(_device),
    Field(description="of the torch engine: cpu, cuda, cuda:N or mps; auto is a GPU if it has one"),
]
Threads = Annotated[int, Field(ge=0, le=1024, description="0 uses every processor core")]


class _Named(type(BaseModel)):
    """The class of settings: `help` and `dir` show what is theirs, and nothing of pydantic's."""

    def __dir__(cls) -> list[str]:
        names = super().__dir__()
        return [n for n in names if not n.startswith("_") and not hasattr(BaseModel, n)]


class Settings(BaseModel):
    """Base of all settings: frozen, no unknown names, errors as SettingsError."""

    # Built when first used, so that a command does not wait for settings it has none of.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Name every setting in the docstring, for `help`."""
        lines = [f"{name}: {field.description}" for name, field in cls.model_fields.items()]
        cls.__doc__ = "\n".join([cls.__doc__ or "", "", *lines])

    def __dir__(self) -> list[str]:
        return [*type(self).model_fields, *dir(type(self))]

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _one_line(error, type(self)) from None

    @classmethod
    def of(cls, given: Self | None, name: str) -> Self:
        """What was given for an argument, or the defaults; SettingsError if it is neither.

        >>> SamplingSettings.of(None, "sampling").temperature
        1.0
        """
        if given is None:
            return cls()
        if not isinstance(given, cls):
            raise SettingsError(
                f"{name}: {shown(repr(given))} was given; it must be {cls.__name__}(...)"
            )
        return given

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked like a new one.

        >>> ModelSettings().replace(cell="rnn").cell
        'rnn'
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**given, **changes})


# Not by `metaclass=`, for which type checkers would lose the types of all settings.
Settings.__class__ = _Named  # pyright: ignore[reportAttributeAccessIssue]


def check_within(name: str, value: int, least: int, most: int = 65536) -> None:
    """SettingsError for a number that is no field of settings, and out of its bounds.

    >>> check_within("places", 70000, least=0)
    Traceback (most recent call last):
    charloom.errors.SettingsError: places: 70000 was given; it must be at least 0, at most 65536
    """
    try:
        expected = f"at least {least}, at most {most}"
        fits = least <= index(value) <= most
    except TypeError:
        fits, expected = False, "a whole number"
    if not fits:
        raise SettingsError(f"{name}: {shown(value, 40)} was given; it must be {expected}", name)


def check_kind(name: str, given: object, kind: type, expected: str) -> None:
    """SettingsError for something of another kind.

    >>> check_kind("pattern", 5, str, "a str")
    Traceback (most recent call last):
    charloom.errors.SettingsError: pattern: 5 was given; it must be a str
    """
    if not isinstance(given, kind):
        raise SettingsError(f"{name}: {shown(repr(given))} was given; it must be {expected}")


def _one_line(error: ValidationError, settings: type[BaseModel]) -> SettingsError:
    """The first complaint of pydantic, in this project's words."""
    first = error.errors()[0]
    name = shown(".".join(str(part) for part in first["loc"]))
    if first["type"] == "extra_forbidden":
        known = ", ".join(settings.model_fields)
        return SettingsError(f"{name} is not a setting; the settings are {known}")
    if first["type"] == "value_error":
        return SettingsError(*first.get("ctx", {})["error"].args)
    return SettingsError(f"{name}: {given_and_expected(error)}")


def given_and_expected(error: ValidationError) -> str:
    """What was given, and what it must be, of the first complaint of pydantic.

    >>> from pydantic import TypeAdapter
    >>> try:
    ...     TypeAdapter(int).validate_python("x")
    ... except ValidationError as error:
    ...     print(given_and_expected(error))
    'x' was given; it must be a whole number
    """
    first = error.errors()[0]
    given, context = shown(repr(first.get("input"))), first.get("ctx", {})
    match first["type"].split("_"):
        case ["greater", "than", "equal"]:
            expected = f"at least {context['ge']}"
        case ["greater", "than"]:
            expected = f"more than {context['gt']}"
        case ["less", "than", "equal"]:
            expected = f"at most {context['le']}"
        case ["less", "than"]:
            expected = f"less than {context['lt']}"
        case ["literal", "error"] | ["enum"]:
            expected = f"one of {context['expected']}"
        case ["finite", "number"]:
            expected = "a finite number"
        case ["int", *_]:
            expected = "a whole number"
        case ["float", *_]:
            expected = "a number"
        case ["bool", *_]:
            expected = "true or false"
        case ["string", *_]:
            expected = "a str"
        case ["value", "error"] if " is not one of " in str(context["error"]):  # as typer has it
            expected = "one of" + str(context["error"]).rpartition("one of")[2].removesuffix(".")
        case _:
            return f"{given} was given; {first['msg'].lower()}"
    return f"{given} was given; it must be {expected}"


class TextSettings(Settings):
    """How text is read, which characters are known, and what is held out."""

    model_config = ConfigDict(allow_inf_nan=False)

    encoding: str = Field(default="utf-8", description="encoding of the files")
    errors: Literal["strict", "replace"] = Field(
        default="strict", description="what an undecodable byte does: stop, or become U+FFFD"
    )
    normalization: Literal["none", "nfc"] = Field(
        default="none", description="Unicode normalization; nfc joins letters with their accents"
    )
    vocabulary: Literal["characters", "bytes"] = Field(
        default="characters", description="what one step reads: a code point or a UTF-8 byte"
    )
    minimum_count: int = Field(
        default=1,
        ge=1,
        le=LARGEST,
        description="rarer characters are read as the unknown character",
    )
    unknown: bool = Field(
        default=True, description="learn an unknown character, so that no text is refused"
    )
    validation_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="the share at the end of the text that is held out"
    )
    validation_limit: int = Field(
        default=1_000_000, ge=1, lt=2**63, description="at most this many characters are held out"
    )

    @model_validator(mode="after")
    def _rare_characters_need_an_unknown(self) -> Self:
        if self.vocabulary == "characters" and self.minimum_count > 1 and not self.unknown:
            raise ValueError(
                f"`minimum_count` is {self.minimum_count} and `unknown` is off: rarer characters "
                "would have no id; use `minimum_count=1` or `unknown=True`",
                "minimum_count",
                "unknown",
            )
        return self


AUTOMATIC: dict[str, JsonValue] = {"automatic": True}
"""Marks a setting that `train` chooses to fit the text and the time, unless it is given."""


class ModelSettings(Settings):
    """The shape of a network; with the vocabulary's size it fixes every weight."""

    cell: Literal["lstm", "gru", "rnn"] = Field(
        default="lstm", description="lstm, gru, or the plain tanh rnn that they are compared with"
    )
    hidden_size: int = Field(
        json_schema_extra=AUTOMATIC, default=256, ge=1, le=65536, description="units in a layer"
    )
    num_layers: int = Field(
        json_schema_extra=AUTOMATIC,
        default=2,
        ge=1,
        le=64,
        description="layers, one above the other",
    )
    embedding_size: int = Field(
        default=0, ge=0, le=65536, description="size of a learned input embedding; 0 is one-hot"
    )


class TrainingSettings(Settings):
    """How a network is trained."""

    model_config = ConfigDict(allow_inf_nan=False)

    batches: Literal["auto", "streams", "lines", "windows"] = Field(
        default="auto",
        description="streams carry the state along the text; lines are separate items; "
        "windows are the blog's, one target each; auto is lines for a list, else streams",
    )
    batch_size: int = Field(
        json_schema_extra=AUTOMATIC,
        default=32,
        ge=1,
        le=2**20,
        description="streams, lines or windows side by side",
    )
    sequence_length: int = Field(
        default=64, ge=1, le=2**20, description="characters in one step of training"
    )
    steps: int | None = Field(
        default=None, ge=1, le=MOST_STEPS, description="stop after this many optimizer steps"
    )
    epochs: float | None = Field(
        default=None, gt=0, le=10**6, description="stop after this many passes"
    )
    minutes: float | None = Field(
        default=None, gt=0, le=10**6, description="stop after about this long"
    )
    learning_rate: float = Field(
        json_schema_extra=AUTOMATIC, default=4e-3, gt=0, lt=10, description="Adam's, at its highest"
    )
    warmup_steps: int = Field(
        json_schema_extra=AUTOMATIC,
        default=50,
        ge=0,
        le=MOST_STEPS,
        description="steps of linear rise at the start",
    )
    decay: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="how the learning rate falls towards the end"
    )
    final_learning_rate: float = Field(
        default=0.0, ge=0, le=1, description="share of the learning rate that is left at the end"
    )
    beta1: float = Field(default=0.5, ge=0, lt=1, description="Adam's decay of the mean")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Adam's decay of the mean square")
    epsilon: float = Field(
        default=1e-7, ge=1e-30, le=1, description="Adam's epsilon, Keras's form and value"
    )
    clip_norm: float = Field(
        default=1.0,
        ge=0,
        le=1e30,
        description="largest global norm of the gradient; 0 does not clip",
    )
    dropout: float = Field(
        json_schema_extra=AUTOMATIC,
        default=0.1,
        ge=0,
        lt=1,
        description="share of each layer's outputs dropped on the way to the next",
    )
    final_dropout: float | None = Field(
        default=None, ge=0, lt=1, description="the same at the last step, if it is another"
    )
    members: int = Field(
        json_schema_extra=AUTOMATIC,
        default=1,
        ge=1,
        le=64,
        description="networks that share the units, are trained side by side, and are merged",
    )
    first_values: Literal["scaled", "keras"] = Field(
        default="scaled", description="of the weights; keras is Keras's, as in the blog's program"
    )
    unknown_share: float = Field(
        default=0.001, ge=0, lt=0.5, description="characters replaced by the unknown, to train it"
    )
    validate_every: int | None = Field(
        default=None,
        ge=1,
        le=MOST_STEPS,
        description="steps between validations; by default a tenth of the run",
    )
    patience: int = Field(
        json_schema_extra=AUTOMATIC,
        default=0,
        ge=0,
        le=MOST_STEPS,
        description="stop after so many validations without a better one; 0 is never",
    )
    engine: Engine = "auto"
    device: Device = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="of products; auto is bfloat16 where the processor has it; float16 is torch's",
    )
    threads: Threads = 0
    seed: int = Field(default=0, ge=0, lt=2**63, description="of weights, order and dropout")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = [n for n in ("steps", "epochs", "minutes") if getattr(self, n) is not None]
        if len(given) > 1:
            named = " and ".join(f"`{name}`" for name in given)
            raise ValueError(f"{named} were given; give one of them", *given)
        return self


class ComputingSettings(Settings):
    """How a trained model computes, which is no part of the model."""

    engine: Engine = "auto"
    device: Device = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        default="auto",
        description="of products; auto is bfloat16 where the processor has it; float16 is torch's, "
        "int8 rounds the weights to 8 bits: faster text, and `evaluate` says what it costs",
    )
    threads: Threads = 0


COLDEST = 1e-4
"""The lowest temperature but 0: below it logits / temperature may leave float32."""


READABLE = 0.7
"""The temperature of texts that are to be read, where none is given: colder ones repeat themselves,
and warmer ones have more words that are none (`benchmarks/temperatures.py`)."""


class SamplingSettings(Settings):
    """How the next character is drawn from the model's distribution."""

    model_config = ConfigDict(allow_inf_nan=False)

    temperature: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="1 is the model's own distribution; 0 always its best",
    )
    top_k: int = Field(
        default=0, ge=0, le=LARGEST, description="only the k most likely characters; 0 is all"
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="only the most likely characters that make up this share",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="the same seed gives the same text")

    @model_validator(mode="after")
    def _no_temperature_is_tiny(self) -> Self:
        if 0 < self.temperature < COLDEST:
            raise ValueError(
                f"temperature: {self.temperature} was given; it must be 0, or at least {COLDEST:g}"
            )
        return self


class AdaptationSettings(Settings):
    """How a model goes on learning from the text that it is measured on."""

    learning_rate: float = Field(
        default=6e-4, gt=0, lt=1, description="of the step that follows each chunk"
    )
    sequence_length: int = Field(
        default=32, ge=1, le=2**20, description="characters of a chunk, counted before its step"
    )
    streams: int = Field(
        default=4, ge=1, le=1024, description="stretches of a text that are read side by side"
    )


class CompressionSettings(Settings):
    """How a file is compressed without a model: the network that learns as it reads."""

    hidden_size: int = Field(default=128, ge=1, le=65536, description="units in a layer")
    num_layers: int = Field(default=1, ge=1, le=64, description="layers, one above the other")
    learning_rate: float = Field(
        default=9e-3, gt=0, lt=1, description="of the first step; it falls in a straight line"
    )
    final_learning_rate: float = Field(
        default=7e-4, gt=0, lt=1, description="at the end of the text"
    )
    sequence_length: int = Field(
        default=64, ge=1, le=4096, description="characters of a chunk, coded before its step"
    )
    longest_context: int = Field(
        default=6,
        ge=0,
        le=6,
        description="characters before each that are counted and mixed in; 0 for the network alone",
    )


USUAL_THRESHOLD = 0.001
"""The largest p-value of an odd line where none is given and there are p-values as low."""


class OddSettings(Settings):
    """Which lines of a text are odd."""

    threshold: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="the largest p-value of an odd line, and the share of false alarms; by default "
        f"{USUAL_THRESHOLD:g}, or the least that there can be",
    )
    window: int = Field(
        default=0,
        ge=0,
        le=LARGEST,
        description="of a stream, test windows of so many characters; 0 is lines",
    )


class AmountSettings(Settings):
    """How much is generated."""

    length: int = Field(default=500, ge=0, lt=2**40, description="characters to generate")
    count: int = Field(default=1, ge=1, le=65536, description="number of texts")


class ManySettings(Settings):
    """How many files are worked on, each a text of its own."""

    workers: int = Field(
        default=0, ge=0, le=4096, description="processes, of one thread each; 0 is one a core"
    )
    column: str = Field(
        default="text", min_length=1, description="of JSON lines and Parquet, which holds the text"
    )
    parts: Literal["jsonl", "parquet"] = Field(
        default="jsonl", description="what the parts are written as: JSON lines or Parquet"
    )
    cluster: Literal["none", "ray"] = Field(
        default="none", description="ray works on a Ray cluster, which it starts if there is none"
    )
    address: str | None = Field(
        default=None, description="of a Ray cluster that runs, such as auto or HOST:PORT"
    )

    @property
    def processes(self) -> int:
        """How many: those given, or one for each core that this process may use.

        >>> ManySettings(workers=3).processes
        3
        """
        available = getattr(os, "sched_getaffinity", lambda pid: range(os.cpu_count() or 1))
        return self.workers or len(available(0))

    @model_validator(mode="after")
    def _an_address_is_of_a_cluster(self) -> Self:
        if self.address is not None and self.cluster == "none":
            raise ValueError(
                "`address` was given, which is for `cluster='ray'`", "address", "cluster"
            )
        return self


class TuningSettings(Settings):
    """How long a search for better settings is, and who works on it."""

    model_config = ConfigDict(allow_inf_nan=False)

    trials: int = Field(default=20, ge=1, le=10**6, description="runs of the search, in all")
    workers: int = Field(
        default=1, ge=1, le=1024, description="processes, of one thread each if there are several"
    )
    search_minutes: float | None = Field(
        default=None, gt=0, le=10**6, description="stop the search after so long; it can go on"
    )
    search_seed: int = Field(default=0, ge=0, lt=2**63, description="of the values of trials")
