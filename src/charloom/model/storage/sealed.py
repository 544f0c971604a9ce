r"""JSON in files: limited in size and depth when it is read, and sealed with a digest.

    {"digest": "5f0c...", "step": 1, ...}

The digest is the SHA-256 of the text with the digest's own 64 characters as zeros, so it
covers every byte. It finds damage, not malice, and so what is read is limited before it is
parsed, and checked against a schema by whoever reads it.
"""

from __future__ import annotations

import hashlib
import json
from itertools import accumulate
from typing import Any

MOST_VALUES = 100_000
"""Of one JSON text. The largest of ours, the header of a checkpoint, has a few thousand."""

DEEPEST = 32
"""How far arrays and objects of one JSON text may be nested."""

BLANK = "0" * 64
"""What stands for the digest while it is computed."""


def parse_json(data: bytes) -> Any:
    """The value of a JSON text; ValueError if it is not one, too large or too deep.

    What it takes to read is limited by the length of the text, MOST_VALUES and DEEPEST.

    >>> parse_json(b'{"step": 1}')
    {'step': 1}
    >>> parse_json(b"[" * 100_000)
    Traceback (most recent call last):
        ...
    ValueError: its JSON is nested more than 32 deep
    """
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")  # now every quote begins or ends a str
    if plain.count(b'"') > 4 * MOST_VALUES:
        raise ValueError(f"its JSON has more than {MOST_VALUES:,} values")
    outside = b"".join(plain.split(b'"')[::2])
    if sum(map(outside.count, (b"[", b"{", b","))) > MOST_VALUES:
        raise ValueError(f"its JSON has more than {MOST_VALUES:,} values")
    if outside.count(b"[") + outside.count(b"{") > DEEPEST and _depth(outside) > DEEPEST:
        raise ValueError(f"its JSON is nested more than {DEEPEST} deep")
    return json.loads(data)


def _depth(outside: bytes) -> int:
    """How deep brackets are nested in a text without strings."""
    steps = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
    return max(accumulate(steps.get(character, 0) for character in outside))


def sealed(content: dict[str, Any], *, indent: int | None = None) -> bytes:
    """The JSON of some content, with a digest of it as its first key.

    >>> unsealed(sealed({"step": 1}))
    {'step': 1}
    """
    data = json.dumps({"digest": BLANK, **content}, indent=indent).encode()
    digest = hashlib.sha256(data).hexdigest()
    return data.replace(BLANK.encode(), digest.encode(), 1)


def unsealed(data: bytes) -> dict[str, Any]:
    """The content of what `sealed` made; ValueError for any other bytes."""
    content = parse_json(data)
    digest = content.pop("digest", None) if isinstance(content, dict) else None
    if not isinstance(digest, str) or len(digest) != len(BLANK):
        raise ValueError("it has no digest")
    blank = data.replace(digest.encode(errors="replace"), BLANK.encode(), 1)
    if hashlib.sha256(blank).hexdigest() != digest:
        raise ValueError("its bytes are not those that were written")
    return content
