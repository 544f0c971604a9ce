"""A prepared corpus: the ids of build_corpus, in shards, by any number of processes, resumable."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from campaigns import fuzz
from campaigns.children import answer_of, begin, slowly_replacing
from runs import outcome, settings

import charloom
from charloom.errors import CharloomError, ModelFileError, OutputError, SettingsError, TextError
from charloom.files import replacing
from charloom.settings import ModelSettings, TextSettings
from charloom.text import preparing
from charloom.text.batches import Streams
from charloom.text.corpus import Corpus, build_corpus
from charloom.text.preparing import prepare
from charloom.text.sharded import INDEX, SHARDS, Shard, ShardedIds, digest_of_index, is_prepared

PIECES = {
    "a.txt": "the fox said: «é»\r\n" * 40,
    "b.txt": "no line feed at the end",
    "c.txt": "",
    "d.txt": "one\ntwo\n\ufeffthree\r\n" * 30,
    "e.txt": "€ and \U0001d518 " * 9,
}


@pytest.fixture
def texts(tmp_path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, text in PIECES.items():
        (folder / name).write_text(text, "utf-8", newline="")
    (folder / "f.txt.gz").write_bytes(gzip.compress(b"packed"))
    return folder


def ids_of(folder: Path) -> np.ndarray:
    return Corpus.prepared(folder)[0].ids[:]


def shard_of(path: Path, ids: int) -> Shard:
    return Shard(path=path, ids=ids, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("piece", [40, 300, 10**6])
@pytest.mark.parametrize(
    "changes", [{}, {"vocabulary": "bytes"}, {"minimum_count": 20}, {"normalization": "nfc"}]
)
def test_the_ids_and_facts_are_those_of_build_corpus(texts, tmp_path, piece, changes):
    text = TextSettings(**changes)
    index = prepare(texts, tmp_path / "corpus", text=text, piece=piece)
    expected = build_corpus(texts, text)
    found, _ = Corpus.prepared(tmp_path / "corpus")
    assert found.vocabulary == expected.vocabulary
    assert found.ids.dtype == expected.ids.dtype
    np.testing.assert_array_equal(found.ids[:], expected.ids)
    for name in ("characters", "utf8_bytes", "unknown_count"):
        assert index[name] == getattr(expected, name), name


def test_two_processes_give_the_same_corpus(texts, tmp_path):
    one = prepare(texts, tmp_path / "one", piece=100)
    two = prepare(texts, tmp_path / "two", piece=100, workers=2)
    assert one == two
    for shard in one["shards"]:
        a, b = (tmp_path / n / "shards" / shard["name"] for n in ("one", "two"))
        assert a.read_bytes() == b.read_bytes()


def test_a_shard_is_not_larger_than_it_may_be(texts, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "LARGEST_SHARD", 1500)
    prepare(texts, tmp_path / "corpus")
    shards = list((tmp_path / "corpus" / "shards").iterdir())
    assert len(shards) > 1
    np.testing.assert_array_equal(
        ids_of(tmp_path / "corpus"), build_corpus(texts, TextSettings()).ids
    )


def test_started_again_it_does_what_is_missing(texts, tmp_path, monkeypatch):
    whole = prepare(texts, tmp_path / "whole", piece=100)
    encode, done = preparing._Encoding._encode, []

    def dying(self, task):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task.number)
        encode(self, task)

    monkeypatch.setattr(preparing._Encoding, "_encode", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(texts, tmp_path / "corpus", piece=100)
    assert is_prepared(tmp_path / "corpus") is None
    again = []
    monkeypatch.setattr(
        preparing._Encoding, "_encode", lambda self, t: (again.append(t.number), encode(self, t))[1]
    )
    assert prepare(texts, tmp_path / "corpus", piece=100) == whole
    assert not set(done) & set(again)
    monkeypatch.setattr(preparing._Counting, "_count", None)
    assert prepare(texts, tmp_path / "corpus", piece=100) == whole


def test_a_source_that_cannot_be_used_is_named(texts, tmp_path):
    (texts / "bad.txt").write_bytes(b"\xff\xff")
    with pytest.raises(TextError, match=r"bad\.txt: byte 0"):
        prepare(texts, tmp_path / "corpus")
    with pytest.raises(SettingsError, match="other sources or with other settings"):
        prepare(texts / "a.txt", tmp_path / "corpus")
    with pytest.raises(TextError, match="can be read only once"):
        prepare("-", tmp_path / "other")


def test_a_slice_of_shards_is_that_of_the_whole(tmp_path):
    whole = np.arange(100, dtype=np.uint8)
    cuts = [0, 7, 8, 50, 100]
    shards = []
    for start, stop in pairwise(cuts):
        whole[start:stop].tofile(tmp_path / f"{start}")
        shards.append(shard_of(tmp_path / f"{start}", stop - start))
    ids = ShardedIds(shards, np.dtype(np.uint8), "", 100)
    for start in range(0, 100, 3):
        for stop in range(start, 101, 7):
            np.testing.assert_array_equal(ids[start:stop], whole[start:stop])
            np.testing.assert_array_equal(ids.part(start, stop)[1:5], whole[start:stop][1:5])
    assert (ids[99], ids[-1], len(ids)) == (99, 99, 100)
    (tmp_path / "7").write_bytes(b"")
    with pytest.raises(ModelFileError, match="is not 1 id long"):
        ShardedIds(shards, np.dtype(np.uint8), "", 100)[:]


def test_only_the_shards_of_the_streams_that_are_read_are_mapped(tmp_path):
    shards = []
    for n in range(10):
        np.full(100, n, np.uint8).tofile(tmp_path / f"{n}")
        shards.append(shard_of(tmp_path / f"{n}", 100))
    ids = ShardedIds(shards, np.dtype(np.uint8), "", 10)
    streams = Streams(ids, batch_size=10, sequence_length=8, seed=0)
    whole = streams.batch(0, 2)
    for n in (0, 1, 2, 3, 4, 9):
        (tmp_path / f"{n}").unlink()
    ids = ShardedIds(shards, ids.dtype, "", 10)
    streams = Streams(ids, batch_size=10, sequence_length=8, seed=0)
    streams.own = slice(6, 8)
    part = streams.batch(0, 2)
    np.testing.assert_array_equal(part.inputs[:, 6:8], whole.inputs[:, 6:8])
    np.testing.assert_array_equal(part.targets[:, 6:8], whole.targets[:, 6:8])
    assert not part.inputs[:, :6].any()


def test_a_run_on_a_corpus_is_the_run_on_its_text_and_goes_on(texts, tmp_path):
    prepare(texts, tmp_path / "corpus", piece=100)
    shape = ModelSettings(hidden_size=6, num_layers=1)
    for name, source in (("text", texts), ("corpus", str(tmp_path / "corpus"))):
        run = charloom.train(
            source, output=tmp_path / f"{name}.run", model=shape, training=settings()
        )
        for _ in range(5):
            next(run)
        run.stop()
        charloom.resume(tmp_path / f"{name}.run", sources=source).finish()
    one, two = outcome(tmp_path / "text.run"), outcome(tmp_path / "corpus.run")
    assert one[1:] == two[1:]
    assert not list((tmp_path / "corpus.run").glob("*.ids"))
    with pytest.raises(SettingsError, match="prepared corpus is read as streams"):
        charloom.train(tmp_path / "corpus", training=settings(batches="lines"))
    with pytest.raises(SettingsError, match="corpus is prepared with 'characters'"):
        charloom.train(tmp_path / "corpus", text=TextSettings(vocabulary="bytes"))
    index = json.loads((tmp_path / "corpus" / INDEX).read_text())
    index["characters"] += 1
    (tmp_path / "corpus" / INDEX).write_text(json.dumps(index))
    with pytest.raises(TextError, match="is damaged"):
        charloom.resume(tmp_path / "corpus.run")


def trained(folder: Path) -> None:
    charloom.train(
        folder, model=ModelSettings(hidden_size=4, num_layers=1), training=settings(steps=1)
    ).finish()


def test_a_changed_byte_of_any_file_of_a_corpus_is_noticed(texts, tmp_path):
    prepare(texts, tmp_path / "corpus", piece=100)
    for path in [tmp_path / "corpus" / INDEX, *(tmp_path / "corpus" / SHARDS).iterdir()]:
        whole = path.read_bytes()
        for at in (0, len(whole) // 2, len(whole) - 1):
            changed = bytearray(whole)
            changed[at] = changed[at] ^ 1
            path.write_bytes(changed)
            with pytest.raises(CharloomError, match=f"{path.name}.*prepare"):
                trained(tmp_path / "corpus")
        path.write_bytes(whole)
    trained(tmp_path / "corpus")


def test_a_changed_byte_of_unfinished_work_is_noticed_and_done_again(texts, tmp_path, monkeypatch):
    whole = prepare(texts, tmp_path / "whole", piece=100)
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "replacing", lambda path, **o: stop_at_index(path, **o))
        with pytest.raises(KeyboardInterrupt):
            prepare(texts, tmp_path / "corpus", piece=100)
    work = sorted((tmp_path / "corpus" / preparing.WORK).iterdir())
    assert len(work) > 6
    for path in work[::2]:
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
    assert prepare(texts, tmp_path / "corpus", piece=100) == whole


def stop_at_index(path: Path, **options):
    if path.name == INDEX:
        raise KeyboardInterrupt
    return replacing(path, **options)


def test_an_index_whose_digest_fits_is_trained_on_or_refused_in_one_line(texts, tmp_path):
    prepare(texts, tmp_path / "corpus", piece=300)
    path, chance, refused = tmp_path / "corpus" / INDEX, random.Random(0), 0
    whole = json.loads(path.read_text())
    del whole["sha256"]
    for _ in range(60):
        index = fuzz.changed(whole, chance)
        try:
            path.write_text(json.dumps({**index, "sha256": digest_of_index(index)}))
        except (TypeError, UnicodeEncodeError):
            continue
        try:
            trained(tmp_path / "corpus")
        except CharloomError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused > 20
    for crafted in (b"[" * 100_000, b"[]", b"{}", b"1", b'{"sha256": 1}', b"\xff"):
        path.write_bytes(crafted)
        with pytest.raises(TextError, match=r"is no index|is damaged"):
            trained(tmp_path / "corpus")


def test_ids_outside_of_the_vocabulary_are_refused_though_their_digest_fits(texts, tmp_path):
    index = prepare(texts, tmp_path / "corpus")
    (shard,) = index["shards"]
    path = tmp_path / "corpus" / SHARDS / shard["name"]
    data = bytearray(path.read_bytes())
    data[5] = 255
    path.write_bytes(data)
    del index["sha256"]
    shard["sha256"] = hashlib.sha256(data).hexdigest()
    (tmp_path / "corpus" / INDEX).write_text(
        json.dumps({**index, "sha256": digest_of_index(index)})
    )
    with pytest.raises(ModelFileError, match="prepare the corpus again"):
        trained(tmp_path / "corpus")


@pytest.mark.parametrize("name", ["work", "shards", "index.json"])
def test_what_a_user_has_in_the_folder_is_refused_and_stays(texts, tmp_path, name):
    folder = tmp_path / "mine"
    folder.mkdir()
    if name == "index.json":
        (folder / name).write_text("mine")
    else:
        (folder / name).mkdir()
        (folder / name / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=f"holds {name}, and no plan.json"):
        prepare(texts, folder)
    assert [p.name for p in folder.iterdir()] == [name]


def test_what_a_user_puts_beside_the_work_stays(texts, tmp_path, monkeypatch):
    write = preparing._write

    def writing(path, content):
        (path.parent / "notes.txt").write_text("mine")
        write(path, content)

    monkeypatch.setattr(preparing, "_write", writing)
    prepare(texts, tmp_path / "corpus", piece=100)
    assert [p.name for p in (tmp_path / "corpus" / "work").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("same", [True, False], ids=["one text", "two texts"])
def test_processes_that_prepare_one_folder_at_once_make_one_corpus(
    texts, tmp_path, monkeypatch, same
):
    begun = preparing._begin

    def slowly(folder, plan):
        with monkeypatch.context() as patch:
            patch.setattr(preparing, "replacing", slowly_replacing)
            begun(folder, plan)

    monkeypatch.setattr(preparing, "_begin", slowly)
    for attempt in range(3):
        folder, at = tmp_path / f"corpus {attempt}", time.time() + 0.3

        def work(number, folder=folder, at=at + 0.01 * attempt):
            sources = texts if same or number % 2 else texts / "d.txt"
            time.sleep(max(at - number * 0.01 - time.time(), 0))
            prepare(sources, folder, piece=100)

        children = [begin(lambda n=n: work(n)) for n in range(4)]
        answers = [answer_of(*child) for child in children]
        assert not [answer for answer in answers if answer.startswith("BROKEN")]
        won = [n for n, answer in enumerate(answers) if answer == "done"]
        if same:
            assert len(won) == 4
        else:
            assert {n % 2 for n in won} in ({0}, {1})
        expected = build_corpus(texts if same or won[0] % 2 else texts / "d.txt", TextSettings())
        np.testing.assert_array_equal(ids_of(folder), expected.ids)
