"""The page as one file: what is in it, and that nothing else can be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib

import pytest
from serving_tools import TEXT, small_model

import charloom
from charloom import Model
from charloom.cli.main import main
from charloom.errors import SettingsError, TextError, UnknownCharacterError
from charloom.serving import guard
from charloom.serving.offline import page as offline
from charloom.serving.offline.page import export, save_page, worker_source
from charloom.serving.page_api import page_files
from charloom.text.vocabulary import Vocabulary

HOSTILE = "<script>alert(1)</script> </title>\u202e\u0301\x01 &amp; \U0001f600 \u05d0\u05d1"


@pytest.fixture(scope="module")
def model() -> Model:
    return small_model()


def element(page: str, name: str) -> str:
    return page.partition(f'id="{name}">')[2].partition("</script>")[0]


def unpacked(page: str, name: str) -> bytes:
    return zlib.decompress(base64.b64decode(element(page, name)))


def test_the_file_is_complete_and_names_the_hash_of_all_it_runs(model):
    page = export(model, TEXT).html
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy.replace("'wasm-unsafe-eval'", "")
    parts = re.findall(r"<(script|style)>(.*?)</\1>", page, re.S)
    assert len(parts) == len([n for n in page_files() if re.fullmatch(r"\w+\.(js|css)", n)])
    for _, content in parts:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    loaded = re.sub(r'<a href="https://[^"]+" rel="noreferrer">', "", page)  # a link loads nothing
    assert not re.search(r'(src|href)="(?!#)', loaded)
    assert "url(" not in page.replace("url(#", "")  # of the page itself
    assert "@import" not in page


def test_no_text_ends_the_element_that_holds_it(model):
    page = export(model, HOSTILE + "</script><script>alert(2)</script>").html
    assert "alert(" not in page.partition('id="first">')[0]
    data = element(page, "first")
    assert "<" not in data
    assert json.loads(data)["text"].startswith(HOSTILE)


def test_the_model_in_the_file_is_the_model(model, tmp_path):
    page = export(model, TEXT).html
    (tmp_path / "taken.safetensors").write_bytes(unpacked(page, "model.safetensors"))
    taken = Model.load(tmp_path / "taken.safetensors")
    assert repr(taken) == repr(model)
    assert all((taken.weights[name] == values).all() for name, values in model.weights.items())
    assert unpacked(page, "core.wasm") == page_files()["worker/core.wasm"]


def test_a_page_of_8_bits_is_smaller_and_holds_the_rounded_model(model, tmp_path):
    page = export(model, TEXT, bits=8).html
    (tmp_path / "taken.safetensors").write_bytes(unpacked(page, "model.safetensors"))
    model.save(tmp_path / "rounded.safetensors", bits=8)
    taken, rounded = (tmp_path / f"{name}.safetensors" for name in ("taken", "rounded"))
    assert taken.read_bytes() == rounded.read_bytes()
    assert len(page) < len(export(model, TEXT).html) - 30_000


def test_the_worker_is_one_script_of_all_that_it_imports():
    source = worker_source(page_files())
    assert "importScripts" not in source
    files = page_files()
    for name in [n for n in files if n.startswith("worker/") and n.endswith(".js")]:
        lines = files[name].decode().splitlines()
        assert lines[0] in source.splitlines(), name


def test_a_long_text_is_cut_and_the_file_says_so(model, monkeypatch):
    monkeypatch.setattr(guard, "CHARACTERS", 50)
    page = export(model, TEXT)
    first = json.loads(element(page.html, "first"))
    assert (first["text"], first["cut"]) == (TEXT[:50], True)
    assert (page.characters, page.cut) == (50, True)
    assert not export(model, TEXT[:50]).cut


def test_export_writes_a_page_that_opens_on_generating(model, tmp_path, capsys):
    model.save(tmp_path / "small.safetensors")
    command = ["export", str(tmp_path / "small.safetensors"), "--open-on", "generate", "-o"]
    assert main([*command, str(tmp_path / "small.html")]) == 0
    page = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert page == export(model, open_on="generate").html
    assert json.loads(element(page, "first"))["open_on"] == "generate"
    assert main([*command, str(tmp_path / "small.keras")]) == 2
    assert capsys.readouterr().err == (
        "charloom: --open-on: it is for a .html file alone; leave it out\n"
    )
    assert not (tmp_path / "small.keras").exists()


def test_inspect_writes_the_file(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(guard, "CHARACTERS", 50)
    model.save(tmp_path / "small.safetensors")
    (tmp_path / "fox.txt").write_text(TEXT, encoding="utf-8")
    command = ["inspect", str(tmp_path / "small.safetensors"), str(tmp_path / "fox.txt")]
    assert main([*command, "--html", str(tmp_path / "fox.html")]) == 0
    assert "shows the first 50 characters" in capsys.readouterr().err
    assert (tmp_path / "fox.html").read_text(encoding="utf-8") == export(model, TEXT).html


def test_what_makes_no_page_is_refused_before_a_file_is_written(model, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    with pytest.raises(TextError, match="empty"):
        save_page(model, "", path)
    with pytest.raises(TextError, match="empty"):
        save_page(model, iter([]), path)
    known = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), Vocabulary.of("ab"))
    with pytest.raises(UnknownCharacterError):
        save_page(known, "abc", path)
    monkeypatch.setattr(offline, "MOST_WEIGHTS", 1000)
    with pytest.raises(SettingsError, match="10,976 weights; a page holds at most 1,000"):
        save_page(model, TEXT, path)
    assert not path.exists()
