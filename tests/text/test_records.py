"""The texts of a file: one of a text file, one in each row of JSON lines and Parquet."""

from __future__ import annotations

import gzip
import json

import pytest

from charloom.errors import TextError
from charloom.settings import TextSettings
from charloom.text.records import records

TEXTS = ["one\r\ntwo", "", "\ufeffthree é", "four"]


def read(path, column="text", **settings) -> list[tuple[int, str]]:
    found = records(path, TextSettings(**settings), column)
    return [(row, "".join(pieces)) for row, pieces in found]


def lines(texts, column="text") -> str:
    return "".join(json.dumps({"id": 1, column: text}) + "\n" for text in texts)


EXPECTED = list(enumerate(["one\ntwo", "", "three é", "four"]))


def test_a_text_file_is_one_text_normalized_as_every_text_is(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo")
    assert read(tmp_path / "a.txt") == [(0, "one\ntwo")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.JSONL.gz", "a.ndjson"])
def test_json_lines_have_a_text_in_each_row(tmp_path, name):
    path = tmp_path / name
    data = lines(TEXTS).replace("\n", "\n\n", 1).encode()
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert read(path) == EXPECTED


def test_parquet_has_a_text_in_each_row(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"n": range(1200), "story": TEXTS * 300})
    pq.write_table(table, tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", "story")
    assert [text for _, text in found] == [text for _, text in EXPECTED] * 300
    assert [row for row, _ in found] == list(range(1200))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"text": "a"}\n{"text": ', r"row 1 .* is no JSON"),
        ('{"text": "a"}\n[1]\n', "row 1 .* has no 'text'; name the `column`"),
        ('{"story": "a"}\n', "row 0 .* has no 'text'"),
        ('{"text": null}\n', "row 0 .* has None in the column"),
        ('{"text": "\\ud800"}\n', "row 0: character 0 .* half a surrogate"),
        ("[" * 100_000, "row 0 .* is no JSON"),
    ],
)
def test_a_row_without_a_text_is_named(tmp_path, content, complaint):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(TextError, match=complaint):
        read(tmp_path / "a.jsonl")


def test_what_is_no_parquet_and_a_column_that_is_missing_are_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(TextError, match="not readable as Parquet"):
        read(tmp_path / "bad.parquet")
    with pytest.raises(TextError, match="not readable as Parquet"):
        read(tmp_path / "missing.parquet")
    pq.write_table(pa.table({"story": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(TextError, match="no column 'text'; name one of story, n as `column`"):
        read(tmp_path / "a.parquet")
    with pytest.raises(TextError, match=r"row 0 .* has 1 in the column 'n'"):
        read(tmp_path / "a.parquet", "n")
