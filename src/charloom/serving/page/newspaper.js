// One character arrives, and the newspaper is edited: yesterday's article, what the forget
// gate strikes out of it, what the input gate writes in, and the headline taken from it.
// Four steps for each character, to be played forwards and backwards.
"use strict";

const LINES = { wide: 9, narrow: 5 }; // of the article that are shown: those that change most
const LABELS = ["old × f = fC", "i × g = gi", "C", "o · tanh C = h"];
const SHOWN = { OLD: 0, STRUCK: 1, WRITTEN: 2, HEADLINE: 3 };

class Newspaper {
  constructor(view, source, colours) {
    Object.assign(this, { view, source, colours });
    this.phase = SHOWN.HEADLINE;
    this.playing = 0; // 1 forwards, -1 backwards
    this.draw = soon(() => this.#draw());
    view.on(["cursor", "layer", "passage"], () => this.#fetch());
    view.on(["unit"], this.draw);
    byId("back").addEventListener("click", () => this.#pressed(-1));
    byId("next").addEventListener("click", () => this.#pressed(1));
    byId("reverse").addEventListener("click", () => this.play(this.playing === -1 ? 0 : -1));
    byId("forward").addEventListener("click", () => this.play(this.playing === 1 ? 0 : 1));
    byId("phases").addEventListener("click", (event) => {
      const phase = event.target.closest("button")?.dataset.phase;
      if (phase === undefined) return;
      this.play(0);
      this.phase = Number(phase);
      this.draw();
    });
    for (const item of byId("phases").children) {
      const button = element("button", item.textContent);
      button.type = "button";
      button.dataset.phase = item.dataset.phase;
      item.replaceChildren(button);
    }
    byId("plate").addEventListener("click", (event) => {
      const { passage } = this.view;
      const unit = Math.floor(event.offsetY / this.square) * this.across + Math.floor(event.offsetX / this.square);
      if (passage && unit < passage.units && event.offsetX < this.across * this.square) this.view.set({ unit });
    });
    new ResizeObserver(this.draw).observe(byId("sheet"));
  }

  #pressed(direction) {
    this.play(0);
    this.step(direction);
  }

  // One of the four steps on, or back; false at the end of the text.
  step(direction) {
    const { passage, cursor } = this.view;
    if (!passage) return false;
    const place = cursor * 4 + this.phase + direction;
    if (place < 0 || place >= passage.length * 4) return false;
    this.phase = place % 4;
    if (Math.floor(place / 4) !== cursor) this.view.set({ cursor: Math.floor(place / 4), pointed: null });
    else this.draw();
    return true;
  }

  play(direction) {
    this.playing = direction;
    byId("forward").setAttribute("aria-pressed", direction === 1);
    byId("reverse").setAttribute("aria-pressed", direction === -1);
    clearTimeout(this.timer);
    const tick = () => {
      if (!this.playing) return;
      if (!this.step(this.playing)) return this.play(0);
      this.timer = setTimeout(tick, 2400 / Number(byId("pace").value) ** 1.3);
    };
    if (direction) this.timer = setTimeout(tick, 120);
  }

  async #fetch() {
    const { passage, layer, cursor: t } = this.view;
    if (!passage?.done) return;
    const key = `${layer} ${t}`;
    this.wanted = key;
    try {
      const now = await this.source.values(layer, passage.quantities, t, t + 1);
      const old = await this.#articleBefore(passage, layer, t);
      if (this.wanted !== key || this.view.passage !== passage) return;
      const { units } = passage;
      this.values = Object.fromEntries(passage.quantities.map((q, n) => [q, now.subarray(n * units, (n + 1) * units)]));
      this.values.old = old;
      this.at = key;
      this.draw();
    } catch (error) {
      complain(error);
    }
  }

  async #articleBefore(passage, layer, t) {
    const { units, before } = passage;
    if (passage.cell !== "lstm" || startsNew(passage, t)) return new Float32Array(units);
    if (t === 0) return before.subarray(layer * units, (layer + 1) * units);
    return this.source.values(layer, ["C_t"], t - 1, t);
  }

  #draw() {
    const { passage, cursor: t, layer } = this.view;
    if (!passage || !this.values || this.at !== `${layer} ${t}`) return;
    const lstm = passage.cell === "lstm";
    const sheet = byId("sheet");
    sheet.dataset.phase = this.phase;
    sheet.dataset.at = this.at;
    for (const button of byId("phases").querySelectorAll("button")) {
      button.setAttribute("aria-current", Number(button.dataset.phase) === this.phase ? "step" : "false");
    }
    byId("dateline").textContent = `Character ${t + 1} of ${passage.length} · ${named(passage.cells[t])} arrives after “${around(passage, t - 16, t)}” · layer ${layer + 1} of ${passage.layers}`;
    this.#drawHeadline(passage, t);
    byId("article").hidden = !lstm;
    byId("phases").hidden = byId("bars-note").hidden = !lstm;
    if (lstm) {
      byId("story").textContent = this.#story();
      byId("article").tBodies[0].replaceChildren(...this.#lines().map((unit) => this.#line(unit)));
    } else byId("story").textContent = "A plain RNN has no article and no gates: all that it knows is rewritten with every character, and shown.";
    this.#drawPlate();
  }

  // What the paper says now: the characters that it expects, as large as they are likely.
  #drawHeadline(passage, t) {
    const at = this.phase === SHOWN.HEADLINE ? t : t - 1;
    const headline = byId("headline");
    headline.classList.toggle("yesterday", at !== t);
    if (at < 0) return headline.replaceChildren(element("span", "No headline yet", "none"));
    const words = [];
    for (let n = 0; n < Math.min(6, passage.alternatives); n++) {
      const share = passage.probabilities[at * passage.alternatives + n];
      if (n && share < 0.01) break;
      const symbol = passage.symbols[passage.after[at * passage.alternatives + n]];
      const word = element("span", symbol === " " ? "␣" : glyph(symbol), "letter");
      word.style.fontSize = `${(1 + 2.4 * Math.sqrt(share)).toFixed(2)}rem`;
      word.append(element("small", percent(share)));
      words.push(word);
    }
    headline.replaceChildren(element("span", at === t ? "Next:" : "Yesterday:", "says"), ...words);
  }

  #story() {
    const { old, fC_t, gi_t, h_t, C_t } = this.values;
    const total = (values) => values.reduce((sum, value) => sum + Math.abs(value), 0);
    const had = total(old);
    const struck = had ? total(old.map((value, u) => value - fC_t[u])) / had : 0;
    const makesUp = total(fC_t) + total(gi_t);
    const added = makesUp ? total(gi_t) / makesUp : 0;
    const squeezed = total(C_t.map(Math.tanh));
    const shown = squeezed ? total(h_t) / squeezed : 0;
    return [
      `The article as it stood: ${old.length} units, ${number(had, 1)} in all.`,
      `The forget gate strikes out ${percent(struck)} of it.`,
      `The input gate writes in ${number(total(gi_t), 1)}: ${percent(added)} of what makes up the new article.`,
      `The output gate shows ${percent(shown)} of the article as the headline.`,
    ][this.phase];
  }

  // The units of which most is rewritten that can be seen, and the chosen one, in their order.
  #lines() {
    const { old, fC_t, C_t } = this.values;
    const seen = Math.tanh;
    const lines = byId("sheet").clientWidth < 560 ? LINES.narrow : LINES.wide;
    const edited = (u) => Math.abs(seen(old[u]) - seen(fC_t[u])) + Math.abs(seen(C_t[u]) - seen(fC_t[u]));
    const best = Array.from(old.keys()).sort((a, b) => edited(b) - edited(a)).slice(0, lines);
    return [...new Set([...best, this.view.unit])].sort((a, b) => a - b);
  }

  #line(u) {
    const { old, f_t, fC_t, i_t, g_t, gi_t, C_t, o_t, h_t } = Object.fromEntries(
      Object.entries(this.values).map(([name, values]) => [name, values[u]]));
    const { passage, layer, unit } = this.view;
    const phase = this.phase;
    const row = element("tr", "", u === unit ? "chosen" : "");
    row.dataset.unit = u;
    const head = element("th");
    head.scope = "row";
    const pick = element("button", String(u));
    pick.type = "button";
    pick.addEventListener("click", () => this.view.set({ unit: u }));
    head.append(pick);
    if (layer === passage.layers - 1) {
      const side = h_t >= 0 ? u : passage.units + u;
      const symbol = passage.symbols[passage.speaks[side]];
      head.append(element("small", ` for ${symbol === " " ? "␣" : glyph(symbol)}`));
    }
    const shown = (value) => number(value, passage.digits);
    const kept = phase < SHOWN.STRUCK
      ? sum(shown(old))
      : sum(element(f_t < 0.5 ? "del" : "span", shown(old)), ` × ${shown(f_t)} = ${shown(fC_t)}`);
    const added = phase < SHOWN.WRITTEN
      ? sum()
      : sum(`${shown(i_t)} × ${shown(g_t)} = `, element("ins", (gi_t < 0 ? "" : "+") + shown(gi_t)));
    const result = phase < SHOWN.WRITTEN ? sum() : sum(element("b", shown(C_t)));
    const said = phase < SHOWN.HEADLINE
      ? sum()
      : sum(`${shown(o_t)} · ${shown(Math.tanh(C_t))} = ${shown(h_t)}`);
    [kept, added, result, said].forEach((cell, n) => (cell.dataset.label = LABELS[n]));
    row.append(head, this.#picture(old, fC_t, C_t, h_t), kept, added, result, said);
    return row;
  }

  // Bars from the middle: what was, the part of it that is struck out, what is added, and, thin,
  // the headline. Drawn through tanh, as the output gate sees the article.
  #picture(old, kept, now, said) {
    const cell = element("td", "", "picture");
    const frame = element("div", "", "bars");
    const bar = (className, ...ends) => {
      const [low, high] = ends.map(Math.tanh).sort((a, b) => a - b);
      const made = element("i", "", className);
      made.style.left = `${50 + 50 * low}%`;
      made.style.width = `${Math.max(50 * (high - low), 0.4)}%`;
      frame.append(made);
    };
    if (this.phase === SHOWN.OLD) bar("was", 0, old);
    else {
      bar("was", 0, kept);
      bar("struck", kept, old);
    }
    if (this.phase >= SHOWN.WRITTEN) bar(now >= kept ? "added up" : "added down", kept, now);
    if (this.phase >= SHOWN.HEADLINE) bar("said", 0, Math.atanh(said));
    cell.append(frame);
    return cell;
  }

  // Every unit as a square: its ink, struck through or written over as the step has it.
  #drawPlate() {
    const { passage, unit } = this.view;
    const canvas = byId("plate");
    const room = Math.max(canvas.parentElement.clientWidth, 120);
    const { units } = passage;
    this.across = Math.max(8, Math.ceil(Math.sqrt(units * 1.2)));
    this.square = Math.max(6, Math.min(28, Math.floor(room / this.across)));
    const high = Math.ceil(units / this.across) * this.square;
    const ratio = devicePixelRatio || 1;
    canvas.width = this.across * this.square * ratio;
    canvas.height = high * ratio;
    canvas.style.width = `${this.across * this.square}px`;
    canvas.style.height = `${high}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const lstm = passage.cell === "lstm";
    const { old, f_t, fC_t, gi_t, C_t, h_t } = this.values;
    const ink = lstm ? [old, fC_t, C_t, h_t][this.phase] : h_t;
    const quantity = lstm && this.phase < SHOWN.HEADLINE ? "C_t" : "h_t";
    const { fill, dark } = this.colours.scales.signed;
    for (let u = 0; u < units; u++) {
      const [x, y] = [(u % this.across) * this.square, Math.floor(u / this.across) * this.square];
      const level = Math.round(placeOf(quantity, ink[u]) * 255);
      pen.fillStyle = fill[level];
      pen.fillRect(x + 0.5, y + 0.5, this.square - 1, this.square - 1);
      pen.strokeStyle = pen.fillStyle = dark[level] ? "white" : "black";
      if (lstm && this.phase === SHOWN.STRUCK && Math.abs(old[u]) > 0.05 && f_t[u] < 0.9) {
        pen.globalAlpha = 1 - f_t[u];
        pen.lineWidth = Math.max(1, this.square / 9);
        line(pen, x + 1, y + this.square / 2, this.square - 2);
        pen.globalAlpha = 1;
      }
      if (lstm && this.phase === SHOWN.WRITTEN) {
        pen.beginPath();
        pen.arc(x + this.square / 2, y + this.square / 2, Math.sqrt(Math.abs(gi_t[u])) * this.square * 0.25, 0, 7);
        if (gi_t[u] > 0) pen.fill();
        else pen.stroke();
      }
    }
    frame(pen, this.colours.paper, this.colours.accent, (unit % this.across) * this.square, Math.floor(unit / this.across) * this.square, this.square, this.square);
    byId("plate-note").textContent = lstm
      ? [
          `All ${units} units as they stood.`,
          "What is left of them; a line strikes out what the forget gate closes on.",
          "The new article; a dot is written in, full if it adds, hollow if it takes away.",
          "The headline: what the output gate lets be seen.",
        ][this.phase]
      : `All ${units} units.`;
  }
}

// A cell of the table with an equation in it.
function sum(...parts) {
  const cell = element("td", "", "sum");
  if (!parts.length) return cell;
  const whole = element("span");
  whole.append(...parts);
  cell.append(whole);
  return cell;
}
