"""The page of 10,000 characters x 512 units x 3 layers is quick, live and as one file.

`python -m pytest tests/browser/test_size.py -s` prints what docs/measurements.md shows; with
CHARLOOM_SIZED, a model file or run with a text after a colon, of that in place of random weights.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_tools import TEXT, served, small_model

from charloom import Model
from charloom.serving.offline.page import export

CHARACTERS = 10_000

LOOKS = {
    "another place": "state.set({ cursor: state.cursor + 3001 })",
    "another unit": "state.set({ unit: 300 })",
    "another quantity": "state.set({ quantity: 'C_t' })",
    "another layer": "state.set({ layer: 0 })",
    "the text by a unit": "state.set({ colorBy: 'unit' })",
    "a selection": "state.set({ selection: [200, 230] })",
}
"""What is done, and then waited for until all that is seen of it is there."""

SEEN = """() => {
  const { layer, unit, quantity, cursor, trace, colorBy, selection } = state;
  const block = Math.floor(cursor / trace.blockSize);
  return heatmap.tiles.has(`${layer} ${quantity} ${block}`)
    && heatmap.curves.values.get(`${layer} ${unit} ${block}`)
    && newspaper.at === `${layer} ${cursor}`
    && (colorBy === "surprisal" || [...text.unitValues.values()].every(Boolean))
    && (!selection || document.querySelector("#places li"));
}"""

FRAMES = """async () => {
  const spent = [];
  for (let n = 0; n < 60; n++) {
    heatmap.frame.scrollLeft += 37;
    const began = performance.now();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    spent.push(performance.now() - began);
  }
  return spent.sort((a, b) => a - b)[30];
}"""


@pytest.fixture(scope="module")
def sized() -> tuple[Model, str]:
    if given := os.environ.get("CHARLOOM_SIZED"):
        model, _, text = given.partition(":")
        return Model.load(model), Path(text).read_text(encoding="utf-8")[-CHARACTERS:]
    text = (TEXT * (CHARACTERS // len(TEXT) + 1))[:CHARACTERS]
    return small_model(hidden_size=512, num_layers=3), text


@pytest.fixture(params=["served", "file"])
def address(request, sized, tmp_path) -> Iterator[str]:
    model, text = sized
    if request.param == "served":
        with served(model, text) as page:
            yield page.address
        return
    began = time.monotonic()
    page = export(model, text)
    path = tmp_path / "page.html"
    path.write_text(page.html, encoding="utf-8")
    spent = time.monotonic() - began
    print(f"\nthe file: {path.stat().st_size / 1e6:.1f} MB in {spent:.1f} s")
    assert page.characters == CHARACTERS
    yield path.as_uri()


def test_what_is_looked_at_is_there_at_once(open_page, address):
    began = time.monotonic()
    page = open_page(address)
    page.wait_for_function(SEEN)
    print(f"\n{address[:4]}: open in {time.monotonic() - began:.2f} s")
    slowest = 0.0
    for name, act in LOOKS.items():
        began = time.monotonic()
        page.evaluate(act)
        page.wait_for_function(SEEN)
        slowest = max(slowest, time.monotonic() - began)
        print(f"{name}: {time.monotonic() - began:.2f} s")
    frame = page.evaluate(FRAMES)
    print(f"a frame while scrolling: {frame:.0f} ms")
    assert frame < 100  # 16 are usual, on a machine that does nothing else
    assert slowest < 5
    assert page.evaluate("document.querySelectorAll('.character').length") < 6000
