"""The page in a real browser: what it shows are the numbers of the Python trace."""

from __future__ import annotations

import base64
import itertools
import re

import numpy as np
import pytest
from serving_tools import TEXT, served, small_model

from charloom import Model
from charloom.model.tracing import Trace
from charloom.serving import guard as limits
from charloom.serving.offline.page import export

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>&lt;b&gt;\n"
    "\x01\x1b[31m\x7f\u202eright\u202c \u05d0\u05d1\u05d2 e\u0301\u0327 \U0001f600 \u6f22\u5b57 "
    "\u200b\ufeff\u2028 ${1+1} {{7*7}} '\"`<u>\n"
)
TIMES = "\u00d7"


@pytest.fixture(scope="session")
def trace(model: Model) -> Trace:
    return model.trace(TEXT)


def show(page, **changes):
    """Change what is shown, as the page's own controls do."""
    page.evaluate("(changes) => state.set(changes)", changes)


def shown(value: float, digits: int = 3) -> str:
    text = f"{value:.{digits}f}".replace("-", "\u2212")
    return text if text.strip("\u22120.") else text.lstrip("\u2212")  # zero has no sign


def bounded(name: str, values):
    return values / (1 + abs(values)) if name in ("C_t", "fC_t") else values


def level(name: str, value: float) -> int:
    """Of the 256 colors, the one of a value."""
    value = bounded(name, float(value))
    return round(255 * (value if name in ("f_t", "i_t", "o_t") else (value + 1) / 2))


# Looking.


def test_the_text_is_all_there_and_colored_by_surprisal(shared, trace):
    show(shared, cursor=0, colorBy="surprisal")
    boxes = shared.locator(".character")
    text = "".join(boxes.all_text_contents())
    assert text == TEXT.replace("\n", "↵")[: len(text)]
    fill = shared.evaluate("colors.scales.surprisal.fill")
    painted = shared.evaluate(
        "[...document.querySelectorAll('.character')].map((box) => box.style.backgroundColor)"
    )
    for t in range(0, len(painted), 7):
        at = 255 * min(trace.bits[t] / 8, 1)
        near = {fill[max(int(at) - 1, 0)], fill[int(at)], fill[min(int(at) + 1, 255)]}
        assert as_commas(painted[t]) in {as_commas(colour) for colour in near}


def as_commas(colour: str) -> str:
    return ",".join(re.findall(r"[\d.]+", colour))


def test_under_the_pointer_are_the_characters_that_the_model_expected(shared, trace):
    for t in (1, 30, 77):
        shared.locator(f'.character[data-at="{t}"]').hover()
        shared.wait_for_selector(f'#surprisal[data-at="{t}"]')
        told = shared.inner_text("#surprisal")
        assert f"{trace.bits[t]:.2f} bits" in told
        assert f"rank {trace.rank[t]} of 32" in told
        rows = shared.locator("#alternatives tr")
        symbols = rows.locator("th").all_text_contents()
        names = [symbol for symbol, _ in trace.alternatives(t)]
        assert symbols[:8] == [{" ": "␣", "\n": "↵"}.get(name, name) for name in names]
        shares = [float(row.get_attribute("data-probability")) for row in rows.all()]
        expected = [share for _, share in trace.alternatives(t)]
        np.testing.assert_allclose(shares[:8], expected, rtol=1e-6)
        came = shared.locator("#alternatives tr.came th").inner_text()
        assert came == {" ": "␣", "\n": "↵"}.get(TEXT[t], TEXT[t])
    shared.mouse.move(0, 0)


def test_the_keyboard_goes_where_the_pointer_goes(shared, trace):
    show(shared, cursor=0, hovered=None)
    shared.focus("#text")
    for key in ("ArrowRight", "ArrowRight", "End", "ArrowDown", "ArrowLeft", "Home", "PageDown"):
        shared.keyboard.press(key)
    t = shared.evaluate("state.cursor")
    shared.wait_for_selector(f'#surprisal[data-at="{t}"]')
    assert f"{trace.bits[t]:.2f} bits" in shared.inner_text("#surprisal")
    shared.keyboard.press("Control+Home")
    shared.wait_for_selector('#surprisal[data-at="0"]')
    assert "nothing comes before it" in shared.inner_text("#surprisal")
    shared.keyboard.press("Control+End")
    shared.wait_for_selector(f'#surprisal[data-at="{len(TEXT) - 1}"]')


def test_one_units_numbers_are_those_of_the_trace_to_the_last_bit(shared, trace):
    for layer, unit, t in itertools.product((0, 1), (0, 17), (0, 1, 100, 255, 256, 400)):
        show(shared, layer=layer, unit=unit, cursor=t)
        shared.wait_for_selector(f'#unit-values[data-at="{layer} {unit} {t}"] dd[data-value*="."]')
        items = shared.locator("#unit-values dd").evaluate_all(
            "all => all.map((dd) => [dd.dataset.quantity, dd.dataset.value, dd.innerText])"
        )
        assert len(items) > 5
        for name, given, text in items:
            value = trace.quantities[name][t, layer, unit]
            assert np.float32(given) == value
            assert text.replace("\n", "").endswith(shown(value))


@pytest.mark.parametrize("quantity", ["f_t", "fC_t", "i_t", "g_t", "gi_t", "C_t", "o_t", "h_t"])
def test_the_map_is_colored_by_the_trace(shared, trace, quantity):
    shared.check(f"input[name=quantity][value={quantity}]", force=True)
    show(shared, layer=1, cursor=270, unit=2, hovered=None, selection=None)
    shared.wait_for_function(
        "([q]) => heatmap.tiles.has(`1 ${q} 0`) && heatmap.tiles.has(`1 ${q} 1`)", arg=[quantity]
    )
    look = """([t, u]) => new Promise((resolve) => {
      heatmap.draw();
      requestAnimationFrame(() => requestAnimationFrame(() => {
        const { scale } = state.trace.cell.quantities[state.quantity];
        const x = (t + 0.5) * heatmap.columnWidth - heatmap.frame.scrollLeft;
        const y = heatmap.top + (u + 0.5) * heatmap.rowHeight - heatmap.frame.scrollTop;
        const pen = document.getElementById("canvas").getContext("2d");
        const pixel = [...pen.getImageData(x, y, 1, 1).data.slice(0, 3)];
        resolve([pixel, [...colors.scales[scale.colors].rgba]]);
      }));
    })"""
    for t, u in ((250, 5), (257, 9), (260, 12)):
        pixel, rgba = shared.evaluate(look, [t, u])
        at = level(quantity, trace.quantities[quantity][t, 1, u])
        assert pixel in [rgba[4 * n : 4 * n + 3] for n in (max(at - 1, 0), at, min(at + 1, 255))]


def test_the_text_is_colored_by_a_unit(shared, trace):
    shared.check("input[name=quantity][value=f_t]", force=True)
    shared.check("input[name=color-by][value=unit]", force=True)
    show(shared, layer=0, unit=3, cursor=0)
    shared.wait_for_function("() => text.unitValues.get(0) instanceof Float32Array")
    fill = shared.evaluate("colors.scales.gate.fill")
    for t in range(0, 200, 11):
        box = shared.locator(f'.character[data-at="{t}"]')
        painted = as_commas(box.evaluate("(box) => box.style.backgroundColor"))
        at = level("f_t", trace.f_t[t, 0, 3])
        assert painted in {as_commas(fill[n]) for n in (max(at - 1, 0), at, min(at + 1, 255))}
    shared.check("input[name=color-by][value=surprisal]", force=True)


def test_a_selection_finds_the_units_that_are_active_in_it_and_where_else(shared, trace):
    show(shared, layer=1, quantity="h_t", selection=None)
    start = TEXT.index("the Fox")
    shared.evaluate("document.getElementById('text').scrollTop = 0")
    shared.locator(f'.character[data-at="{start}"]').hover()
    shared.mouse.down()
    shared.locator(f'.character[data-at="{start + 6}"]').hover()
    shared.mouse.up()
    shared.wait_for_selector("#selection-units tr.selected")
    assert shared.evaluate("state.selection") == [start, start + 7]
    values = trace.h_t[:, 1].astype(float)
    inside = np.zeros(len(TEXT), bool)
    inside[start : start + 7] = True
    means = values[inside].mean(axis=0), values[~inside].mean(axis=0)
    spread = sum(part.var(axis=0) * len(part) for part in (values[inside], values[~inside]))
    apart = (means[0] - means[1]) / np.sqrt(spread / len(TEXT))
    best = np.argsort(-abs(apart))[:8]
    rows = shared.locator("#selection-units tbody tr")
    assert [int(row.get_attribute("data-unit")) for row in rows.all()] == best.tolist()
    first = rows.first.locator("td").all_text_contents()
    unit = best[0]
    assert first == [shown(means[0][unit], 2), shown(means[1][unit], 2), shown(apart[unit], 1)]
    middle = (means[0][unit] + means[1][unit]) / 2
    active = (values[:, unit] - middle) * np.sign(apart[unit]) > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(int), [0]])))
    runs = {(a, b) for a, b in edges.reshape(-1, 2).tolist() if b <= start or a >= start + 7}
    listed = shared.locator("#places li").all()
    places = {
        tuple(int(li.get_attribute(f"data-{end}")) for end in ("start", "stop")) for li in listed
    }
    assert places <= runs
    assert f"in {len(runs)} other" in shared.inner_text("#places-title")
    listed[0].locator("button").click()
    assert shared.evaluate("state.cursor") in {a for a, _ in runs}
    shared.focus("#text")
    shared.keyboard.press("Escape")
    assert shared.evaluate("state.selection") is None


# The newspaper.


def test_the_newspaper_is_edited_with_the_numbers_of_the_trace(shared, trace):
    t, layer, unit = 41, 1, 6
    show(shared, layer=layer, unit=unit, cursor=t, hovered=None)
    shared.wait_for_selector(f'#sheet[data-at="{layer} {t}"]')
    q = {name: values[t, layer, unit] for name, values in trace.quantities.items()}
    old = trace.C_before[t, layer, unit]
    row = shared.locator(f'#article tr[data-unit="{unit}"]')
    steps = [
        [shown(old), "", "", ""],
        [f"{shown(old)} {TIMES} {shown(q['f_t'])} = {shown(q['fC_t'])}", "", "", ""],
        [None, f"{shown(q['i_t'])} {TIMES} {shown(q['g_t'])} = ", shown(q["C_t"]), ""],
        [
            None,
            None,
            None,
            f"{shown(q['o_t'])} {TIMES} {shown(np.tanh(q['C_t']))} = {shown(q['h_t'])}",
        ],
    ]
    for step, expected in enumerate(steps):
        shared.click(f'#steps button[data-step="{step}"]')
        shared.wait_for_selector(f'#sheet[data-step="{step}"]')
        told = row.locator(".equation").all_text_contents()
        for cell, text in zip(told, expected, strict=True):
            assert text is None or (cell.startswith(text) if text else cell == "")
    assert row.locator("ins").inner_text().lstrip("+") == shown(q["gi_t"])
    assert row.locator("del").count() == (q["f_t"] < 0.5)


def test_the_headline_is_what_the_model_expects_next(shared, trace):
    show(shared, cursor=20, layer=1, hovered=None)
    shared.click('#steps button[data-step="3"]')
    shared.wait_for_selector('#sheet[data-at="1 20"][data-step="3"]')
    letters = shared.locator("#headline .letter").all()
    for letter, (symbol, share) in zip(letters, trace.alternatives(21), strict=False):
        assert letter.inner_text().startswith({" ": "␣", "\n": "↵"}.get(symbol, symbol))
        told = float(letter.locator("small").inner_text().rstrip(" %"))
        assert told == pytest.approx(100 * share, abs=0.51)


def test_it_steps_and_plays_both_ways(shared):
    show(shared, cursor=4, layer=0, hovered=None)
    shared.click('#steps button[data-step="3"]')
    shared.click("#next")
    shared.wait_for_selector('#sheet[data-at="0 5"][data-step="0"]')
    for _ in range(5):
        shared.click("#back")
    assert shared.evaluate("[state.cursor, newspaper.step]") == [3, 3]
    shared.fill("#speed", "10")
    shared.click("#play-forward")
    shared.wait_for_function("() => state.cursor >= 5")
    shared.click("#play-backward")
    shared.wait_for_selector('#sheet[data-at="0 0"][data-step="0"]')
    shared.wait_for_function("() => newspaper.playing === 0")
    assert shared.inner_text("#headline") == "No headline yet"


# Generating.


@pytest.mark.parametrize("kind", ["address", "file"])
def test_it_generates_what_the_model_generates_and_draws_its_gates(open_page, kind, request, model):
    page = open_page(request.getfixturevalue(kind))
    for name, value in {"prompt": "the ", "temperature": 0.7, "top_k": 12, "top_p": 0.9}.items():
        page.fill(f"#{name}", str(value))
    page.fill("#seed", "4")
    page.fill("#length", "120")
    before = page.evaluate("document.getElementById('gates').toDataURL()")
    page.click("#generate")
    page.wait_for_selector("#output[data-state=done]")
    text = "".join(page.locator("#output span").all_text_contents())
    options = {"temperature": 0.7, "top_k": 12, "top_p": 0.9, "seed": 4}
    expected = "the " + "".join(model.generate("the ", length=120, **options))
    assert text == expected
    assert page.evaluate("document.getElementById('gates').toDataURL()") != before
    page.click("#use-text")
    page.wait_for_function("(n) => state.trace.length === n && state.trace.done", arg=124)
    assert page.evaluate("state.trace.characters.join('')") == expected


@pytest.mark.parametrize("kind", ["address", "file"])
def test_the_gates_of_what_it_generates_are_drawn_in_their_order(open_page, kind, request, model):
    page = open_page(request.getfixturevalue(kind))
    page.evaluate("state.set({layer: 1})")
    page.fill("#prompt", "the ")
    page.fill("#length", "30")
    page.click("#generate")
    page.wait_for_selector("#output[data-state=done]")
    trace = model.trace("".join(page.locator("#output span").all_text_contents()))
    scale = page.evaluate("[...colors.scales.gate.rgba]")
    look = """([column, y]) => [...document.getElementById("gates").getContext("2d")
      .getImageData(GATE_LABELS + column * GATE_COLUMN + 2, y, 1, 1).data.slice(0, 3)]"""
    for band, gate in enumerate((trace.f_t, trace.i_t, trace.o_t)):
        for column, unit in ((0, 3), (29, 3), (29, 20)):
            pixel = page.evaluate(look, [column, int(64 * band + 2 + (unit + 0.5) * 60 / 24)])
            at = round(255 * float(gate[4 + column, 1, unit]))
            near = range(max(at - 1, 0), min(at + 2, 256))
            assert pixel in [scale[4 * n : 4 * n + 3] for n in near]


def test_a_page_asks_again_when_too_many_ask_at_once(open_page, address, monkeypatch):
    page = open_page(address)
    monkeypatch.setattr(limits, "AT_ONCE", 0)
    with page.expect_response(lambda response: response.status == 429):
        page.evaluate("state.set({layer: 0, cursor: 300, unit: 9})")
    monkeypatch.undo()
    page.wait_for_selector('#unit-values[data-at="0 9 300"] dd[data-value*="."]')
    page.wait_for_selector('#sheet[data-at="0 300"]')
    assert page.is_hidden("#error")
    assert all("429" in line for line in page.wrong)  # the browser's own notes of it
    page.wrong.clear()


@pytest.mark.parametrize("kind", ["address", "file"])
def test_generating_can_be_stopped(open_page, kind, request):
    page = open_page(request.getfixturevalue(kind))
    page.fill("#length", "20000")
    page.click("#generate")
    page.wait_for_function("() => document.querySelectorAll('#output span').length > 20")
    page.click("#stop")
    page.wait_for_selector("#output[data-state=done]")
    assert page.evaluate("document.querySelectorAll('#output span').length") < 20_000
    assert page.is_hidden("#error")


# What may go wrong.


@pytest.mark.parametrize("kind", ["served", "file"])
def test_hostile_text_is_shown_as_text(open_page, tmp_path, kind, request):
    model = small_model()
    if kind == "served":
        page = open_page(request.getfixturevalue("address"))
        page.evaluate("(text) => readText(text)", HOSTILE)
        page.wait_for_function("(n) => state.trace.length === n", arg=len(HOSTILE))
    else:
        path = tmp_path / "hostile.html"
        path.write_text(export(model, HOSTILE).html, encoding="utf-8")
        page = open_page(path.as_uri())
    page.wait_for_function("() => state.trace.done")
    text = "".join(page.locator(".character").all_text_contents())
    assert text.startswith(
        "<script>alert(1)</script><img src=x onerror=alert(2)>&lt;b&gt;↵␁␛[31m␡▯"
    )
    assert len(page.locator(".character").all()) == len(HOSTILE)
    for t in range(0, len(HOSTILE), 5):
        page.evaluate("(t) => state.set({cursor: t})", t)
    page.evaluate("(n) => state.set({cursor: n - 1, selection: [n - 9, n - 1]})", len(HOSTILE))
    page.wait_for_selector("#places-title:not([hidden])")
    assert "<u>" in page.inner_text("#context")
    assert "<u>" in page.inner_text("#selection-note")
    assert page.evaluate("document.querySelectorAll('img, u, #text script').length") == 0


def test_a_long_line_is_in_the_page_as_far_as_it_is_seen(open_page, address):
    page = open_page(address)
    page.evaluate("readText('the Fox '.repeat(12500))")
    page.wait_for_function("() => state.trace.length === 100000 && state.trace.done")
    assert page.evaluate("document.querySelectorAll('.character').length") < 6000
    page.focus("#text")
    page.keyboard.press("Control+End")
    page.wait_for_selector('.character.cursor[data-at="99999"]')


def test_only_what_is_seen_is_fetched(open_page, address):
    page = open_page(address)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("readText('the Fox and the Crow '.repeat(476))")  # 9,996 characters
    page.wait_for_function("() => state.trace.length === 9996 && state.trace.done")
    page.wait_for_function("() => heatmap.tiles.size > 0")
    page.evaluate("state.set({colorBy: 'unit'})")
    page.evaluate("document.getElementById('map').scrollLeft = 60000")
    page.wait_for_function("() => heatmap.tiles.size > 1")
    levels = [url for url in asked if "/api/levels" in url]
    assert 2 <= len(levels) <= 5
    assert len([url for url in asked if "/api/values" in url]) <= 20


def test_a_browser_that_cannot_read_base64_itself_gets_the_same_bytes(open_page, file):
    page = open_page(file)
    both = page.evaluate(
        """() => {
          const read = () => [...decoded("AAEC/w==\\n", Uint8Array)];
          const [own, known] = [read(), delete Uint8Array.fromBase64];
          return [own, read(), known && Uint8Array.fromBase64 === undefined];
        }"""
    )
    assert both == [[0, 1, 2, 255], [0, 1, 2, 255], True]


def test_what_the_server_refuses_is_told(open_page, address):
    page = open_page(address)
    page.evaluate("readText('a'.repeat(100001))")
    page.wait_for_selector("#error:not([hidden])")
    assert "at most 100,000 are read here" in page.inner_text("#error")
    assert any("413" in line for line in page.wrong)  # the browser's own note of it
    page.wrong.clear()


def test_a_plain_rnn_has_a_page_too(open_page):
    with served(small_model(cell="rnn")) as server:
        page = open_page(server.address)
        page.wait_for_selector("#sheet[data-at]")
        assert "no article and no gates" in page.inner_text("#summary")
        assert page.locator("input[name=quantity]").count() == 1


OTHER = """{
  quantities: {
    r_t: { symbol: "r", name: "reset gate", meaning: "", scale: GATE, curve: ["ink", "dashed"] },
    z_t: { symbol: "z", name: "update gate", meaning: "", scale: GATE, curve: ["ink", "solid"] },
    n_t: { symbol: "n", name: "candidate", meaning: "", scale: SIGNED, curve: ["ink", "dotted"] },
    h_t: { symbol: "h", name: "state", meaning: "", scale: SIGNED, curve: ["ink", "solid"] },
  },
  plots: [
    { scale: GATE, quantities: ["r_t", "z_t"] },
    { scale: SIGNED, quantities: ["n_t", "h_t"] },
  ],
  carried: "h_t",
  newspaper: {
    headings: ["old h * z", "(1 - z) * n", "new h", "shown"],
    flow: ({ before, z_t, n_t, h_t }) => ({
      old: before, keep: z_t, kept: z_t.map((z, u) => z * before[u]),
      added: n_t.map((n, u) => (1 - z_t[u]) * n), article: h_t, headline: h_t,
    }),
    equations: ({ before, z_t, n_t, h_t }, show) => ({
      old: show(before), kept: ` * ${show(z_t)}`, candidate: `${show(1 - z_t)} * ${show(n_t)} = `,
      added: show((1 - z_t) * n_t), article: show(h_t), headline: show(h_t),
    }),
    drawn: (value) => value,
    steps: [
      { shows: "old", title: "Before", summary: () => "", caption: "" },
      { shows: "kept", title: "Keep", summary: () => "", caption: "" },
      { shows: "headline", title: "After", summary: () => "", caption: "" },
    ],
  },
}"""


def test_a_further_cell_is_one_entry_of_the_record(open_page, address):
    characters, units = list("a fox"), 3
    T = len(characters)
    random = np.random.default_rng(5)
    r, z = random.random((2, T, units), np.float32)
    n = 2 * random.random((T, units), np.float32) - 1
    h = np.zeros((T + 1, units), np.float32)  # h[-1], the last, is the state before the first
    for t in range(T):
        h[t] = z[t] * h[t - 1] + (1 - z[t]) * n[t]
    quantities = {"r_t": r, "z_t": z, "n_t": n, "h_t": h[:T]}

    def encoded(values) -> str:
        return base64.b64encode(np.asarray(values).tobytes()).decode()

    block = {
        "start": 0,
        "nats": encoded(np.ones(T, np.float32)),
        "ranks": encoded(np.ones(T, np.int32)),
        "after": encoded(np.zeros(T, np.int32)),
        "probabilities": encoded(np.ones(T, np.float32)),
    }
    stored = {
        "cell": "other",
        "model": "Model(other)",
        "layers": 1,
        "units": units,
        "lines": False,
        "quantities": list(quantities),
        "block": 256,
        "cells": characters,
        "unknown": [],
        "symbols": characters,
        "alternatives": 1,
        "speaks": encoded(np.zeros((2, units), np.int32)),
        "before": encoded(np.zeros((1, units), np.float32)),
    }
    numbers = {name: encoded(values) for name, values in quantities.items()}
    page = open_page(address)
    page.evaluate(
        f"""([heading, block, numbers]) => {{
          CELLS.other = {OTHER};
          const trace = newTrace(withArrays(heading));
          addBlock(trace, withArrays(block));
          trace.done = true;
          const every = (name) => [...decoded(numbers[name], Float32Array)];
          Object.assign(data, {{
            async read(text, changed) {{
              changed(trace);
            }},
            async values(layer, names, start, stop, unit) {{
              const wanted = (_, n) => unit === undefined || n % trace.units === unit;
              const range = [start * trace.units, stop * trace.units];
              const found = names.map((name) => every(name).slice(...range).filter(wanted));
              return Float32Array.from(found.flat());
            }},
            async levels(layer, name, start, stop) {{
              const {{ scale }} = CELLS.other.quantities[name];
              const values = await data.values(layer, [name], start, stop);
              return Uint8Array.from(values, (value) => Math.round(255 * scale.position(value)));
            }},
            async totals(layer, name) {{
              const totals = new Float64Array(2 * trace.units);
              every(name).forEach((value, n) => {{
                totals[n % trace.units] += value;
                totals[trace.units + (n % trace.units)] += value ** 2;
              }});
              return totals;
            }},
          }});
          return readText("");
        }}""",
        [stored, block, numbers],
    )
    names = ["reset r", "update z", "candidate n", "state h"]
    assert page.locator("#quantities label").all_inner_texts() == names
    assert page.locator("#steps button").all_inner_texts() == ["Before", "Keep", "After"]
    unit, t = 2, 3
    show(page, unit=unit, cursor=t, phase=2, quantity="z_t", colorBy="unit")
    page.wait_for_selector('#sheet[data-at="0 3"][data-step="2"]')
    page.wait_for_selector('#unit-values[data-at="0 2 3"] dd[data-value*="."]')
    told = page.locator("#unit-values dd b").all_inner_texts()
    assert told == [shown(values[t, unit]) for values in quantities.values()]
    assert page.locator(f'#article tr[data-unit="{unit}"] .equation').all_inner_texts() == [
        f"{shown(h[t - 1, unit])} * {shown(z[t, unit])}",
        f"{shown(1 - z[t, unit])} * {shown(n[t, unit])} = "
        + ("+" if n[t, unit] > 0 else "")
        + shown((1 - z[t, unit]) * n[t, unit]),
        shown(h[t, unit]),
        shown(h[t, unit]),
    ]
    show(page, selection=[1, 3])
    page.wait_for_selector("#selection-units tr.selected")
    assert "The reset and update gates" in page.inner_text("#gates-note")
    assert not re.search("forget|input gate|output gate", page.inner_text("body"))


def test_a_cell_that_the_page_does_not_know_is_named(open_page, address):
    page = open_page(address)
    page.evaluate("data.read = async () => newTrace({cell: 'sru'}); readText('')")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error") == "this page cannot show the cell sru"


def test_one_of_a_thing_is_named_in_the_singular(open_page):
    with served(small_model(cell="rnn", num_layers=1, hidden_size=1), "a") as server:
        page = open_page(server.address)
        page.wait_for_selector("#sheet[data-at]")
        assert page.inner_text("#total").startswith("1 character; ")
        assert not re.search(r"\b1 \w+s\b", page.inner_text("body"))


def test_lines_begin_with_no_article(open_page, tmp_path):
    model = small_model(lines=True)
    path = tmp_path / "lines.html"
    path.write_text(export(model, TEXT).html, encoding="utf-8")
    trace = model.trace(TEXT)
    feed = TEXT.index("\n")
    with served(model) as server:
        for address in (server.address, path.as_uri()):
            page = open_page(address)
            for t in (0, feed, feed + 1):
                page.evaluate("(t) => state.set({cursor: t, layer: 0, unit: 5})", t)
                page.wait_for_selector(f'#sheet[data-at="0 {t}"]')
                page.click('#steps button[data-step="0"]')
                page.wait_for_selector('#sheet[data-step="0"]')
                told = page.locator('#article tr[data-unit="5"] .equation').first.inner_text()
                page.click('#steps button[data-step="3"]')
                page.wait_for_selector('#sheet[data-step="3"]')
                assert told == shown(trace.C_before[t, 0, 5])


# How it looks.


@pytest.mark.parametrize("width", [400, 760, 1120, 1600])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(open_page, address, pictures, width, theme):
    page = open_page(address, width=width, theme=theme)
    page.evaluate("state.set({cursor: 40, selection: [28, 35], unit: 6})")
    page.wait_for_selector("#places li")
    page.fill("#length", "150")
    page.click("#generate")
    page.wait_for_selector("#output[data-state=done]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast = page.evaluate(
        """() => {
          const light = (colour) => luminance(colour.match(/[\\d.]+/g).slice(0, 3).map(Number));
          const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          const paper = light(colors.paper);
          const least = [ratio(light(colors.ink), paper), ratio(light(colors.muted), paper)];
          const controls = "button, select, textarea, [type=number], [type=text]";
          for (const control of document.querySelectorAll(controls)) {
            const { color, backgroundColor, borderColor, borderWidth } = getComputedStyle(control);
            const own = backgroundColor === "rgba(0, 0, 0, 0)" ? paper : light(backgroundColor);
            least.push(ratio(light(color), own));
            // 3 to 1 is asked of an edge, by WCAG 1.4.11; the filled ones need none
            const edge = light(borderColor);
            const edged = parseFloat(borderWidth) && !control.closest("#places, .steps");
            if (edged && edge !== own) least.push(1.5 * ratio(edge, paper));
          }
          for (const { fill, dark } of Object.values(colors.scales)) {
            fill.forEach((colour, n) => least.push(ratio(light(colour), dark[n] ? 1 : 0)));
          }
          return Math.min(...least);
        }"""
    )
    assert contrast >= 4.5
    if pictures:
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=pictures / f"page-{width}-{theme}.png", full_page=True)


def test_blue_and_amber_stay_apart_for_the_colour_blind(open_page, address):
    page = open_page(address)
    rgba = np.array(page.evaluate("[...colors.scales.signed.rgba]")).reshape(256, 4)[:, :3]
    linear = (rgba / 255) ** 2.2
    # Viénot, Brettel and Mollon 1999: what is left without the long or the middle cones.
    without = {
        "long": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        "middle": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    }
    for matrix in without.values():
        seen = (linear @ np.array(matrix).T).clip(0, 1) ** (1 / 2.2)
        for n in (0, 32, 64, 96):
            assert abs(seen[n] - seen[255 - n]).max() > 0.12


def test_the_theme_is_chosen_and_remembered(open_page, address):
    page = open_page(address)
    paper = page.evaluate("colors.paper")
    page.click("#theme")
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: dark"
    assert page.evaluate("colors.paper") != paper
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.inner_text("#theme") == "Theme: dark"


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(open_page, address):
    page = open_page(address)
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, textarea, [tabindex]')]
          .filter((e) => !(e.textContent.trim() || e.labels?.length || e.ariaLabel || e.title))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {
        "text",
        "map",
        "unit",
        "layer",
        "column-width",
        "next",
        "play-forward",
        "generate",
    } <= reached
