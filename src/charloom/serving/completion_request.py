"""What a request for completions asks for, checked: OpenAI's parameters, and ours beside them.

A parameter that this server has no use for is refused unless its value changes nothing, since
who sets one expects an effect.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from ..engines.weights import Array
from ..errors import SettingsError, counted, shown
from ..model.model import Model
from ..model.rules.grammar import Grammar, JsonSchema
from ..model.rules.pattern import Pattern
from ..model.rules.rule import Rule
from ..settings import SamplingSettings
from . import guard
from .guard import RequestError

CHOICES = 128
"""Texts that one request gets."""

STOPS = 16
"""Stop strings of a request."""

STOP_LENGTH = 1000
"""Characters of each of them."""

ALTERNATIVES = 5
"""Likeliest characters that are named beside each one; OpenAI's server has as many."""

TOKEN_VALUES = 2**17
"""Log-probabilities in one answer; each is some 100 bytes while it is made."""

_WITHOUT_EFFECT: dict[str, Sequence[Any]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "suffix": ("",),
}


class CompletionSettings(SamplingSettings):
    """The parameters of a request, but for its prompt and its model.

    A new one is a field here; what it does is for the job that is made of it
    (`completions.py`) to say.

    >>> CompletionSettings(max_tokens=5, seed=1).sampling.seed
    1
    """

    seed: int = Field(
        default_factory=lambda: secrets.randbelow(2**63),
        ge=0,
        lt=2**63,
        description="the same seed gives the same text; by default a new one each time",
    )
    max_tokens: int = Field(
        default=16, ge=0, le=guard.GENERATED, description="characters to generate"
    )
    n: int = Field(default=1, ge=1, le=CHOICES, description="texts for each prompt")
    stop: str | list[str] = Field(default=[], description="the text ends before any of these")
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=ALTERNATIVES,
        description="the log-probability of every character, and of so many alternatives",
    )
    echo: bool = Field(default=False, description="begin with the prompt, scored with logprobs")
    stream: bool = Field(default=False, description="send what is there as it is made")
    pattern: str | None = Field(
        default=None, description="the text matches this regular expression as a whole"
    )
    json_schema: dict[str, Any] | bool | None = Field(
        default=None, description="the text is JSON that fits this schema"
    )
    grammar: str | None = Field(
        default=None, description="the text is one of this grammar, in Lark's notation"
    )
    stream_options: dict[str, Any] = Field(
        default={}, description='{"include_usage": true} adds the counts at the end of a stream'
    )

    @property
    def sampling(self) -> SamplingSettings:
        """How the next character is drawn."""
        names = SamplingSettings.model_fields
        return SamplingSettings(**{name: getattr(self, name) for name in names})

    @property
    def rule(self) -> Rule | None:
        """The rule that the texts are under, if any."""
        given = {
            Pattern: self.pattern,
            JsonSchema: self.json_schema,
            Grammar: self.grammar,
        }
        rules = [kind(value) for kind, value in given.items() if value is not None]
        if len(rules) > 1:
            raise SettingsError("pattern: give one of pattern, json_schema and grammar")
        return rules[0] if rules else None

    @property
    def stops(self) -> list[str]:
        """The stop strings, checked."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop
        if len(stops) > STOPS or any(not 0 < len(stop) <= STOP_LENGTH for stop in stops):
            raise SettingsError(
                f"stop: it must be at most {STOPS} strings of 1 to {STOP_LENGTH:,} characters"
            )
        return stops


def settings_of(body: dict[str, Any]) -> CompletionSettings:
    """The settings in the body of a request; SettingsError or RequestError for what is wrong.

    >>> settings_of({"model": "fox", "prompt": "T", "n": 2, "best_of": None}).n
    2
    >>> settings_of({"frequency_penalty": 0.5})
    Traceback (most recent call last):
        ...
    charloom.serving.guard.RequestError: frequency_penalty: 0.5 was given, which this server ...
    """
    given = {
        name: value
        for name, value in body.items()
        if value is not None and name not in ("model", "prompt", "user")
    }
    for name, neutral in _WITHOUT_EFFECT.items():
        value = given.pop(name, None)
        if (
            value is not None
            and value not in neutral
            and (name, value) != ("best_of", body.get("n"))
        ):
            raise RequestError(
                f"{name}: {shown(value)} was given, which this server has no way to do; leave it "
                "out",
                param=name,
            )
    settings = CompletionSettings(**given)
    _ = settings.stops, settings.rule
    return settings


def prompts_of(body: dict[str, Any], model: Model) -> list[str | Array]:
    """The prompts: a text, or ids as /tokenize gives them; or several of either.

    Texts are normalized as the model's own was. RequestError or TextError for anything else.
    """
    given = body.get("prompt")
    if given is None:
        given = ""
    several = isinstance(given, list) and given and not isinstance(given[0], int)
    prompts = [_prompt(one, model) for one in (given if several else [given])]
    characters = sum(len(prompt) for prompt in prompts)
    if characters > guard.CHARACTERS:
        raise RequestError(
            f"the prompt has {counted(characters, 'character')}; "
            f"at most {guard.CHARACTERS:,} are read",
            413,
            param="prompt",
        )
    return prompts


def _prompt(given: object, model: Model) -> str | Array:
    if isinstance(given, str):
        prompt = model.normalized(given, "prompt")
        if len(prompt) <= guard.CHARACTERS:
            model.vocabulary.encode(prompt)  # complains of what cannot be read
        return prompt
    size = model.vocabulary.size
    if not isinstance(given, list) or not all(type(id) is int and 0 <= id < size for id in given):
        raise RequestError(
            f"prompt: it must be a text, a list of ids from 0 to {size - 1}, or a list of these",
            param="prompt",
        )
    return np.array(given, np.int32)


def check_size(settings: CompletionSettings, prompts: Sequence[str | Array]) -> None:
    """RequestError (413) for more texts, characters or log-probabilities than one answer holds."""
    texts = settings.n * len(prompts)
    generated = texts * settings.max_tokens
    if texts > CHOICES:
        raise RequestError(
            f"n: {counted(texts, 'text')} asked for; at most {CHOICES} are made", 413
        )
    if generated > guard.GENERATED:
        raise RequestError(
            f"max_tokens: {texts} x {counted(settings.max_tokens, 'character')} asked for; at most "
            f"{guard.GENERATED:,} are generated in one request",
            413,
            param="max_tokens",
        )
    if settings.logprobs is not None:
        read = sum(map(len, prompts)) * settings.n if settings.echo else 0
        values = (generated + read) * (1 + settings.logprobs)
        if values > TOKEN_VALUES:
            raise RequestError(
                f"logprobs: {counted(values, 'number')} "
                f"asked for; at most {TOKEN_VALUES:,} are sent: "
                "ask for fewer characters or log-probabilities",
                413,
                param="logprobs",
            )
