// The characters that the model held likely at one place, and the one that came.
"use strict";

class Weighed {
  constructor(view) {
    this.view = view;
    const draw = soon(() => this.draw());
    view.on(["cursor", "pointed", "passage"], draw);
    let speaking = 0;
    view.on(["cursor"], () => {
      clearTimeout(speaking);
      speaking = setTimeout(() => this.#speak(), 300);
    });
  }

  draw() {
    const { passage, looked: t } = this.view;
    if (!passage || t >= passage.length) return;
    const before = around(passage, t - 24, t);
    byId("context").replaceChildren(
      element("span", before || "at the start", before ? "" : "start"),
      element("b", glyph(passage.cells[t])),
    );
    byId("verdict").textContent = verdict(passage, t);
    byId("verdict").dataset.at = t;
    const body = byId("alternatives").tBodies[0];
    body.replaceChildren(...this.#rows(passage, t));
  }

  #rows(passage, t) {
    if (!passage.ranks[t] || !t || t > passage.read) return [];
    const kept = passage.alternatives;
    const best = passage.probabilities[(t - 1) * kept] || 1;
    const rows = [];
    for (let n = 0; n < kept; n++) {
      const symbol = passage.symbols[passage.after[(t - 1) * kept + n]];
      const share = passage.probabilities[(t - 1) * kept + n];
      rows.push(alternativeRow(symbol, share, share / best, n + 1 === passage.ranks[t]));
    }
    if (passage.ranks[t] > kept && !passage.unknown.includes(t)) {
      const share = Math.exp(-passage.nats[t]);
      rows.push(alternativeRow(passage.cells[t], share, share / best, true));
    }
    return rows;
  }

  #speak() {
    const { passage, cursor } = this.view;
    if (passage) byId("spoken").textContent = `${named(passage.cells[cursor])}, ${verdict(passage, cursor)}`;
  }
}

function verdict(passage, t) {
  if (t >= passage.read) return "not read yet";
  const bits = `${(passage.nats[t] / Math.LN2).toFixed(2)} bits`;
  const odd = passage.unknown.includes(t) ? " · never seen in training" : "";
  if (!passage.ranks[t]) return `${bits} · nothing stands before it${odd}`;
  return `${bits} · number ${passage.ranks[t]} of ${passage.symbols.length}${odd}`;
}

function alternativeRow(symbol, share, length, came) {
  const row = element("tr", "", came ? "came" : "");
  const bar = element("i", "", "bar");
  bar.style.width = `${Math.max(length * 100, 0.5)}%`;
  const track = element("td", "", "track");
  track.append(bar);
  const head = element("th", symbol === " " ? "␣" : glyph(symbol));
  head.scope = "row";
  row.append(head, track, element("td", percent(share), "share"));
  row.dataset.probability = share;
  if (came) row.append(element("td", "came", "note"));
  else row.append(element("td"));
  return row;
}
