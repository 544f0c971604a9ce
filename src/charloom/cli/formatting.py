"""Scores and facts as they are printed: in columns, as JSON, as JSON lines; names for a shell."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Literal

import charloom

from ..errors import counted

_SHORT = 20
"""Values of a list that are shown; a longer one is told by its length."""


def total(score: charloom.Score) -> dict[str, Any]:
    """A score with all that is computed from it."""
    return {
        "bits_per_character": score.bits_per_character,
        "nats_per_character": score.nats_per_character,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity,
        **asdict(score),
    }


def as_json(value: Any, indent: int | None = 1) -> str:
    r"""A value, or a dataclass, as JSON that is safe on a terminal and readable elsewhere.

    >>> as_json({"text": "caf\u00e9 \x9b"}, indent=None)
    '{"text": "café \\u009b"}'
    >>> as_json({"p": 3 / 4001, "bits": 20 / 3}, indent=None)
    '{"p": 0.00075, "bits": 6.666666666666667}'
    """
    facts = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    text = json.dumps(_rounded(facts), indent=indent, ensure_ascii=False)
    return re.sub(
        "[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", lambda m: f"\\u{ord(m[0]):04x}", text
    )


_ESTIMATED = {"p": 2, "p_alone": 2, "p_control": 2, "interval": 3}
"""Significant digits in JSON of estimates from a sample; other numbers have all of theirs."""


def _rounded(value: Any, digits: int = 0) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one, _ESTIMATED.get(key, digits)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one, digits) for one in value]
    return significant(value, digits) if digits and isinstance(value, float) else value


def significant(value: float, digits: int) -> float:
    """A number with so many significant digits.

    >>> significant(0.0007498125, 2)
    0.00075
    """
    return float(f"{value:.{digits}g}")


def columns(values: dict[str, Any]) -> str:
    """Names and values below each other; the branches of a tree are joined by dots.

    >>> print(columns({"hidden_size": 1024, "text": {"unknown": True, "steps": None}}))
    hidden_size   1,024
    text.unknown  yes
    text.steps    -
    """
    flat = dict(_leaves(values))
    width = max(map(len, flat))
    return "\n".join(f"{name:{width}}  {_shown(value)}" for name, value in flat.items())


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.6g}"
        case list() | tuple() if len(value) > _SHORT:
            return counted(len(value), "value")
    return charloom.visible(str(value))


def quoted(path: Path) -> str:
    r"""A path for a command in a message: printable, and a POSIX shell reads it as it is.

    >>> quoted(Path("my run")), quoted(Path("-x")), quoted(Path("a\tb"))
    ("'my run'", './-x', '"$(printf \'a\\011b\')"')
    """
    name = f"./{path}" if str(path).startswith("-") else str(path)
    if name.isprintable():
        return shlex.quote(name)
    name += "/" * name.endswith("\n")  # which $(...) would drop
    plain = b"/.-_" + string.ascii_letters.encode() + string.digits.encode()
    octal = (chr(b) if b in plain else f"\\{b:03o}" for b in os.fsencode(name))
    return f"\"$(printf '{''.join(octal)}')\""


def compared(found: charloom.Comparison) -> str:
    """A comparison as lines: the numbers, then the words where either model is better."""
    low, high = found.interval or (math.nan, math.nan)
    spread = f"{low:+.4f} to {high:+.4f}" if found.interval else "unknown: the text is too short"
    facts = {
        "A bits per character": found.a.bits_per_character,
        "B bits per character": found.b.bits_per_character,
        "B less A": f"{found.difference:+.4f}",
        "95 % interval": spread,
        "characters": found.a.characters,
        "in a block": found.block_characters,
        "A computed with": ", ".join(found.a_computed_with.values()),
        "B computed with": ", ".join(found.b_computed_with.values()),
    }
    lines = [columns(facts)]
    for name, places in (("A", found.a_better), ("B", found.b_better)):
        if places:
            lines.append(f"\nwhere {name} is better\n        at    A bits    B bits  text")
        lines += [
            f"{place.start:10,} {place.bits_a:9.3f} {place.bits_b:9.3f}  "
            f"{charloom.visible(place.text)}"
            for place in places
        ]
    return "\n".join(lines)


def written(
    parts: Iterable[charloom.Part],
    form: Literal["table", "json", "jsonl"],
    computed_with: dict[str, str],
) -> Iterator[str]:
    """The parts of a text and their total, in pieces to be printed one after the other.

    `computed_with`, the precision and the kernels, stands beside the total.
    """
    start, write, between, end = _FORMS[form]
    whole = charloom.Score()
    yield start
    for number, part in enumerate(parts):
        whole += part.score
        yield (between if number else "") + write(part)
    yield end(total(whole) | computed_with) + "\n"


def _row(part: charloom.Part) -> str:
    rank = "" if part.rank is None else f"{part.rank:6}"
    unknown = f"  ({part.unknown_characters} unknown)" if part.unknown_characters else ""
    return f"{part.bits:10.3f}{rank}  {charloom.visible(part.text)}{unknown}"


def _part(part: charloom.Part) -> str:
    return _in_one_line({**asdict(part), "bits": part.bits})


def _in_one_line(value: Any) -> str:
    return as_json(value, indent=None)


_FORMS: dict[
    str, tuple[str, Callable[[charloom.Part], str], str, Callable[[dict[str, Any]], str]]
] = {  # what stands first, for each part, between them, and last
    "table": (
        "      bits  text\n",
        _row,
        "\n",
        lambda whole: "\n\n" + columns(whole),
    ),
    "json": (
        '{"parts": [\n',
        _part,
        ",\n",
        lambda whole: f'\n], "total": {_in_one_line(whole)}}}',
    ),
    "jsonl": (
        "",
        _part,
        "\n",
        lambda whole: "\n" + _in_one_line({"total": whole}),
    ),
}
