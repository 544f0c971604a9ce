"""Workers answer every item once, keep nothing waiting, and are replaced when they die."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from charloom.errors import ModelFileError, OutputError
from charloom.text.workers import ATTEMPTS, Lost, work_on


def squares():
    return lambda number: (number * number, os.getpid())


def fragile(folder: Path, deaths: int):
    """Answers, but item 5 kills its process so many times."""

    def answer(number: int) -> int:
        if number == 5:
            died = len(list(folder.iterdir()))
            if died < deaths:
                (folder / str(died)).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return -number

    return answer


def cannot():
    raise ModelFileError("no such model")


def test_every_item_is_answered_once_by_as_many_processes_as_asked_for():
    taken, found = [], {}
    source = (taken.append(n) or n for n in range(60))
    for item, answer in work_on(source, squares, 3):
        found[item] = answer
        assert len(taken) <= len(found) + 4  # no more are taken than are worked on, and one
    assert {item: square for item, (square, _) in found.items()} == {n: n * n for n in range(60)}
    assert len({pid for _, pid in found.values()}) <= 3
    assert os.getpid() not in {pid for _, pid in found.values()}


def test_no_items_need_no_process():
    assert list(work_on([], cannot, 4)) == []


def test_a_worker_that_is_killed_is_replaced_and_its_item_is_done(tmp_path):
    found = dict(work_on(range(20), partial(fragile, tmp_path, ATTEMPTS - 1), 2))
    assert found == {n: -n for n in range(20)}
    assert len(list(tmp_path.iterdir())) == ATTEMPTS - 1


def test_an_item_that_kills_every_worker_is_given_up_and_the_others_are_done(tmp_path):
    found = dict(work_on(range(20), partial(fragile, tmp_path, 99), 2))
    assert found.pop(5) == Lost(-signal.SIGKILL)
    assert found == {n: -n for n in range(20) if n != 5}
    assert len(list(tmp_path.iterdir())) == ATTEMPTS
    assert "3 processes ended by signal 9" in str(Lost(-9))


def refusing():
    def answer(number: int) -> int:
        raise OutputError("the disk is full")

    return answer


def test_an_error_on_purpose_in_a_worker_is_raised_to_the_caller(capfd):
    with pytest.raises(ModelFileError, match="no such model"):
        list(work_on([1], cannot, 1))
    with pytest.raises(OutputError, match="the disk is full"):
        list(work_on([1], refusing, 1))
    assert capfd.readouterr().err == ""
