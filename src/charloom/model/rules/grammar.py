"""Texts of a grammar, or that fit a JSON schema; llguidance says what may come next.

Such a rule has no table of all its states, so it is asked before every character. llguidance looks
no further than that character. So that no text comes to a place where it cannot go on, or runs
out of its length, a character is allowed only with a way from it to an end, in the characters of
the model, within what is left. The ways are found by a short search, and are kept: most
characters leave the way that was there.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...engines.restriction import Table
from ...engines.weights import Array
from ...errors import SettingsError, shown
from ...text.vocabulary import Vocabulary
from ..predictor import Predictor
from .rule import BoundRule, Follower, Rule

FIRST_SEARCH, LATER_SEARCH = 3000, 200
"""Places that are looked at to find a way to an end: from the first character, from another."""

_NO_FORCING = '\n%llguidance {"no_forcing": true}\n'  # else what is forced is tokenized, not masked

Way = tuple[int, ...]
"""Ids that lead to an end."""


@dataclass(frozen=True)
class Grammar(Rule):
    r"""Texts of a context-free grammar in Lark's notation, which `start` begins.

    >>> from charloom import Model, ModelSettings, Vocabulary
    >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of("()ab"))
    >>> rule = Grammar('start: "(" start ")" | /[ab]/')
    >>> texts = model.generate_many(count=9, length=9, seed=1, rule=rule)
    >>> all(text in {"(" * n + c + ")" * n for n in range(5) for c in "ab"} for text in texts)
    True
    """

    grammar: str

    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """The grammar over the ids of one model."""
        return _bound("grammar", self.grammar, predictor, stops)


@dataclass(frozen=True)
class JsonSchema(Rule):
    """JSON texts that fit a schema, given as JSON or as what that stands for.

    What llguidance knows of schemas holds; a keyword that it does not know is an error. Its own
    options may stand in the schema, under "x-guidance": {"whitespace_flexible": false} allows no
    white space between values.

    >>> from charloom import Model, ModelSettings, Vocabulary
    >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of('0123456789[],'))
    >>> rule = JsonSchema({"type": "array", "items": {"type": "integer"}, "maxItems": 3})
    >>> texts = model.generate_many(count=9, length=9, seed=2, rule=rule)
    >>> all(len(json.loads(text)) <= 3 for text in texts)
    True
    """

    schema: str | dict[str, Any] | bool

    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """The schema over the ids of one model."""
        schema = self.schema if isinstance(self.schema, str) else json.dumps(self.schema)
        try:
            json.loads(schema)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"json_schema: it is no JSON: {shown(error)}") from None
        return _bound("json_schema", f"start: %json {schema}", predictor, stops)


@lru_cache(maxsize=4)
def _tokenizer(vocabulary: Vocabulary) -> Any:
    """The characters as the tokens of llguidance, and one more for the end of a text."""
    from llguidance import LLTokenizer, TokenizerWrapper  # pyright: ignore[reportMissingImports]

    if vocabulary.kind == "bytes":
        tokens = [bytes([byte]) for byte in range(256)]
    else:
        tokens = [character.encode() for character in vocabulary.characters]
        tokens += [b""] * vocabulary.has_unknown  # a token of nothing is never allowed
    end = len(tokens)
    description: Any = _Tokens([*tokens, b"\xff<end>"], end)
    return LLTokenizer(TokenizerWrapper(description), slices=[])


class _Tokens(SimpleNamespace):
    """What llguidance wants to know of a tokenizer."""

    def __init__(self, tokens: list[bytes], end: int) -> None:
        super().__init__(
            tokens=tokens, eos_token_id=end, bos_token_id=None, special_token_ids=[end]
        )

    def __call__(self, text: bytes) -> list[int]:
        """Texts become ids elsewhere."""
        return []


def _bound(name: str, grammar: str, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
    try:
        from llguidance import LLMatcher  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise SettingsError(
            f"{name}: llguidance is needed, which is not installed; pip install 'charloom[rules]'"
        ) from None
    vocabulary = predictor.vocabulary
    source = LLMatcher.grammar_from_lark(grammar + _NO_FORCING)
    matcher = LLMatcher(_tokenizer(vocabulary), source, log_level=0)
    if matcher.is_error():
        raise SettingsError(f"{name}: {shown(matcher.get_error())}")
    if any(len(stop) > 1 for stop in stops):
        raise SettingsError(f"stop: under a {name} it must be one character, such as a line feed")
    ids = [vocabulary.mapping[stop] for stop in stops if stop in vocabulary.mapping]
    place = _Place(matcher, _kinds(vocabulary), ids)
    way = place.way(FIRST_SEARCH)
    if way is None:
        raise SettingsError(
            f"{name}: no text that fulfils it was found in the characters of this model"
        )
    return _BoundGrammar(place, way)


def _kinds(vocabulary: Vocabulary) -> list[str]:
    """Of each id, letter, digit or space, or itself, if it is none of them."""
    if vocabulary.kind == "bytes":
        characters = [chr(byte) if byte < 128 else "a" for byte in range(256)]
    else:
        characters = [*vocabulary.characters, *"a" * vocabulary.has_unknown]
    tests = {"letter": str.isalpha, "digit": str.isdigit, "space": str.isspace}
    return [next((kind for kind, of in tests.items() if of(c)), c) for c in characters]


class _Place:
    """How far a text has come in a grammar.

    Attributes:
        stops: ids that end a text and are none of it.

    """

    def __init__(self, matcher: Any, kinds: list[str], stops: list[int]) -> None:
        self._matcher, self._kinds, self.stops = matcher, kinds, stops
        self._size = len(kinds)

    def copy(self) -> _Place:
        """Another one at the same place."""
        return _Place(self._matcher.deep_copy(), self._kinds, self.stops)

    def go_on(self, id: int) -> None:
        """Read an id that is allowed."""
        if not self._matcher.consume_token(id):
            raise SettingsError(f"grammar: {shown(self._matcher.get_error())}")

    @property
    def accepts(self) -> bool:
        """Whether the text may end here."""
        return self._matcher.is_accepting()

    def allowed(self) -> Array:
        """(V,) bool What may come next, as llguidance sees it; no stop string."""
        if self._matcher.is_stopped():
            return np.zeros(self._size, bool)
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[: self._size].astype(bool)
        mask[self.stops] = False
        return mask

    def leads_to_an_end(self, way: Sequence[int]) -> bool:
        """Whether these ids may follow, and be the rest of the text."""
        if any(id in self.stops for id in way):
            return False
        return self._matcher.validate_tokens([*way, self._size]) == len(way) + 1

    def way(self, most: int) -> Way | None:
        """A short way to an end, if there is one among so many places that are looked at.

        Places where few characters may come are looked at first, since they are forced; those
        where as many may come as before, such as inside a string, have not come nearer.
        """
        waiting: list[tuple[float, int, int, Way, _Place]] = [(0.0, 0, 0, (), self)]
        looked = 0
        while waiting and looked < most:
            _, _, stalls, way, place = heapq.heappop(waiting)
            if place.accepts:
                return way
            mask = place.allowed()
            seen: set[tuple[str, bytes]] = set()
            for id in np.flatnonzero(mask).tolist():
                next_place = place.copy()
                next_place.go_on(id)
                after = next_place.allowed()
                key = (self._kinds[id], after.tobytes())
                if key in seen:
                    continue  # a letter that is as good as another one
                seen.add(key)
                looked += 1
                now = stalls + bool((after == mask).all())
                cost = math.log2(1 + after.sum()) + 3 * now - 0.15 * len(way)
                if next_place.accepts:
                    cost = -math.inf
                heapq.heappush(waiting, (cost, looked, now, (*way, id), next_place))
        return None


class _BoundGrammar(BoundRule):
    def __init__(self, place: _Place, way: Way) -> None:
        self._place, self._way = place, way
        self._first: _GrammarFollower | None = None

    def begin(self, length: int) -> Follower:
        """A text at the first place."""
        if length < len(self._way):
            raise SettingsError(
                f"length: {length} was given; the shortest text that was found for the rule has "
                f"{len(self._way)}"
            )
        if self._first is None or self._first.left != length:
            self._first = _GrammarFollower(self._place, self._way, length)
            self._first.look()
        return self._first.copy()


class _GrammarFollower(Follower):
    steps, state = 1, 0

    def __init__(self, place: _Place, way: Way, length: int) -> None:
        self._place, self._way, self.left = place.copy(), way, length
        self._ways: dict[int, Way] = {}  # after each id that may come next
        self._known: dict[int, Way] = {}  # the way that was last found after an id
        self._vain: set[tuple[int, bytes]] = set()  # ids after which none was found, where
        self._over = False

    def copy(self) -> _GrammarFollower:
        """Another one at the same place."""
        other = _GrammarFollower(self._place, self._way, self.left)
        other._ways, other._over, other.table = self._ways, self._over, self.table
        other._known, other._vain = dict(self._known), set(self._vain)
        return other

    def take(self, ids: Array, states: Array) -> int:
        if self.ended or not len(ids):
            return 0
        id = int(ids[0])
        self.left -= 1
        if id in self._place.stops:
            self._over = True
        else:
            self._way = self._ways[id]
            self._place.go_on(id)
            self.look()
        return 1

    @property
    def complete(self) -> bool:
        return self._over

    @property
    def accepts(self) -> bool:
        return self._over or self._place.accepts

    @property
    def near(self) -> int:
        return 0 if self.accepts else len(self._way)

    def look(self) -> None:
        """Find what may come next."""
        mask = self._place.allowed()
        self._ways = {}
        for id in np.flatnonzero(mask).tolist():
            way = self._way_after(id, mask)
            if way is not None and len(way) < self.left:
                self._ways[id] = way
        accepts = self._place.accepts
        self._over = accepts and not self._ways and not (self._place.stops and mask.any())
        allowed = np.zeros(len(mask), bool)
        allowed[list(self._ways)] = True
        allowed[self._place.stops] = accepts
        self.table = Table.of_mask(allowed)

    def _way_after(self, id: int, mask: Array) -> Way | None:
        """A way to an end that follows an id, which is allowed."""
        if self._way[:1] == (id,):
            return self._way[1:]
        known = self._known.get(id)
        tried = (known, self._way, self._way[1:], *self._known.values())
        for way in dict.fromkeys(way for way in tried if way is not None):
            if self._place.leads_to_an_end((id, *way)):
                return way
        place = (id, mask.tobytes())
        if place in self._vain:
            return None
        after = self._place.copy()
        after.go_on(id)
        way = after.way(LATER_SEARCH)
        if way is None:
            self._vain.add(place)
        else:
            self._known[id] = way
        return way
