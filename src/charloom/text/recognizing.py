"""What a file is that is no text in the encoding given, and what to do about it.

Compressed and office files are known by their first bytes; UTF-16 and UTF-32 by a byte order
mark, or by where their NUL bytes stand.
"""

from __future__ import annotations

MAGIC = {
    b"PK\x03\x04": "is a zip archive or an office document; take the text out of it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first, with: zstd -d",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it first, with: 7z x",
    b"Rar!\x1a\x07": "is a rar archive; unpack it first",
    b"\x1f\x8b": "is compressed with gzip; give its name the ending .gz, or unpack it first",
    b"BZh": "is compressed with bzip2; give its name the ending .bz2, or unpack it first",
    b"\xfd7zXZ\x00": "is compressed with xz; give its name the ending .xz, or unpack it first",
    b"%PDF-": "is a PDF document; take the text out of it first, with: pdftotext",
    b"\x89PNG": "is a picture; give a text",
}
"""Beginnings of files that are no texts."""

_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_SAMPLE = 4096


def kind_of(start: bytes) -> str | None:
    """What a file is that starts so, and what to do; None if it may be a text."""
    if start.startswith(b"BZh") and start[4:10] != b"1AY&SY":
        return None  # a text may well start with these letters
    return next((told for magic, told in MAGIC.items() if start.startswith(magic)), None)


def unicode_of(start: bytes) -> str | None:
    r"""The wide encoding that a file seems to be in, by its start; None if in none.

    >>> unicode_of("Το τέλος του δρόμου.\n".encode("utf-16-le"))
    'utf-16-le'
    >>> unicode_of(b"one NUL\0 in a log")
    """
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    sample = start[: min(len(start), _SAMPLE) // 4 * 4]
    if not sample:
        return None
    for encoding, unit in (("utf-32", 4), ("utf-16", 2)):
        zeros = [sample[i::unit].count(0) for i in range(unit)]
        for order, at in (("le", unit - 1), ("be", 0)):
            others = sum(zeros) - zeros[at]
            if unit == 4:  # the highest byte of a code point is always zero
                fits = zeros[at] == len(sample) // unit
            else:
                fits = others == 0 and zeros[at] >= max(2, len(sample) // 50)
            if fits and _reads(sample, f"{encoding}-{order}"):
                return f"{encoding}-{order}"
    return None


def _reads(sample: bytes, encoding: str) -> bool:
    """Whether the bytes are mostly printable characters in an encoding."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 4:  # else the sample has cut a character
            return False
        text = sample[: error.start].decode(encoding)
    shown = sum(c.isprintable() or c.isspace() or c == "\ufeff" for c in text)
    return bool(text) and shown >= 0.95 * len(text)
