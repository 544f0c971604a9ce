// The characters that the model expected at one place, and the one that came.
"use strict";

class AlternativesPanel {
  constructor(state) {
    this.state = state;
    state.on(["cursor", "hovered", "trace"], oncePerFrame(() => this.draw()));
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
  row.append(header, track, element("td", percent(probability), "probability"), element("td", came ? "came" : "", "note"));
  return row;
}
