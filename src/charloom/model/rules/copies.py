"""Texts without a copied span of some length: what would complete one may not come next.

After n - 1 characters that stand together in the indexed text, those that follow them there are
left out; the others keep their proportions. So no n characters of what is written stand in that
text. It is looked up before every character. Where every character would complete a copied span,
which happens for very small n, the text ends.
"""

from __future__ import annotations

import codecs
from collections.abc import Hashable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from ...engines.restriction import Table
from ...engines.weights import Array
from ...settings import check_kind, check_within
from ...text.copies import CopyIndex
from ...text.vocabulary import Vocabulary
from ..predictor import Predictor
from .rule import BoundRule, Follower, Rule

_MOST_TABLES = 100_000


@dataclass(frozen=True)
class NoCopies(Rule):
    r"""Texts in which no `n` characters in a row are copied from an indexed text.

    `after` is what stands before them, such as the prompt, so that no span begins there either.
    In a Both it goes together with another rule, such as a Pattern.

    >>> from charloom import CopyIndex, Model, ModelSettings, Vocabulary
    >>> book = "the cat and the dog and the hen. "
    >>> model = Model.untrained(ModelSettings(hidden_size=8), Vocabulary.of(book))
    >>> rule = NoCopies(CopyIndex.of([book]), 3)
    >>> text = "".join(model.generate(length=50, seed=1, rule=rule))
    >>> len(text), any(text[i : i + 3] in book for i in range(48))
    (50, False)
    """

    index: CopyIndex
    n: int
    after: str = ""

    def __post_init__(self) -> None:
        check_kind("index", self.index, CopyIndex, "CopyIndex.of(...)")
        check_within("no_copies", self.n, 2, 2**31 - 1)

    def bound(self, predictor: Predictor, stops: Sequence[str]) -> BoundRule:
        """The rule for one model; a single character that ends a text may always come."""
        after = self.after.rpartition("\n")[2] if predictor.lines else self.after
        return _Bound(self.index, self.n, after, predictor.vocabulary, stops)


class _Bound(BoundRule):
    def __init__(
        self, index: CopyIndex, n: int, after: str, vocabulary: Vocabulary, stops: Sequence[str]
    ) -> None:
        self.index, self.n, self.after = index, n, after[1 - n :]
        self.vocabulary = vocabulary
        self.ends = [vocabulary.mapping[stop] for stop in stops if stop in vocabulary.mapping]
        self._tables: dict[tuple[str, bytes], Table] = {}
        self.possible = np.ones(vocabulary.size, bool)
        if vocabulary.unknown_id is not None:
            self.possible[vocabulary.unknown_id] = False

    def begin(self, length: int) -> Follower:
        """A text that nothing is written of."""
        return _Follower(self, length)

    def table(self, last: str, begun: bytes) -> Table:
        """What may follow these characters; of bytes, with one that is begun. Made once."""
        if len(last) < self.n - 1:
            last, begun = "", b""  # all of these are alike
        if (last, begun) not in self._tables:
            if len(self._tables) > _MOST_TABLES:
                self._tables.clear()
            self._tables[last, begun] = Table.of_mask(self._allowed(last, begun))
        return self._tables[last, begun]

    def _allowed(self, last: str, begun: bytes) -> Array:
        """(V,) bool The same."""
        mask = self.possible.copy()
        if not last:
            return mask
        for character in self.index.following(last):
            if self.vocabulary.kind == "characters":
                id = self.vocabulary.mapping.get(character)
            else:
                utf8 = character.encode()
                id = utf8[-1] if utf8[:-1] == begun else None
            if id is not None and id not in self.ends:
                mask[id] = False
        return mask


class _Follower(Follower):
    steps = 1

    def __init__(self, rule: _Bound, length: int) -> None:
        self.state, self.left = 0, length
        self._rule, self._last, self._begun = rule, rule.after, b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def table(self) -> Table:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What may come next; looked up when it is asked for, since a Both often does not."""
        return self._rule.table(self._last, self._begun)

    def take(self, ids: Array, states: Array) -> int:
        """Go on by one id, or by none where the text has ended."""
        if self.ended or not len(ids):
            return 0
        if self._rule.vocabulary.kind == "characters":
            new = self._rule.vocabulary.decode(ids[:1])
        else:
            new = self._decoder.decode(bytes([int(ids[0])]))
            self._begun = self._decoder.getstate()[0]
        self._last = (self._last + new)[1 - self._rule.n :]
        self.left -= 1
        return 1

    @property
    def complete(self) -> bool:
        return not self.table.classes.any()

    def copy(self) -> _Follower:
        other = copy(self)
        if self._rule.vocabulary.kind == "bytes":
            other._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            other._decoder.setstate(self._decoder.getstate())
        return other

    @property
    def key(self) -> Hashable:
        return self._last, self._begun
