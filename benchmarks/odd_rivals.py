"""Two plain rivals of `Model.odd`, calibrated with the same held-out lines.

Ngrams     a character n-gram model, interpolated by Witten and Bell's rule (1991); its surprisal
           is calibrated by length, as a model's is
Isolation  scikit-learn's isolation forest on the counts of characters and of pairs of them, and
           the length; its score is ranked as it is
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from charloom.model.oddity.calibration import calibrated, strangeness_of


class Ngrams:
    """P(c | context) = (n(context c) + T(context) P(c | shorter)) / (n(context) + T(context)).

    n counts, and T is how many different characters follow a context. Shorter than none is 1 / V.
    """

    def __init__(self, lines: list[str], order: int) -> None:
        self.order = order
        self._counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for line in lines:
            text = self._framed(line)
            for at in range(order - 1, len(text)):
                for n in range(order):
                    self._counts[text[at - n : at]][text[at]] += 1
        self._totals = {context: sum(c.values()) for context, c in self._counts.items()}
        self._even = 1 / (len({c for line in lines for c in line}) + 2)

    def _framed(self, line: str) -> str:
        return "\n" * (self.order - 1) + line + "\n"

    def nats(self, line: str) -> list[float]:
        """The surprisal of each character of a line, its end included."""
        text, found = self._framed(line), []
        for at in range(self.order - 1, len(text)):
            p = self._even
            for n in range(self.order):
                followers = self._counts.get(text[at - n : at])
                if followers is None:
                    break
                kinds, seen = len(followers), self._totals[text[at - n : at]]
                p = (followers.get(text[at], 0) + kinds * p) / (seen + kinds)
            found.append(-math.log(p))
        return found

    def strangeness(self, lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Lengths, and how strange lines are, as a model has it."""
        nats = [np.array(self.nats(line)) for line in lines]
        lengths = np.array([len(some) for some in nats])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        return lengths, strangeness_of(np.concatenate(nats), starts)

    def p_values(self, held_out: list[str], lines: list[str]) -> np.ndarray:
        """Of lines, by those held out."""
        return calibrated(*self.strangeness(held_out)).p_values(*self.strangeness(lines))


class Isolation:
    """An isolation forest on counts."""

    def __init__(self, lines: list[str], pairs: int = 500) -> None:
        from sklearn.ensemble import IsolationForest
        from sklearn.feature_extraction.text import CountVectorizer

        self._counter = CountVectorizer(
            analyzer="char", ngram_range=(1, 2), lowercase=False, max_features=pairs
        )
        self._counter.fit(lines)
        self._forest = IsolationForest(n_estimators=200, random_state=0)
        self._forest.fit(self._features(lines))

    def _features(self, lines: list[str]) -> np.ndarray:
        counts = self._counter.transform(lines).toarray().astype(np.float32)
        return np.hstack([counts, np.array([[len(line)] for line in lines], np.float32)])

    def p_values(self, held_out: list[str], lines: list[str]) -> np.ndarray:
        """Of lines, by those held out."""
        ranked = np.sort(-self._forest.score_samples(self._features(held_out)))
        scores = -self._forest.score_samples(self._features(lines))
        as_high = len(ranked) - np.searchsorted(ranked, scores, side="left")
        return (1 + as_high) / (1 + len(ranked))
