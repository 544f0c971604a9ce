"""The live pages of the documentation, from a plain file server: small, soon there, and alive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from charloom import Model
from charloom.serving.offline.page import export

MODELS = sorted((Path(__file__).parents[2] / "docs" / "live").glob("*.safetensors"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_page_with_its_model_is_small_and_reads_and_generates(open_page, site, tmp_path, path):
    model = Model.load(path, precision="float32")
    html = export(model, bits=8).html
    assert len(html.encode()) < 3_000_000
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    page = open_page(site + "page.html")
    spent = page.evaluate("document.body.dataset.ready && performance.now()")
    print(f"\n{path.stem}: {len(html) / 1e3:.0f} kB, read after {spent:.0f} ms")
    page.fill("#length", "60")
    page.fill("#seed", "0")
    page.fill("#count", "1")
    page.fill("#prompt", "The")
    page.click("#generate")
    page.wait_for_selector("#output[data-state=done]")
    text = "".join(page.locator("#output span").all_text_contents())
    assert text == "The" + "".join(model.generate("The", length=60, temperature=0.7))
    page.click("#use-text")
    page.wait_for_function("(n) => state.trace.length === n && state.trace.done", arg=len(text))
    nats = page.evaluate("[...state.trace.nats]")
    assert nats == pytest.approx((-model.trace(text).log_probability).tolist(), abs=1e-6)
