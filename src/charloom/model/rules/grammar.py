"""Texts of a grammar, or that fit a JSON schema; llguidance says what may come next.

Such a rule has no table of all its states, so it is asked before every character. llguidance looks
no further than that character. So that no text comes to a place where it cannot go on, or runs
out of its length, a character is allowed only with a way from it to an end, in the characters of
the model, within what is left. The ways are found by a short search, and are kept: most
characters leave the way that was there. Only the character that was drawn is looked at, where
that is enough.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...engines.restriction import Table
from ...engines.weights import Array
from ...errors import SettingsError, short_repr, shown
from ...settings import check_kind
from ...text.vocabulary import Vocabulary
from ..predictor import Predictor
from .rule import BoundRule, Follower, Rule, Searching

FIRST_SEARCH, LATER_SEARCH = 3000, 200
"""Places that are looked at to find a way to an end: from the first character, from another."""

_WALKS = 16
"""Texts that ways are learnt from, before any is written."""
_LONGEST = 2**30
_MOST_TABLES = 10_000

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

    __repr__ = short_repr

    grammar: str

    def __post_init__(self) -> None:
        check_kind("grammar", self.grammar, str, "a str")

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

    __repr__ = short_repr

    schema: str | dict[str, Any] | bool

    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """The schema over the ids of one model."""
        try:
            schema = self.schema if isinstance(self.schema, str) else json.dumps(self.schema)
            json.loads(schema)
        except (TypeError, ValueError, RecursionError) as error:
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
        import llguidance  # pyright: ignore[reportMissingImports]  # noqa: F401
    except ModuleNotFoundError:
        raise SettingsError(
            f"{name}: llguidance is needed, which is not installed; pip install 'charloom[rules]'"
        ) from None
    return _bound_once(name, grammar, predictor.vocabulary, tuple(stops))


@lru_cache(maxsize=8)
def _bound_once(
    name: str, grammar: str, vocabulary: Vocabulary, stops: tuple[str, ...]
) -> _BoundGrammar:
    from llguidance import LLMatcher  # pyright: ignore[reportMissingImports]

    source = LLMatcher.grammar_from_lark(grammar + _NO_FORCING)
    matcher = LLMatcher(_tokenizer(vocabulary), source, log_level=0)
    if matcher.is_error():
        raise SettingsError(f"{name}: {shown(matcher.get_error())}")
    if any(len(stop) > 1 for stop in stops):
        raise SettingsError(f"stop: under a {name} it must be one character, such as a line feed")
    ids = frozenset(vocabulary.mapping[stop] for stop in stops if stop in vocabulary.mapping)
    place = _Place(matcher, _kinds(vocabulary), ids)
    ways = (
        place.way(FIRST_SEARCH, FIRST_SEARCH, no_repeats=no_repeats) for no_repeats in (False, True)
    )
    way = next((way for way in ways if way is not None), None)
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

    def __init__(self, matcher: Any, kinds: list[str], stops: frozenset[int]) -> None:
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

    def bits(self) -> bytes:
        """What may come next, as llguidance sees it, stop strings too; a bit for each id."""
        return b"" if self._matcher.is_stopped() else self._matcher.compute_bitmask()

    def mask_of(self, bits: bytes) -> Array:
        """(V,) bool The same; no stop string."""
        if not bits:
            return np.zeros(self._size, bool)
        packed = np.frombuffer(bits, np.uint8)
        mask = np.unpackbits(packed, count=self._size, bitorder="little").astype(bool)
        mask[list(self.stops)] = False
        return mask

    def _count(self, bits: bytes) -> int:
        """How many ids may come next."""
        return (int.from_bytes(bits, "little") & ((1 << self._size) - 1)).bit_count()

    def leads_to_an_end(self, way: Sequence[int]) -> bool:
        """Whether these ids may follow, and be the rest of the text."""
        if self.stops and not self.stops.isdisjoint(way):
            return False
        return self._matcher.validate_tokens([*way, self._size]) == len(way) + 1

    def way(
        self, most: int, longest: int, known: Sequence[Way] = (), *, no_repeats: bool = False
    ) -> Way | None:
        """A short way to an end, if there is one among so many places that are looked at.

        It has at most `longest` ids, and may go over into a known way. Places where few characters
        may come are looked at first, since they are forced; those where the same may come as
        before, such as inside a string, have not come nearer: just before or, with `no_repeats`,
        ever before, as in an array that could go on for ever.
        """
        here = self.copy()
        waiting: list[tuple[float, int, int, Way, _Place, frozenset[bytes], bytes]]
        waiting = [(0.0, 0, 0, (), here, frozenset(), here.bits())]
        seen: set[tuple[int, str, bytes]] = set()
        looked = 0
        while waiting and looked < most:
            _, _, again, way, place, before, bits = heapq.heappop(waiting)
            if place.accepts:
                return way
            if not self._count(bits):  # of a dead end llguidance says that it may be the end
                continue
            for rest in known:
                if len(way) + len(rest) <= longest and place.leads_to_an_end(rest):
                    return way + rest
            if len(way) >= longest:
                continue
            before |= {bits}
            for id in np.flatnonzero(self.mask_of(bits)).tolist():
                there = place.copy()
                there.go_on(id)
                after = there.bits()
                key = (len(way), self._kinds[id], after)
                if key in seen:
                    continue  # a letter that is as good as another one
                seen.add(key)
                looked += 1
                if there.accepts:
                    return (*way, id)
                now = again + (after in before if no_repeats else after == bits)
                cost = math.log2(1 + self._count(after)) + 3 * now - 0.15 * len(way)
                heapq.heappush(waiting, (cost, looked, now, (*way, id), there, before, after))
        return None


class _BoundGrammar(BoundRule):
    def __init__(self, place: _Place, way: Way) -> None:
        self._place, self._way = place, way
        self.ends = [way[n:] for n in range(len(way))]  # likely ways from other places, too
        self.known: dict[int, list[Way]] = {}  # likely ways after an id
        self._first: _GrammarFollower | None = None
        self._tables: dict[tuple[bytes, bool, frozenset[int]], tuple[Table, bool]] = {}
        self._explore()

    def _explore(self) -> None:
        """Learn ways, which every text then need not search for: along some texts of the rule."""
        waiting = deque([_GrammarFollower(self, self._place, self._way, _LONGEST)])
        waiting[0].look()
        for _ in range(_WALKS):
            place: Follower | None = waiting.popleft() if waiting else None
            while isinstance(place, _GrammarFollower):
                place.settle()
                for id, way in place.found.items():
                    if way not in self.known.setdefault(id, []):
                        self.known[id].append(way)
                        after = place.after(id)
                        assert isinstance(after, _GrammarFollower)
                        waiting.append(after)
                place = place.after(place.way[0]) if place.way else None

    def begin(self, length: int) -> Follower:
        """A text at the first place."""
        if length < len(self._way):
            raise SettingsError(
                f"length: {length} was given; the shortest text that was found for the rule has "
                f"{len(self._way)}"
            )
        if self._first is None or self._first.left != length:
            self._first = _GrammarFollower(self, self._place, self._way, length)
            self._first.look()
            self._first.settle()
        return self._first.copy()

    def table(self, bits: bytes, accepts: bool, vain: frozenset[int]) -> tuple[Table, bool]:
        """Of what may come next, but for ids that lead to no end, and whether nothing may."""
        key = bits, accepts, vain
        if key not in self._tables:
            if len(self._tables) > _MOST_TABLES:
                self._tables.clear()
            mask = self._place.mask_of(bits)
            over = accepts and not mask.any()
            mask[list(vain)] = False
            mask[list(self._place.stops)] = accepts
            self._tables[key] = Table.of_mask(mask), over
        return self._tables[key]


class _GrammarFollower(Searching[Way]):
    """Where a text is, and what it knows of ways to an end.

    What is known depends on the rule and this text alone, and changes only as the text goes on. So
    it is the same whatever is drawn beside it, and an id is judged alike whichever others were
    tried before.

    Attributes:
        way: one from here.
        found: those that were searched for here, after an id.

    """

    def __init__(self, rule: _BoundGrammar, place: _Place, way: Way, left: int) -> None:
        super().__init__(left)
        self._rule, self._place, self.way = rule, place.copy(), way
        self._known: dict[int, Way] = {}  # the way that was last found after an id
        self.found: dict[int, Way] = {}
        self._vain: dict[tuple[bytes, Way], frozenset[int]] = {}
        self._over = self._longer = False

    def copy(self) -> _GrammarFollower:
        """Another one at the same place."""
        other = copy(self)
        other._place = self._place.copy()
        other._tried, other._known = dict(self._tried), dict(self._known)
        other.found, other._vain = dict(self.found), dict(self._vain)
        return other

    def take(self, ids: Array, states: Array) -> int:
        """Go on by one id, or by none where the text has ended."""
        if self.ended or not len(ids):
            return 0
        id = int(ids[0])
        way = self._found(id)
        assert way is not None, "an id that leads to no end"
        self.left -= 1
        if id in self._place.stops:
            self._over = True
        else:
            self._learn()
            self.way = way
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
        return 0 if self.accepts else len(self.way)

    def look(self) -> None:
        """See what may come next."""
        self._longer = False  # whether an id leads to an end that is too far
        bits, accepts = self._place.bits(), self._place.accepts
        vain = self._vain.get((bits, self.way), frozenset())
        self._here = bits
        table, self._over = self._rule.table(bits, accepts, vain)
        self._moved(table)

    def settle(self) -> None:
        """Leave nothing in the table but what leads to an end."""
        super().settle()
        if self.accepts and not self.table.classes.any():
            if self._longer:
                self.left = 0  # it could go on, and not end elsewhere in what is left
            else:
                self._over = True

    def _learn(self) -> None:
        """Keep what was found here; what led to no end where all looks like here, is left out.

        The fewer ids are left, the fewer lead to an end.
        """
        if len(self._tried) == 1 and not self.found:
            return  # the usual case: only what was drawn
        self._known |= self.found
        self.found = {}
        vain = frozenset(id for id, way in self._tried.items() if way is None)
        if vain:
            place = self._here, self.way
            self._vain[place] = self._vain.get(place, frozenset()) | vain

    def _search(self, id: int) -> Way | None:
        """A way to an end that follows an id, which is allowed, within what is left."""
        if id in self._place.stops:
            return ()
        here, left, leads = self.way, self.left, self._place.leads_to_an_end
        if here[:1] == (id,):
            return here[1:]
        if len(here) < left and leads((id, *here)):  # as inside a string
            return here
        near = [here, here[1:], (), *([self._known[id]] if id in self._known else ())]
        likely = (*self._rule.known.get(id, ()), *self._rule.ends)
        others = dict.fromkeys((*near[1:], *likely, *self._known.values()))
        for way in others:
            if len(way) < left and leads((id, *way)):
                return way
        if left == 1 or any(len(way) >= left and leads((id, *way)) for way in (here, *others)):
            self._longer = True
            return None  # to look for a shorter one takes long
        after = self._place.copy()
        after.go_on(id)
        way = after.way(LATER_SEARCH, left - 1, near, no_repeats=True)
        if way is not None:
            self.found[id] = way
        return way
