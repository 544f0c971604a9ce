r"""How a text under a pattern ends: after a match, where nothing can follow, or at a stop string.

A stop string may stand only where the text before it matches as a whole, and it ends the text;
the line feed is one for a model of lines. So the automaton is run beside what is needed to know
that: how much of a stop string stands at the end, and where in it the text so far matched.

    state   (state of the pattern, "fo" of the stop string "foo", {0, 2}: it matches here, and
            it matched two characters ago)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from .automaton import Automaton

_At = tuple[int | None, str, frozenset[int]]
"""A state of `with_stops`, as above; None where the pattern cannot go on."""


def pruned(automaton: Automaton, known: Collection[int]) -> Automaton | None:
    """Without characters of other classes, and ways that lead to no end; None if nothing is left.

    >>> from .automaton import automaton_of
    >>> automaton = automaton_of("ab|cd")
    >>> without_d = pruned(automaton, {automaton.class_of(c) for c in "abc"})
    >>> len(automaton.following[0]), len(without_d.following[0])
    (2, 1)
    """
    before: list[set[int]] = [set() for _ in automaton.following]
    for state, row in enumerate(automaton.following):
        for key, after in row.items():
            if key in known:
                before[after].add(state)
    ends = [state for state, accepts in enumerate(automaton.accepting) if accepts]
    live = set(ends)
    while ends:
        new = before[ends.pop()] - live
        live |= new
        ends += new
    if 0 not in live:
        return None
    following = [
        {key: after for key, after in row.items() if key in known and after in live}
        for row in automaton.following
    ]
    return replace(automaton, following=following)


def with_stops(automaton: Automaton, stops: Sequence[str]) -> Automaton:
    """The texts of an automaton as they are drawn: some end in a stop string, none has another.

    A text that nothing can follow ends there, without one.
    """
    first_mark = 1 + max([automaton.other, *automaton.classes.values()])
    marks = {c: first_mark + n for n, c in enumerate(sorted(set("".join(stops))))}
    prefixes = {stop[:n] for stop in stops for n in range(len(stop))}
    start: _At = (0, "", frozenset({0} if automaton.accepting[0] else ()))
    end: _At = (None, "", frozenset({0}))
    numbers = {start: 0, end: 1}
    waiting: list[_At] = [start]
    following: dict[int, dict[int, int]] = {1: {}}
    while waiting:
        state = waiting.pop()
        number, (at, held, matched) = numbers[state], state
        row = following[number] = {}
        goes_on = automaton.following[at] if at is not None else {}
        if 0 in matched and not goes_on:
            continue
        found: list[tuple[int, _At]] = [
            (key, (after, "", frozenset({0} if automaton.accepting[after] else ())))
            for key, after in goes_on.items()
        ]
        for character, key in marks.items():
            longer = held + character
            after = goes_on.get(automaton.class_of(character))
            ended = [len(stop) for stop in stops if longer.endswith(stop)]
            if ended:
                if max(ended) - 1 in matched:
                    found.append((key, end))
                continue
            held_after = next(longer[n:] for n in range(len(longer) + 1) if longer[n:] in prefixes)
            still = {n + 1 for n in matched if n < len(held_after)}
            if after is not None and automaton.accepting[after]:
                still.add(0)
            if after is not None or still:
                found.append((key, (after, held_after, frozenset(still))))
        for key, then in found:
            if then not in numbers:
                numbers[then] = len(numbers)
                waiting.append(then)
            row[key] = numbers[then]
    return Automaton(
        following=[following[number] for number in range(len(numbers))],
        accepting=[0 in matched for _, _, matched in numbers],
        classes={**automaton.classes, **marks},
        other=automaton.other,
    )
