"""Odd lines: against the surprisal of `score`, planted ones, and the promise of few alarms."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import charloom
from charloom.errors import SettingsError, TextError
from charloom.model.model import Model
from charloom.model.oddity.calibration import calibrated
from charloom.model.oddity.parts import ORDINARY, OddPart, OddParts
from charloom.settings import ModelSettings, TextSettings, TrainingSettings
from charloom.text.corpus import build_corpus
from charloom.text.splitting import split
from charloom.text.unknown import no_warning_of_unknown
from charloom.text.vocabulary import Vocabulary

WHO = ("anna", "bo", "carla", "dmitri")


def log(seed: int, count: int) -> str:
    random = Random(seed)
    return "".join(
        f"{random.randrange(24):02}:{random.randrange(60):02} login of {random.choice(WHO)} "
        f"from 10.0.{random.randrange(256)}.{random.randrange(256)}\n"
        for _ in range(count)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    folder = tmp_path_factory.mktemp("runs") / "log.run"
    run = charloom.train(
        charloom.InMemory(log(0, 3000)),
        output=folder,
        model=ModelSettings(hidden_size=32, num_layers=1),
        training=TrainingSettings(steps=120, learning_rate=0.03),
        text=TextSettings(validation_fraction=0.3),
        start_from=None,
    )
    assert run.finish().lines
    return Model.load(folder)


def test_the_lines_held_out_in_training_are_the_calibration(model):
    stored = model.provenance.calibration
    assert stored is not None
    corpus = build_corpus(charloom.InMemory(log(0, 3000)), model.text_settings)
    held_out = split(corpus, model.text_settings, lines=True).validation
    again = model.calibrated(corpus.vocabulary.decode(held_out.ids))
    assert again == stored
    assert 350 < stored.parts < 550


def test_new_lines_are_taken_for_odd_as_often_as_the_threshold_says(model):
    """Given the calibration the count is beta-binomial; its middle 99.99 %."""
    random, count = np.random.default_rng(0), 2000
    n = model.provenance.calibration.parts
    for threshold in (0.01, 0.05, 0.2):
        found = model.odd(log(1, count), threshold=threshold)
        alarms = len(list(found))
        assert found.read == count
        k = int(threshold * (n + 1))
        drawn = random.binomial(count, random.beta(k, n + 1 - k, 200_000))
        low, high = np.quantile(drawn, [0.00005, 0.99995])
        assert low <= alarms <= high


def test_planted_lines_are_found_and_what_is_odd_in_them(model):
    usual = log(2, 40).splitlines()
    planted = [
        "11:59 login of anna from 10.0.<x>&.7",
        "rm -rf /",
        "12:07 login of anna frxm 10.0.3.4",
    ]
    text = "\n".join([*usual[:20], *planted, *usual[20:]]) + "\n"
    found = {part.number: part for part in model.odd(text, threshold=0.01)}
    assert {21, 22, 23} <= found.keys()
    assert len(found) < 3 + 4
    assert found[21].text == planted[0]
    assert text[found[23].start :].startswith(planted[2])
    assert "<" in "".join(found[21].marked)
    assert found[21].unknown_characters == 4  # < x > &
    assert found[21].bits > 80
    at = planted[2].index("x")
    assert any(start <= at < stop for start, stop in found[23].spans)


def test_p_values_are_those_of_the_surprisal_of_score(model):
    text = log(3, 50) + "\n" + "what?\n"
    with no_warning_of_unknown():
        parts = [part for part in model.score(text, by="line") if part.text != "\n"]
    found = list(model.odd(text, threshold=1.0))
    assert [one.text + "\n" for one in found] == [part.text for part in parts]
    assert [one.start for one in found] == [part.start for part in parts]
    assert [one.nats for one in found] == [part.nats for part in parts]
    calibration = model.provenance.calibration
    with no_warning_of_unknown():
        each = [[c.nats for c in model.score(part.text)] for part in parts]
    scores = np.array([2 * np.log(np.mean(np.exp(np.array(nats) / 2))) for nats in each])
    lengths = np.array([len(part.text) for part in parts])
    assert [one.p for one in found] == calibration.p_values(lengths, scores).tolist()
    assert [one.number for one in found] == [*range(1, 51), 52]  # 51 is empty
    assert all(one.spans == () for one in found if one.p > ORDINARY)
    assert found[-1].spans


def test_the_marked_characters_are_the_fewest_without_which_a_line_is_ordinary(model):
    text = log(4, 200) + "10:10 logout of bo from 10.0.1.1\n"
    *_, odd = model.odd(text, threshold=0.005)
    assert odd.text == "10:10 logout of bo from 10.0.1.1"
    with no_warning_of_unknown():
        nats = np.array([part.nats for part in model.score(odd.text + "\n")])
    calibration = model.provenance.calibration
    marked = [n for start, stop in odd.spans for n in range(start, stop)]
    assert sorted(np.argsort(-nats)[: len(marked)]) == marked

    def p_without(places) -> float:
        left = nats.copy()
        length = np.array([len(left)])
        left[list(places)] = calibration.expected(length)
        strangeness = 2 * np.log(np.mean(np.exp(left / 2), keepdims=True))
        return float(calibration.p_values(length, strangeness)[0])

    assert p_without(marked) > 0.005
    least = min(marked, key=lambda n: nats[n])
    assert p_without(set(marked) - {least}) <= 0.005


def test_a_text_that_arrives_is_read_line_by_line(model):
    text = log(5, 30) + "rm -rf /\n" + log(6, 3)
    whole = list(model.odd(text, threshold=0.02))
    given = []

    def arriving():
        for at in range(0, len(text), 7):
            given.append(text[at : at + 7])
            yield given[-1]

    found = model.odd(arriving(), threshold=0.02, live=True)
    first = next(part for part in found if part.text == "rm -rf /")
    assert len("".join(given)) < text.index("rm -rf /") + len("rm -rf /\n") + 7
    rest = list(found)
    assert found.read == 34
    assert [part.text for part in whole][-1 - len(rest) :] == [first.text, *(r.text for r in rest)]


def test_a_last_line_without_a_line_feed_is_a_line_too(model):
    for live in (False, True):
        *_, last = model.odd("rm -rf /", threshold=1.0, live=live)
        assert (last.number, last.start, last.text) == (1, 0, "rm -rf /")


@pytest.mark.parametrize("kind", ["characters", "bytes"])
@pytest.mark.parametrize("window", [0, 16])
def test_a_stream_is_read_in_lines_or_windows_that_are_its_whole_text(kind, window):
    text = "the fox and the crów\n" * 400
    vocabulary = Vocabulary.bytes() if kind == "bytes" else Vocabulary.of(text)
    model = Model.untrained(ModelSettings(hidden_size=8, num_layers=1), vocabulary, seed=3)
    calibration = model.calibrated(text, window=window)
    assert calibration.window == window
    for live in (False, True):
        found = list(model.odd(text[:-2], threshold=1.0, calibration=calibration, live=live))
        end = "" if window else "\n"
        assert "".join(part.text + end for part in found).removesuffix("\n") == text[:-2]
        assert [part.number for part in found] == [*range(1, len(found) + 1)]
        exact = sum(part.nats for part in model.score(text[:-2]))
        assert sum(part.nats for part in found) == pytest.approx(exact, rel=1e-4)
        assert {len(part.text) for part in found[:-1]} == {window or 20}


def test_characters_of_several_bytes_are_marked_whole():
    vocabulary = Vocabulary.bytes()
    model = Model.untrained(ModelSettings(hidden_size=8, num_layers=1), vocabulary)
    usual = calibrated(np.full(60, 4), np.linspace(0, 1, 60))
    (part,) = model.odd("a€b\n", threshold=0.05, calibration=usual)
    assert part.text == "a€b"
    assert part.marked == ["a€b\n"]
    assert isinstance(part, OddPart)


def test_what_cannot_be_is_told_in_a_line(model):
    plain = Model.untrained(ModelSettings(hidden_size=4), Vocabulary.of("ab\n"))
    with pytest.raises(SettingsError, match="calibration: this model holds none"):
        plain.odd("ab\n")
    with pytest.raises(SettingsError, match=r"threshold: 0\.0001 was given, and of \d+ ranked"):
        model.odd("ab\n", threshold=0.0001)
    with pytest.raises(SettingsError, match="threshold: 0 was given; it must be more than 0"):
        model.odd("ab\n", threshold=0)
    with pytest.raises(SettingsError, match="window: 9 was given, and this model reads each line"):
        model.calibrated("ab\n", window=9)
    with pytest.raises(SettingsError, match="window: 0 was given, and this model knows no line"):
        Model.untrained(ModelSettings(hidden_size=4), Vocabulary.of("ab")).calibrated("ab")
    with pytest.raises(TextError, match=r"too few .*: 2 x a line that is not empty"):
        model.calibrated("ab\n\nab\n")
    assert isinstance(model.odd("\n\n", threshold=0.5), OddParts)
    assert list(model.odd("\n\n", threshold=1.0)) == []


def test_a_run_that_goes_on_from_its_best_step_saves_the_same_calibration(tmp_path):
    def run_of(folder, steps):
        return charloom.train(
            charloom.InMemory(log(0, 500)),
            output=folder,
            model=ModelSettings(hidden_size=8, num_layers=1),
            training=TrainingSettings(steps=steps, validate_every=5, learning_rate=0.01),
            start_from=None,
        )

    run_of(tmp_path / "whole", 10).finish()
    stopped = run_of(tmp_path / "halves", 10)
    while stopped.step < 5:
        next(stopped)
    stopped.stop()
    (tmp_path / "halves" / "model.safetensors").unlink()  # as if it was killed before this
    charloom.resume(tmp_path / "halves").stop()
    at_five = Model.load(tmp_path / "halves")
    assert at_five.provenance.step == 5
    assert at_five.provenance.calibration is not None
    charloom.resume(tmp_path / "halves").finish()
    whole, halves = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("whole", "halves"))
    assert whole == halves
