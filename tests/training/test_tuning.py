"""A search: its spaces, trials that are runs, the best one, and going on whatever happened."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns.children import answer_of, begin, slowly_replacing
from messages import warned
from runs import TEXT

import charloom
from charloom.errors import ModelFileError, OutputError, SettingsError, TextError, TrainingError
from charloom.inspection import pictures
from charloom.settings import ModelSettings, TextSettings, TrainingSettings, TuningSettings
from charloom.training.tuning import space, study
from charloom.training.tuning.search import best_of, tune
from charloom.training.tuning.space import Space, parse_spaces, with_values
from charloom.training.tuning.study import StudyFolder, importances, value_of

SPACES = ["learning_rate=log:1e-3:1e-1", "num_layers=1,2"]


# Spaces


@pytest.mark.parametrize(
    ("text", "space"),
    [
        (
            "learning-rate=log:1e-3:3e-2",
            Space(name="learning_rate", low=0.001, high=0.03, log=True),
        ),
        ("dropout=0:0.5", Space(name="dropout", low=0.0, high=0.5)),
        ("hidden-size=8:64", Space(name="hidden_size", low=8, high=64)),
        ("batch_size=16,32", Space(name="batch_size", choices=(16, 32))),
        ("cell=lstm,rnn", Space(name="cell", choices=("lstm", "rnn"))),
    ],
)
def test_a_space_has_the_values_of_its_setting(text, space):
    assert Space.parse(text) == space


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("speed=1:2", "space: 'speed' cannot be searched; what can is cell, hidden_size"),
        ("steps=10:20", "space: 'steps' cannot be searched"),
        ("dropout", "is no NAME=VALUES"),
        ("dropout=0:0.2:0.4", "is no range"),
        ("dropout=0.5:0.1", "is no range that rises"),
        ("dropout=log:0:0.1", "rises, above 0"),
        ("dropout=0.1", "fewer than two values"),
        ("dropout=0:1", "dropout: '1' was given; it must be less than 1"),
        ("hidden_size=1.5:2", "hidden_size: '1.5' was given"),
        ("cell=lstm:rnn", "no range of numbers, and cell is none"),
    ],
)
def test_a_space_that_cannot_be_is_told(text, complaint):
    with pytest.raises(SettingsError, match=complaint):
        Space.parse(text)


def test_a_setting_is_searched_once_and_goes_where_it_belongs():
    with pytest.raises(SettingsError, match="dropout was given twice"):
        parse_spaces(["dropout=0:0.1", "dropout=0.1,0.2"])
    model, training = with_values(
        ModelSettings(cell="rnn"), TrainingSettings(seed=3), {"num_layers": 1, "dropout": 0.3}
    )
    assert (model.cell, model.num_layers, training.seed, training.dropout) == ("rnn", 1, 3, 0.3)
    assert Space.parse("dropout=0:0.5").has(0.5)
    assert not Space.parse("num_layers=1,2").has(3)


# Searches

pytest.importorskip("optuna", reason="needs the extra `tune`")


def search(folder: Path, trials=4, workers=1, spaces=SPACES, **training):
    given = {"steps": 12, "batch_size": 4, "sequence_length": 8, "validate_every": 3, **training}
    return tune(
        charloom.InMemory(TEXT),
        folder,
        spaces=spaces,
        tuning=TuningSettings(trials=trials, workers=workers),
        model=ModelSettings(hidden_size=6),
        training=TrainingSettings(batches="streams", **given),
    )


def facts(folder: Path) -> list[tuple]:
    """All that is deterministic in a search."""
    trials = StudyFolder(folder).open().get_trials(deepcopy=False)
    return [(t.number, t.state.name, t.params, list(t.intermediate_values.items())) for t in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "whole"
    list(search(folder, trials=7))
    return folder


def test_every_trial_is_a_run_and_the_best_one_is_the_model(whole):
    trials = StudyFolder(whole).open().get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(7))
    best = best_of(whole)
    values = [value_of(trial) for trial in trials]
    assert best.bits_per_character == min(values)
    models = [charloom.Model.load(StudyFolder(whole).run(n)) for n in range(7)]
    assert [m.provenance.validation.bits_per_character for m in models] == values
    found = charloom.Model.load(whole)
    assert found.describe() == models[best.number].describe()
    assert models[3].provenance.training.learning_rate == trials[3].params["learning_rate"]


def test_the_first_trial_is_the_run_that_train_would_make(whole):
    alone = charloom.train(
        charloom.InMemory(TEXT),
        model=ModelSettings(hidden_size=6),
        training=TrainingSettings(
            batches="streams", steps=12, batch_size=4, sequence_length=8, validate_every=3
        ),
    )
    alone.finish()
    number, state, params, validations = facts(whole)[0]
    assert (number, state) == (0, "COMPLETE")
    assert validations[-1][1] == alone.best.bits_per_character
    assert params == {
        "learning_rate": alone.plan.training.learning_rate,
        "num_layers": alone.plan.model.num_layers,
    }


def test_one_worker_and_one_seed_repeat_to_the_last_bit(whole, tmp_path):
    list(search(tmp_path / "again", trials=7))
    assert facts(tmp_path / "again") == facts(whole)
    model, again = charloom.Model.load(whole), charloom.Model.load(tmp_path / "again")
    assert all((model.weights[n] == again.weights[n]).all() for n in model.weights)


def test_a_search_that_is_stopped_between_or_within_trials_goes_on(whole, tmp_path):
    folder = tmp_path / "study"
    list(search(folder, trials=2))
    for kill_at in (3, 9):

        def work(kill_at=kill_at):
            advance = charloom.Run.__next__

            def dying(run):
                if run.step == kill_at:
                    run._save()
                    os.kill(os.getpid(), signal.SIGKILL)
                return advance(run)

            charloom.Run.__next__ = dying
            list(search(folder, trials=7))

        assert answer_of(*begin(work)) == "killed"
    list(search(folder, trials=7))
    assert facts(folder) == facts(whole)


def test_two_processes_that_start_at_the_same_instant_share_the_trials(tmp_path):
    at = time.time() + 0.5

    def work():
        time.sleep(max(at - time.time(), 0))
        list(search(tmp_path / "study", trials=6))

    children = [begin(work) for _ in range(2)]
    assert [answer_of(*child) for child in children] == ["done", "done"]
    found = facts(tmp_path / "study")
    assert sum(state != "FAIL" for _, state, _, _ in found) == 6
    assert len(list((tmp_path / "study" / "trials").iterdir())) == 6


def test_a_trial_that_diverges_ends_and_the_search_goes_on(tmp_path, monkeypatch):
    advance = charloom.Run.__next__

    def diverging(run):
        if run.step == 5 and run.plan.training.dropout > 0.4:
            raise TrainingError("step 5: the loss is not finite")
        return advance(run)

    monkeypatch.setattr(charloom.Run, "__next__", diverging)
    found = list(search(tmp_path, 3, spaces=["dropout=0.41:0.5"]))
    assert [trial.pruned for trial in found] == [False, True, True]
    assert all(trial.bits_per_character for trial in found)


def test_importances_are_shares_and_need_a_few_whole_trials(whole, tmp_path):
    shares = importances(whole)
    assert not shares or sum(shares.values()) == pytest.approx(1)
    list(search(tmp_path / "short", trials=2))
    assert importances(tmp_path / "short") == {}


def test_what_mattered_is_drawn(whole):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    drawn = charloom.plot(whole)
    assert drawn == whole / "search.png"
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_a_search_without_a_trial_has_no_picture(tmp_path):
    StudyFolder(tmp_path).begin({"spaces": []})
    with pytest.raises(ModelFileError, match="no trial of this search"):
        pictures.plot_search(tmp_path, tmp_path / "a.png")
    assert best_of(tmp_path) is None


def test_another_search_in_the_folder_is_refused(whole):
    with pytest.raises(SettingsError, match="another search, whose spaces is"):
        search(whole, spaces=["dropout=0:0.5"])
    with pytest.raises(SettingsError, match="another search, whose training is"):
        search(whole, steps=13)


@pytest.mark.parametrize("name", ["model.safetensors", "journal.log", "trials"])
def test_what_a_user_has_in_the_folder_is_refused_and_stays(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=f"holds {name}, and no search"):
        search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("line", [b"garbage\n", b"\xff\n", b"[1]\n", b'{"op_code": 99}\n', b"{}\n"])
def test_a_damaged_journal_is_one_line(whole, tmp_path, line):
    shutil.copytree(whole, tmp_path / "study")
    path = tmp_path / "study" / "journal.log"
    path.write_bytes(line + path.read_bytes())
    for act in (lambda: list(search(tmp_path / "study")), lambda: best_of(tmp_path / "study")):
        with pytest.raises(ModelFileError, match=r"journal\.log: is damaged") as error:
            act()
        assert str(error.value).isprintable()


def numbers_of(line: str) -> Iterator[tuple[str, str]]:
    """The numbers in a line of the journal, each with the line in which it is another one."""
    for key in ("param_value_internal", "intermediate_value", "step", "values", "state", "low"):
        found = re.search(rf'{key}\\?": ?\[?(-?[\d.]+(?:e-?\d+)?)', line)
        if found:
            number = found[1]
            other = str(9 - int(number[0])) + number[1:] if number[0] != "-" else number[1:]
            yield key, line[: found.start(1)] + other + line[found.end(1) :]


def test_another_number_in_the_journal_is_noticed(whole, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    path = folder / "journal.log"
    lines = path.read_text().splitlines(keepends=True)
    tried = set()
    for number, line in enumerate(lines):
        for key, changed in numbers_of(line):
            path.write_text("".join([*lines[:number], changed, *lines[number + 1 :]]))
            if key == "state" and '"values": null' in line:
                continue  # of a trial that began
            with pytest.raises(
                ModelFileError, match=r"journal\.log: (trial \d+ is not|is damaged)"
            ):
                best_of(folder)
            tried.add(key)
    assert {"param_value_internal", "intermediate_value", "step", "values", "low"} <= tried
    path.write_text("".join(lines))
    assert best_of(folder) == best_of(whole).__class__(
        **{**vars(best_of(whole)), "run": str(folder / "trials" / f"{best_of(whole).number:05}")}
    )
    record = folder / "trials" / "00001" / "trial.json"
    record.write_bytes(record.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(ModelFileError, match=r"trial\.json: is damaged"):
        best_of(folder)
    record.unlink()
    assert best_of(folder) is not None


def test_of_two_searches_that_start_at_once_in_a_folder_one_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "replacing", slowly_replacing)
    at = time.time() + 0.3

    def work(seed):
        time.sleep(max(at - time.time(), 0))
        StudyFolder(tmp_path / "study").begin({"seed": seed})

    children = [begin(lambda seed=seed: work(seed)) for seed in range(6)]
    answers = [answer_of(*child) for child in children]
    assert answers.count("done") == 1, answers
    assert sum("holds another search" in answer for answer in answers) == 5, answers


def a_search(folder, trials=3, text=TEXT[:900], **options):
    """Without spaces, of a text that would start from english."""
    training = TrainingSettings(**{"steps": 4, "batches": "streams", "sequence_length": 8})
    given = {"training": training, "tuning": TuningSettings(trials=trials), **options}
    return list(tune(charloom.InMemory(text), folder, **given))


def bases_of(found) -> list[str | None]:
    return [trial.base for trial in found]


def test_where_train_starts_from_a_base_every_trial_does_and_no_size_is_searched(english, tmp_path):
    found = a_search(tmp_path / "study")
    assert bases_of(found) == ["english"] * 3
    assert [sorted(trial.values) for trial in found] == [
        ["batch_size", "dropout", "learning_rate"]
    ] * 3
    models = [charloom.Model.load(trial.run) for trial in found]
    assert {model.settings for model in models} == {english.settings}
    assert best_of(tmp_path / "study").base == "english"
    best = charloom.Model.load(tmp_path / "study")
    assert best.provenance.base.name == "english"
    (tmp_path / "other").mkdir()
    english.save(tmp_path / "other" / "model.safetensors")
    asked = a_search(tmp_path / "asked", start_from=tmp_path / "other")
    assert bases_of(asked) == ["other"] * 3
    assert [t.bits_per_character for t in asked] == [t.bits_per_character for t in found]


def test_what_was_given_is_not_searched_by_default(english, tmp_path):
    training = TrainingSettings(steps=2, dropout=0.3, batches="streams", sequence_length=8)
    found = a_search(tmp_path, 2, training=training)
    assert sorted(found[1].values) == ["batch_size", "learning_rate"]
    plans = [json.loads((Path(trial.run) / "run.json").read_text()) for trial in found]
    assert {plan["training"]["dropout"] for plan in plans} == {0.3}
    every = training.replace(learning_rate=0.01, batch_size=4)
    with pytest.raises(SettingsError, match="all that is searched by default was given a value"):
        a_search(tmp_path / "a", training=every)


@pytest.mark.parametrize("options", [{"start_from": None}, {"text": TEXT[:900:-1]}])
def test_from_nothing_the_size_is_searched(english, tmp_path, monkeypatch, options):
    small = ("learning_rate=log:2e-3:5e-2", "dropout=0:0.7", "hidden_size=log:4:8")
    monkeypatch.setattr(space, "DEFAULT", small)
    found = a_search(tmp_path, 2, **options)
    assert bases_of(found) == [None, None]
    assert sorted(found[1].values) == ["dropout", "hidden_size", "learning_rate"]


@pytest.mark.parametrize("name", ["hidden_size=4,8", "cell=lstm,rnn", "first_values=scaled,keras"])
def test_a_network_that_is_searched_starts_from_nothing_which_is_told(english, tmp_path, name):
    with warned(r"is searched, so all trials but the first start from nothing; .* from english"):
        found = a_search(tmp_path / "study", spaces=[name])
    assert bases_of(found) == ["english", None, None]
    setting, _, _ = name.partition("=")
    with pytest.raises(SettingsError, match=f"{setting} cannot be searched, because every trial"):
        a_search(tmp_path / "other", spaces=[name], start_from="english")
    assert not (tmp_path / "other").exists()


def test_a_prepared_corpus_is_searched_as_its_text(tmp_path):
    (tmp_path / "book.txt").write_text(TEXT)
    charloom.prepare(tmp_path / "book.txt", tmp_path / "corpus", workers=1)
    given = {
        "spaces": ["dropout=0:0.5"],
        "tuning": TuningSettings(trials=2),
        "model": ModelSettings(hidden_size=4, num_layers=1),
        "training": TrainingSettings(steps=4, batch_size=4, sequence_length=8, batches="streams"),
    }
    found = [
        list(tune(tmp_path / name, tmp_path / f"{name}.study", **given))
        for name in ("corpus", "book.txt")
    ]
    bits = [[trial.bits_per_character for trial in trials] for trials in found]
    assert bits[0] == bits[1]
    with pytest.raises(TextError, match="corpus: is a prepared corpus, which only training reads"):
        tune([tmp_path / "corpus", tmp_path / "book.txt"], tmp_path / "other")


def test_a_base_of_another_shape_is_refused_before_anything_is_written(english, tmp_path):
    with pytest.raises(SettingsError, match="hidden_size: 4 was given, but english"):
        a_search(tmp_path / "a", model=ModelSettings(hidden_size=4), start_from="english")
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_searched_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SettingsError, match="batch_size was given a value, too"):
        search(tmp_path / "a", spaces=["batch_size=2,4"])
    os.mkfifo(tmp_path / "pipe")
    for source, name in (("-", "standard input"), (tmp_path / "pipe", "pipe")):
        with pytest.raises(TextError, match=f"{name}: can be read only once"):
            tune(source, tmp_path / "a")
    with pytest.raises(SettingsError, match="nothing is held out to compare trials by"):
        list(
            tune(
                charloom.InMemory(TEXT),
                tmp_path / "b",
                text=TextSettings(validation_fraction=0),
                training=TrainingSettings(steps=2, patience=0),
            )
        )
    assert not (tmp_path / "a").exists()


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[tune\]'"):
        search(tmp_path / "a")
