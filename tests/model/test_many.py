"""One verb on many files: equal to one after the other, whole parts, errors told, and resumed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from pathlib import Path

import pytest
from campaigns.children import answer_of, begin, slowly_replacing
from models import FOX, fox_model

import charloom
from charloom.errors import ModelFileError, OutputError, SettingsError, TextError
from charloom.files import replacing
from charloom.model.many import job
from charloom.model.many.job import process_files
from charloom.model.many.parts import is_done, part_of, remove_partial, write_part
from charloom.model.many.rows import VERBS, figures
from charloom.model.many.work import Work
from charloom.model.scoring import Score
from charloom.settings import ManySettings
from charloom.text.copies import CopyIndex

# Those of the verbs that are compared with.
pytestmark = pytest.mark.usefixtures("unknown_characters_are_expected")


TEXTS = {
    "a.txt": "the fox said:\n" * 30,
    "b.txt": "«the fox» said:\tthe fox\r\n" * 9,
    "c.txt": "the crow saw a fox €",
}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a model and a folder of texts, that is the working directory."""
    fox_model(charloom.Vocabulary.of(FOX, unknown=True)).save(tmp_path / "fox.safetensors")
    (tmp_path / "texts").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "texts" / name).write_text(text, newline="")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(part: str | Path) -> list[dict]:
    return [json.loads(line) for line in Path(part).read_text().splitlines()]


def outcomes(verb="evaluate", files="texts", output="out", workers=1, **options) -> dict:
    settings = {name: options.pop(name) for name in ("parts", "column") if name in options}
    many = ManySettings(workers=workers, **settings)
    found = process_files(verb, "fox.safetensors", files, output, many=many, **options)
    return {Path(outcome.input).name: outcome for outcome in found}


def contents(folder: str | Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


@pytest.mark.parametrize("workers", [1, 4])
def test_evaluate_equals_the_verb_to_the_last_bit_for_any_number_of_workers(place, workers):
    found = outcomes(workers=workers)
    model = charloom.Model.load("fox.safetensors", threads=1)
    for name in TEXTS:
        (row,) = rows(found[name].part)
        expected = figures(model.evaluate(Path("texts", name))) | model.computed_with
        assert row == {"row": 0, **expected}
    assert "errors.jsonl" not in contents("out")


def test_score_has_a_row_for_each_part_and_generate_for_each_text(place):
    model = charloom.Model.load("fox.safetensors", threads=1)
    scored = rows(outcomes("score", "texts/b.txt", by="word")["b.txt"].part)
    parts = list(model.score(Path("texts/b.txt"), by="word"))
    assert [row["nats"] for row in scored] == [part.nats for part in parts]
    assert [row["text"] for row in scored] == [part.text for part in parts]
    found = outcomes("generate", "texts/c.txt", "more", length=9, count=3, seed=4)
    texts = model.generate_many(TEXTS["c.txt"], count=3, length=9, seed=4)
    assert [row["text"] for row in rows(found["c.txt"].part)] == texts


def test_json_lines_and_parquet_go_in_and_out_row_by_row(place):
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    Path("t.jsonl").write_text("".join(json.dumps({"story": t}) + "\n" for t in TEXTS.values()))
    pq.write_table(pa.table({"story": list(TEXTS.values())}), "t.parquet")
    files = [Path("t.jsonl"), Path("t.parquet")]
    found = outcomes("evaluate", files, parts="parquet", column="story")
    tables = [pq.read_table(found[file.name].part) for file in files]
    assert tables[0].equals(tables[1])
    assert tables[0].column_names == ["row", *VERBS["evaluate"].columns]
    texts = [rows(outcomes(files=f"texts/{n}", output="one")[n].part)[0]["nats"] for n in TEXTS]
    assert tables[0]["nats"].to_pylist() == texts


def test_a_bad_file_is_a_row_of_errors_and_the_others_have_parts(place):
    Path("texts/bad.txt").write_bytes(b"\xff\xfe\xff")
    Path("texts/empty.txt").touch()
    Path("texts/rows.jsonl").write_text('{"text": "the fox"}\n{"text": 1}\n')
    found = outcomes(files=["texts", Path("missing.txt")])
    bad = {"bad.txt", "empty.txt", "rows.jsonl", "missing.txt"}
    assert {name for name, outcome in found.items() if outcome.error} == bad
    assert {Path(row["input"]).name for row in rows("out/errors.jsonl")} == bad
    assert len(contents("out")) == len(TEXTS) + 2
    assert "row 1 (the first is 0) has 1" in found["rows.jsonl"].error


def test_started_again_it_does_what_is_missing(place):
    Path("texts/bad.txt").write_bytes(b"\xff")
    outcomes()
    before = contents("out")
    Path("texts/bad.txt").write_text("the fox")
    Path("texts/new.txt").write_text("a new fox")
    part = part_of(Path("out"), Path("texts/a.txt"), "jsonl")
    part.unlink()
    found = outcomes()
    assert {name for name, outcome in found.items() if not outcome.kept} == {
        "bad.txt",
        "new.txt",
        "a.txt",
    }
    after = contents("out")
    del before["errors.jsonl"]
    assert before.items() <= after.items()


def test_an_input_that_has_changed_is_done_again(place):
    outcomes()
    later = time.time() + 60
    os.utime("texts/a.txt", (later, later))
    assert [name for name, outcome in outcomes().items() if not outcome.kept] == ["a.txt"]


def test_another_job_in_the_folder_is_refused(place):
    outcomes("score", by="word")
    with pytest.raises(SettingsError, match="another job, whose by is 'word' and not 'line'"):
        outcomes("score")
    with pytest.raises(SettingsError, match="another job, whose verb is 'score'"):
        outcomes("evaluate")
    Path("out/job.json").write_text("{}")
    with pytest.raises(ModelFileError, match="is damaged"):
        outcomes("score", by="word")


def test_a_seed_that_is_not_given_is_drawn_once_for_a_job(place):
    first = rows(outcomes("generate", "texts/c.txt", length=5, seed=None)["c.txt"].part)
    outcomes("generate", "texts/a.txt", length=5, seed=None)
    seed = json.loads(Path("out/job.json").read_text())["seed"]
    again = rows(outcomes("generate", "texts/c.txt", "more", length=5, seed=seed)["c.txt"].part)
    assert first == again


COPIES = {"verb": "generate", "no_copies": 4, "training_text": "texts/a.txt", "length": 9}


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ({"verb": "train"}, "verb: 'train' was given"),
        ({"by": "word"}, "by: evaluate has no such option"),
        ({"files": charloom.InMemory("a")}, "is no file"),
        ({"files": "-"}, "is no file"),
        ({"files": []}, "no text was given"),
        ({**COPIES, "training_text": "no.txt"}, "no.txt: there is no such file"),
        ({**COPIES, "training_text": "-"}, "standard input: can be read only once"),
        ({**COPIES, "no_copies": 1}, "no_copies: 1 was given"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(place, call, complaint):
    with pytest.raises((SettingsError, TextError), match=complaint):
        outcomes(**call)
    assert not Path("out").exists()


def test_the_training_text_is_indexed_once_by_a_worker(place, monkeypatch):
    pytest.importorskip("pydivsufsort", reason="needs the extra `copies`")
    indexed, of = [], CopyIndex.of
    monkeypatch.setattr(CopyIndex, "of", lambda text: indexed.append(found := of(text)) or found)
    found = outcomes(**COPIES, seed=1)
    size = len(TEXTS["a.txt"])
    assert [index.bytes for index in indexed if index.bytes > 1] == [size]
    for name in TEXTS:
        for row in rows(found[name].part):
            text = row["prompt"][-3:] + row["text"]
            assert not any(text[i : i + 4] in TEXTS["a.txt"] for i in range(len(text) - 3))


RULES = {"pattern": "the fox", "grammar": 'start: "the fox"'}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_no_text_of_the_index_fulfils_is_refused_before_anything_is_written(
    place, rule
):
    pytest.importorskip("pydivsufsort", reason="needs the extra `copies`")
    pytest.importorskip("llguidance", reason="needs the extra `rules`")
    Path("fox.txt").write_text("the fox")
    options = {**COPIES, "training_text": "fox.txt", rule: RULES[rule]}
    with pytest.raises(SettingsError, match="no text was found that fulfils both"):
        outcomes(**options)
    assert not Path("out").exists()
    assert outcomes(**{**options, "no_copies": 8})["a.txt"].part


def test_the_model_may_be_a_run_or_one_that_comes_along(place):
    Path("fox.run").mkdir()
    Path("fox.safetensors").rename("fox.run/model.safetensors")
    for model in ("fox.run", "english"):
        many = ManySettings(workers=1)
        (found,) = process_files("evaluate", model, "texts/c.txt", f"{model}.out", many=many)
        (row,) = rows(found.part)
        assert row["nats"] == charloom.Model.load(model).evaluate(Path("texts/c.txt")).nats


def work(place: Path, verb="score", **options) -> Work:
    (place / "out").mkdir(exist_ok=True)
    return Work(
        verb=verb,
        model=place / "fox.safetensors",
        computing={"threads": 1},
        reading={},
        options=options or {"by": "character"},
        many=ManySettings(),
        folder=place / "out",
    )


def test_an_error_in_the_middle_of_an_input_leaves_no_part(place):
    Path("late.jsonl").write_text('{"text": "the fox"}\n' * 500 + '{"text": 5}\n')
    outcome = work(place)()("late.jsonl")
    assert "row 500" in outcome.error
    assert list(Path("out").iterdir()) == []


def test_a_part_that_cannot_be_written_ends_the_job(place, monkeypatch):
    answer = work(place)()
    Path("out").rmdir()
    with pytest.raises(OutputError, match="make the folder"):
        answer("texts/a.txt")


def test_what_a_process_that_died_has_left_is_removed(place):
    Path("out").mkdir()
    child = os.fork()
    if child == 0:
        with replacing(part_of(Path("out"), Path("texts/a.txt"), "jsonl")) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    Path("out/.mine.0a1b2c3d.partial").touch()
    assert len(list(Path("out").glob(".*partial"))) == 2
    assert not is_done(part_of(Path("out"), Path("texts/a.txt"), "jsonl"), Path("texts/a.txt"))
    outcomes()
    assert len(list(Path("out").glob(".*partial"))) == 2  # perhaps another process writes it
    for left in Path("out").glob(".*partial"):
        os.utime(left, (time.time() - 4000, time.time() - 4000))
    outcomes()
    assert [file.name for file in Path("out").glob(".*partial")] == [".mine.0a1b2c3d.partial"]
    remove_partial(Path("out"), [Path("out/mine")])
    assert list(Path("out").glob(".*partial")) == []


def test_inputs_of_one_name_in_two_folders_have_parts_of_their_own():
    parts = {part_of(Path("out"), Path(folder, "a.txt"), "jsonl") for folder in ("x", "y")}
    assert len(parts) == 2


def test_rows_are_written_as_they_are_made(place, monkeypatch):
    seen = []

    def slowly():
        for row in range(3):
            seen.append(row)
            yield {"row": row, "n": row}

    assert write_part(place / "p", slowly(), {"n": int}, "jsonl") == 3
    assert (place / "p").read_text() == "".join(f'{{"row": {n}, "n": {n}}}\n' for n in range(3))


def test_a_text_without_characters_has_no_figures():
    assert figures(Score())["perplexity"] is None
    assert set(figures(Score())) >= {*VERBS["evaluate"].columns} - {"precision", "kernels"}


def test_every_option_of_a_verb_reaches_it(place):
    assert dataclasses.asdict(work(place, "score", by="word"))["options"] == {"by": "word"}
    found = outcomes("evaluate", "texts/a.txt", exact=True)
    model = charloom.Model.load("fox.safetensors", threads=1)
    exact = model.evaluate(Path("texts/a.txt"), exact=True)
    assert rows(found["a.txt"].part)[0]["nats"] == exact.nats
    assert Score(nats=exact.nats) == Score(nats=rows(found["a.txt"].part)[0]["nats"])


def test_a_users_file_of_errors_is_refused_and_stays(place):
    Path("out").mkdir()
    Path("out/errors.jsonl").write_text("mine")
    with pytest.raises(OutputError, match=r"holds errors\.jsonl, and no job"):
        outcomes()
    assert contents("out") == {"errors.jsonl": b"mine"}


def test_of_two_jobs_that_start_at_once_in_a_folder_one_is_done(place, monkeypatch):
    monkeypatch.setattr(job, "replacing", slowly_replacing)
    for attempt in range(3):
        folder, at = f"out {attempt}", time.time() + 0.3

        def work(verb, folder=folder, at=at):
            time.sleep(max(at - time.time(), 0))
            outcomes(verb, output=folder)

        verbs = ["score", "evaluate", "score", "evaluate"]
        children = [begin(lambda verb=verb: work(verb)) for verb in verbs]
        answers = [answer_of(*child) for child in children]
        done = {verb for verb, answer in zip(verbs, answers, strict=True) if answer == "done"}
        assert len(done) == 1, answers
        for answer in answers:
            assert answer == "done" or "another job" in answer
        columns = {"row", *VERBS[done.pop()].columns}
        for part in Path(folder).glob("*.txt.*"):
            assert rows(part)[0].keys() == columns


def test_jobs_that_start_at_once_draw_one_seed(place, monkeypatch):
    monkeypatch.setattr(job, "replacing", slowly_replacing)
    at = time.time() + 0.3

    def work():
        time.sleep(max(at - time.time(), 0))
        outcomes("generate", length=5, seed=None)

    children = [begin(work) for _ in range(3)]
    assert [answer_of(*child) for child in children] == ["done"] * 3
    seed = json.loads(Path("out/job.json").read_text())["seed"]
    before = contents("out")
    outcomes("generate", output="again", length=5, seed=seed)
    assert contents("again") == before
