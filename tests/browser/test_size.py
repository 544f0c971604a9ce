"""What is done on a page of 10,000 characters asks for what is seen, not for all of the text.

Nothing here is timed but what `python -m pytest tests/browser/test_size.py -s` prints for
docs/measurements.md: with CHARLOOM_SIZED, a model file or run with a text after a colon, of that
in place of a small network of random weights.
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
    "another unit": "state.set({ unit: 100 })",
    "another quantity": "state.set({ quantity: state.quantity === 'C_t' ? 'h_t' : 'C_t' })",
    "another layer": "state.set({ layer: (state.layer + 1) % state.trace.layers })",
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

COUNT = """() => {
  window.count = { numbers: 0, drawn: 0 };
  for (const name of ["values", "levels", "totals"]) {
    const own = data.source[name].bind(data.source);
    data.source[name] = async (...given) => {
      const found = await own(...given);
      count.numbers += found.length;
      return found;
    };
  }
  for (const name of ["fill", "stroke", "fillRect", "strokeRect", "fillText", "drawImage"]) {
    const own = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) {
      count.drawn += 1;
      return own.apply(this, given);
    };
  }
}"""
"""From now on: the numbers that the page asked for, and the strokes that it drew on canvases."""

FRAMES = """async () => {
  const [spent, drawn] = [[], []];
  for (let n = 0; n < 60; n++) {
    heatmap.frame.scrollLeft += 37;
    const [began, before] = [performance.now(), count.drawn];
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    spent.push(performance.now() - began);
    drawn.push(count.drawn - before);
  }
  return [spent.sort((a, b) => a - b)[30], Math.max(...drawn)];
}"""


@pytest.fixture(scope="module")
def sized() -> tuple[Model, str]:
    if given := os.environ.get("CHARLOOM_SIZED"):
        model, _, text = given.partition(":")
        return Model.load(model), Path(text).read_text(encoding="utf-8")[-CHARACTERS:]
    text = (TEXT * (CHARACTERS // len(TEXT) + 1))[:CHARACTERS]
    return small_model(hidden_size=128, num_layers=3), text


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


def test_what_is_looked_at_costs_what_is_seen_of_it(open_page, address):
    began = time.monotonic()
    page = open_page(address)
    page.wait_for_function(SEEN)
    print(f"\n{address[:4]}: open in {time.monotonic() - began:.2f} s")
    page.evaluate(COUNT)
    units = page.evaluate("state.trace.units")
    for name, act in LOOKS.items():
        began, before = time.monotonic(), page.evaluate("count.numbers")
        page.evaluate(act)
        page.wait_for_function(SEEN)
        asked = page.evaluate("count.numbers") - before
        print(f"{name}: {time.monotonic() - began:.2f} s, {asked:,} numbers")
        # A unit over the whole text, and all units over what is seen: a block or two of it.
        assert 0 < asked < CHARACTERS * units / 3
    spent, drawn = page.evaluate(FRAMES)
    print(f"a frame while scrolling: {spent:.0f} ms, {drawn} strokes")
    assert drawn < 2_000
    assert page.evaluate("document.querySelectorAll('.character').length") < 6000
