"""Standard streams that are closed, full, replaced or gone: results, messages and runs."""

from __future__ import annotations

from charloom.cli import streams


def test_messages_are_dropped_where_there_is_no_standard_error(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", None)
    streams.tell("a message")
    assert capsys.readouterr().out == ""
