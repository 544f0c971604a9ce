"""JSON in files: any damage is noticed, and no text takes much to read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.model.storage.sealed import DEEPEST, MOST_VALUES, parse_json, sealed, unsealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(VALUES)
def test_json_within_the_limits_is_read_as_python_reads_it(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        if "\ud800" <= max(text, default="") <= "\udfff":
            continue
        assert parse_json(text.encode("utf-8", "surrogatepass")) == json.loads(text)


@settings(deadline=None)
@given(st.dictionaries(st.text().filter(lambda name: name != "digest"), VALUES, max_size=4))
def test_content_comes_back_from_its_seal(content):
    assert unsealed(sealed(content)) == content
    assert unsealed(sealed(content, indent=1)) == content


def test_any_changed_or_missing_byte_is_noticed():
    data = sealed({"step": 12, "name": 'a "quoted" \\ text'})
    for at in range(len(data)):
        for damaged in (
            data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
            data[:at],
            data[:at] + data[at + 1 :],
        ):
            with pytest.raises(ValueError, match=r"."):
                unsealed(damaged)


def test_brackets_and_quotes_inside_of_strings_do_not_count():
    value = {"text": '[{"\\' * MOST_VALUES}
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b"[" * (DEEPEST + 1),
        b"[" * MOST_VALUES,
        b'{"a":' * MOST_VALUES,
        b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
        b'["a", ' + b'{"b": ' * DEEPEST + b"[1]" + b"}" * DEEPEST + b"]",
    ],
)
def test_deep_nesting_is_refused(text):
    with pytest.raises(ValueError, match="nested more than 32 deep"):
        parse_json(text)


@pytest.mark.parametrize("item", [b"1,", b"[],", b'"",', b"{},"])
def test_too_many_values_are_refused(item):
    with pytest.raises(ValueError, match=r"more than 100,000 values"):
        parse_json(b"[" + item * (MOST_VALUES + 1) + b"1]")


def test_as_deep_as_the_limit_is_read():
    assert parse_json(b"[" * DEEPEST + b"]" * DEEPEST)
