// The characters that the model expected at one place, and the one that came.
"use strict";

class AlternativesPanel {
  constructor(state, colors) {
    Object.assign(this, { state, colors });
    state.on(["cursor", "hovered", "trace"], oncePerFrame(() => this.draw()));
    pictures.add({ id: "alternatives-tools", name: "alternatives", size: () => [360, 24 * byId("alternatives").rows.length + 40], paint: (pen) => this.#paint(pen) });
    let pause = 0;
    state.on(["cursor"], () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.#announce(), 300);
    });
  }

  draw() {
    const { trace, inspected: t } = this.state;
    if (!trace || t >= trace.length) return;
    const before = excerpt(trace, t - 24, t);
    byId("context").replaceChildren(
      element("span", before || "start of the text", before ? "" : "start"),
      element("b", glyph(trace.characters[t])),
    );
    byId("surprisal").textContent = surprisal(trace, t);
    byId("surprisal").dataset.at = t;
    byId("alternatives").tBodies[0].replaceChildren(...this.#rows(trace, t));
  }

  #rows(trace, t) {
    if (!trace.ranks[t] || !t || t > trace.readCount) return [];
    const { alternatives, symbols, likeliest, probabilities } = trace;
    const first = (t - 1) * alternatives;
    const most = probabilities[first] || 1;
    const rows = [];
    for (let n = 0; n < alternatives; n++) {
      const probability = probabilities[first + n];
      rows.push(alternativeRow(symbols[likeliest[first + n]], probability, probability / most, n + 1 === trace.ranks[t]));
    }
    if (trace.ranks[t] > alternatives && !trace.unknown.has(t)) {
      const probability = Math.exp(-trace.nats[t]);
      rows.push(alternativeRow(trace.characters[t], probability, probability / most, true));
    }
    return rows;
  }

  // Draws the table as a picture, below the text that stands before the place.
  #paint(pen) {
    const { trace, inspected: t } = this.state;
    const own = this.colors;
    pen.fillStyle = own.paper;
    pen.fillRect(0, 0, 360, 24 * byId("alternatives").rows.length + 40);
    const write = (text, x, y, align, color, font = "14px system-ui, sans-serif") => {
      Object.assign(pen, { font, textAlign: align, textBaseline: "middle", fillStyle: color });
      pen.fillText(text, x, y);
    };
    write(`after “${excerpt(trace, t - 16, t)}”`, 12, 20, "left", own.muted, "14px monospace");
    Array.from(byId("alternatives").rows).forEach((row, n) => {
      const y = 24 * n + 50;
      write(row.cells[0].textContent, 22, y, "center", own.ink, "16px monospace");
      pen.fillStyle = row.classList.contains("came") ? own.amber : own.muted;
      pen.fillRect(44, y - 7, 2.4 * parseFloat(row.querySelector(".bar").style.width), 14);
      write(row.querySelector(".probability").textContent, 348, y, "right", own.ink);
    });
  }

  // Tells a screen reader of the character at the cursor.
  #announce() {
    const { trace, cursor } = this.state;
    if (trace) byId("announcement").textContent = `${described(trace.characters[cursor])}, ${surprisal(trace, cursor)}`;
  }
}

function surprisal(trace, t) {
  if (t >= trace.readCount) return "not read yet";
  const bits = `surprisal ${inBits(trace.nats[t]).toFixed(2)} bits`;
  const unknown = trace.unknown.has(t) ? " · not in the vocabulary" : "";
  if (!trace.ranks[t]) return `${bits} · not predicted: nothing comes before it${unknown}`;
  return `${bits} · rank ${trace.ranks[t]} of ${trace.symbols.length}${unknown}`;
}

function alternativeRow(symbol, probability, length, came) {
  const row = element("tr", "", came ? "came" : "");
  row.dataset.probability = probability;
  const header = element("th", visibleGlyph(symbol));
  header.scope = "row";
  const bar = element("i", "", "bar");
  bar.style.width = `${Math.max(length * 100, 0.5)}%`;
  const track = element("td", "", "track");
  track.append(bar);
  const note = came ? "came" : symbol === "\ufffd" ? "unknown" : "";
  row.append(header, track, element("td", percent(probability), "probability"), element("td", note, "note"));
  return row;
}
