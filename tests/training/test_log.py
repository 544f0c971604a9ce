"""The log: a line per step, each with a digest, cut back to the checkpoint."""

from __future__ import annotations

import pytest
from messages import warned

from charloom.engines.base import Outcome
from charloom.errors import ModelFileError
from charloom.training.log import Log, read_log
from charloom.training.progress import Progress


def progress(step: int) -> Progress:
    return Progress(
        step=step,
        steps=9,
        epoch=step / 9,
        outcome=Outcome(nats=2.0, gradient_norm=1.0),
        characters=3,
        learning_rate=0.1,
        seconds=float(step),
    )


@pytest.fixture
def path(tmp_path):
    """A log of five steps."""
    path = tmp_path / "log.jsonl"
    log = Log(path)
    log.open(0)
    for step in range(1, 6):
        log.add(progress(step).to_json())
    log.flush(sync=True)
    log.close()
    return path


def test_a_log_tells_each_step(path):
    assert [(entry.step, entry.nats) for entry in read_log(path)] == [(s, 2.0) for s in range(1, 6)]


def test_a_last_line_that_is_still_being_written_is_left_out(path):
    path.write_bytes(path.read_bytes()[:-1])
    assert [entry.step for entry in read_log(path)] == [1, 2, 3, 4]


def test_a_log_is_cut_back_to_a_step_and_goes_on_from_there(path):
    path.write_bytes(path.read_bytes() + b"torn by a power cut")
    log = Log(path)
    log.open(3)
    log.add(progress(4).to_json())
    log.flush()
    assert [entry.step for entry in read_log(path)] == [1, 2, 3, 4]
    log.close()


def test_a_changed_byte_or_a_missing_line_is_noticed_where_it_counts(path):
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    third = len(lines[0]) + len(lines[1])
    for damaged in (
        data.replace(b'"nats": 2.0', b'"nats": 1.0', 1),
        lines[0] + b"".join(lines[2:]),
        lines[0] + lines[0] + b"".join(lines[1:]),
        data[:third] + b"\n" + data[third:],
        b"x" * 10**6 + data,
    ):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"log\.jsonl: .*put .* back"):
            Log(path).open(4)
        with pytest.raises(ModelFileError):
            list(read_log(path))
        assert path.read_bytes() == damaged
    path.write_bytes(data[:third] + b"\n" + data[third:])
    Log(path).open(2)  # what is wrong comes after what is kept


def test_a_log_that_ends_too_early_is_refused(path):
    with pytest.raises(ModelFileError, match="ends at step 5, and the checkpoint is of step 6"):
        Log(path).open(6)


def test_a_log_that_was_deleted_begins_anew(path):
    path.unlink()
    log = Log(path)
    with warned("begins anew after step 5"):
        log.open(5)
    for step in (6, 7):
        log.add(progress(step).to_json())
    log.flush()
    assert [entry.step for entry in read_log(path)] == [6, 7]
    again = Log(path)
    again.open(6)
    assert [entry.step for entry in read_log(path)] == [6]
    for one in (log, again):
        one.close()


def test_a_log_that_is_missing_cannot_be_read(tmp_path):
    with pytest.raises(ModelFileError, match="is missing"):
        read_log(tmp_path / "log.jsonl")
