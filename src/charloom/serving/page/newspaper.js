// One character arrives, and the newspaper is edited: yesterday's article, what is struck out
// of it, what is written in, and the headline taken from it. The cell says what its steps are;
// they are played forward and backward. A story (tour.js) takes the place of the model's numbers.
"use strict";

const STAGES = ["old", "kept", "added", "headline"]; // how far an edit is shown
const SQUARES_HEIGHT = 180; // pixels, of all units, where they are not too many
const UNITS_LISTED = { wide: 9, narrow: 5 }; // those that are edited most

class NewspaperPanel {
  constructor(state, data, colors) {
    Object.assign(this, { state, data, colors });
    this.picture = new CellPanel(colors);
    this.playing = 0; // 1 forward, -1 backward
    this.draw = oncePerFrame(() => this.#draw());
    state.on(["trace", "story"], () => this.#makeSteps());
    state.on(["story"], () => this.play(0));
    state.on(["trace"], () => (this.at = null));
    state.on(["cursor", "layer", "trace"], () => this.#fetch());
    state.on(["unit", "phase", "story"], this.draw);
    byId("back").addEventListener("click", () => this.#stepOnce(-1));
    byId("next").addEventListener("click", () => this.#stepOnce(1));
    byId("play-backward").addEventListener("click", () => this.play(this.playing === -1 ? 0 : -1));
    byId("play-forward").addEventListener("click", () => this.play(this.playing === 1 ? 0 : 1));
    byId("all-units").addEventListener("click", (event) => {
      const { trace } = this.state;
      const column = Math.floor(event.offsetX / this.square);
      const unit = Math.floor(event.offsetY / this.square) * this.squaresPerRow + column;
      if (trace && unit < trace.units && column < this.squaresPerRow) this.#shown.select(unit);
    });
    pictures.add({ id: "all-units-tools", name: "all-units", size: () => this.#sizeOfAllUnits(), paint: (pen) => this.#paintAllUnits(pen) });
    new ResizeObserver(this.draw).observe(byId("sheet"));
  }

  get steps() {
    return this.cell.newspaper.steps;
  }

  // Which of them is shown.
  get step() {
    return Math.min(this.state.phase, this.steps.length - 1);
  }

  // What is drawn: the model's numbers, or a story's.
  get #shown() {
    const { story, unit } = this.state;
    if (story) return { ...story, select: (chosen) => this.state.set({ story: { ...story, unit: chosen } }) };
    return { values: this.values, flow: this.flow, unit, select: (chosen) => this.state.set({ unit: chosen }) };
  }

  // Whether a stage is reached at the step that is shown.
  reached(stage) {
    return STAGES.indexOf(this.steps[this.step].shows) >= STAGES.indexOf(stage);
  }

  #makeSteps() {
    const cell = this.state.story?.cell ?? this.state.trace?.cell;
    if (!cell || cell === this.cell) return;
    this.cell = cell;
    byId("steps").replaceChildren(...this.steps.map(({ title }, step) => {
      const button = element("button", title);
      button.type = "button";
      button.dataset.step = step;
      button.addEventListener("click", () => {
        this.play(0);
        this.state.set({ phase: step });
      });
      const item = element("li");
      item.append(button);
      return item;
    }));
    const { headings = [], drawnNote } = cell.newspaper;
    byId("steps").hidden = this.steps.length < 2;
    byId("article").hidden = byId("article-note").hidden = byId("gates-told").hidden = !headings.length;
    byId("drawn-note").textContent = drawnNote ?? "";
    byId("article").querySelectorAll("thead .equation").forEach((header, n) => (header.textContent = headings[n]));
  }

  #stepOnce(direction) {
    this.play(0);
    this.move(direction);
  }

  // Goes one step on, or back; false at an end of the text.
  move(direction) {
    const { trace, cursor, story } = this.state;
    if (!trace) return false;
    const steps = this.steps.length;
    if (story) {
      const phase = Math.min(Math.max(this.step + direction, 0), steps - 1);
      if (phase === this.step) return false;
      this.state.set({ phase });
      return true;
    }
    const place = cursor * steps + this.step + direction;
    if (place < 0 || place >= trace.length * steps) return false;
    this.state.set({ cursor: Math.floor(place / steps), phase: place % steps, hovered: null });
    return true;
  }

  play(direction) {
    this.playing = direction;
    byId("play-forward").setAttribute("aria-pressed", direction === 1);
    byId("play-backward").setAttribute("aria-pressed", direction === -1);
    clearTimeout(this.timer);
    const tick = () => {
      if (!this.playing) return;
      if (!this.move(this.playing)) return this.play(0);
      this.timer = setTimeout(tick, 2400 / Number(byId("speed").value) ** 1.3);
    };
    if (direction) this.timer = setTimeout(tick, 120);
  }

  async #fetch() {
    const { trace, layer, cursor: t } = this.state;
    if (!trace?.done) return;
    const key = `${layer} ${t}`;
    this.wanted = key;
    try {
      const now = await this.data.values(layer, trace.quantities, t, t + 1);
      const before = await this.#carriedBefore(trace, layer, t);
      if (this.wanted !== key || this.state.trace !== trace) return;
      const { units, quantities, cell } = trace;
      this.values = Object.fromEntries(quantities.map((name, n) => [name, now.subarray(n * units, (n + 1) * units)]));
      this.values.before = before;
      this.flow = cell.newspaper.flow(this.values);
      this.at = key;
      this.draw();
    } catch (error) {
      showError(error);
    }
  }

  async #carriedBefore(trace, layer, t) {
    const { units, initial, cell } = trace;
    if (startsLine(trace, t)) return new Float32Array(units);
    if (t === 0) return initial.subarray(layer * units, (layer + 1) * units);
    return this.data.values(layer, [cell.carried], t - 1, t);
  }

  #draw() {
    const { trace, cursor: t, layer, story } = this.state;
    if (!trace || (!story && (!this.flow || this.at !== `${layer} ${t}`))) return;
    const sheet = byId("sheet");
    sheet.dataset.step = this.step;
    sheet.dataset.at = story ? "story" : this.at;
    for (const button of byId("steps").querySelectorAll("button")) {
      button.setAttribute("aria-current", Number(button.dataset.step) === this.step ? "step" : "false");
    }
    const shown = this.#shown;
    byId("dateline").textContent = story ? story.dateline : this.#dateline(trace, t);
    if (story) byId("headline").replaceChildren(element("span", story.headlines[Number(this.reached("headline"))], "story"));
    else this.#drawHeadline(trace, t);
    byId("summary").textContent = story ? story.told[this.step] : this.steps[this.step].summary(shown.flow);
    byId("all-units").parentElement.hidden = byId("strip").hidden = byId("named-label").hidden = byId("named-note").hidden = byId("article-which").hidden = Boolean(story);
    if (shown.flow.article) byId("article").tBodies[0].replaceChildren(...this.#unitsListed(shown).map((unit) => this.#row(unit, shown)));
    if (!story) this.#drawAllUnits();
    const of = (arrays) => Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, values[shown.unit]]));
    this.picture.draw(this.cell, {
      values: of(shown.values),
      flow: of(shown.flow),
      stage: this.steps[this.step].shows,
      reached: (stage) => this.reached(stage),
      title: story ? `“${story.names[shown.unit]}”` : `unit ${shown.unit} of layer ${layer + 1}`,
      read: story ? story.read : visibleGlyph(trace.characters[t]),
      readLabel: story?.readLabel,
      show: (value) => number(value),
    });
  }

  #dateline(trace, t) {
    const before = t ? `after “${excerpt(trace, t - 16, t)}”` : "at the start of the text";
    return `Character ${(t + 1).toLocaleString("en")} of ${trace.length.toLocaleString("en")}: ${described(trace.characters[t])} ${before} · layer ${this.state.layer + 1} of ${trace.layers}`;
  }

  // The characters that the model expects next, as large as they are likely: until the new
  // headline is taken, what it expected before this character.
  #drawHeadline(trace, t) {
    const now = this.reached("headline");
    const at = now ? t : t - 1;
    const headline = byId("headline");
    headline.classList.toggle("yesterday", !now);
    if (at < 0) return headline.replaceChildren(element("span", "No headline yet", "lead"));
    const letters = [];
    for (let n = 0; n < Math.min(6, trace.alternatives); n++) {
      const probability = trace.probabilities[at * trace.alternatives + n];
      if (n && probability < 0.01) break;
      const letter = element("span", visibleGlyph(trace.symbols[trace.likeliest[at * trace.alternatives + n]]), "letter");
      letter.style.fontSize = `${(1 + 2.4 * Math.sqrt(probability)).toFixed(2)}rem`;
      letter.append(element("small", percent(probability)));
      letters.push(letter);
    }
    headline.replaceChildren(element("span", now ? "Headline: next comes" : "Yesterday’s headline: next comes", "lead"), ...letters);
  }

  // The units whose article is edited most, as it is drawn, and the selected one, in their order.
  #unitsListed({ flow: { old, kept, article }, unit, names }) {
    if (names) return names.map((_, n) => n);
    const { drawn } = this.cell.newspaper;
    const count = byId("sheet").clientWidth < 560 ? UNITS_LISTED.narrow : UNITS_LISTED.wide;
    const edited = (u) => Math.abs(drawn(old[u]) - drawn(kept[u])) + Math.abs(drawn(article[u]) - drawn(kept[u]));
    const others = Array.from(old.keys()).filter((u) => u !== unit).sort((a, b) => edited(b) - edited(a));
    return [unit, ...others.slice(0, count)].sort((a, b) => a - b); // always as many: nothing below moves
  }

  #row(u, { values, flow: flows, unit, names, select }) {
    const { trace, layer } = this.state;
    const of = (arrays) => Object.fromEntries(Object.entries(arrays).map(([name, all]) => [name, all[u]]));
    const flow = of(flows);
    const row = element("tr", "", u === unit ? "selected" : "");
    row.dataset.unit = u;
    const header = unitHeader(names?.[u] ?? u, () => select(u));
    if (!names && layer === trace.layers - 1) {
      const id = trace.favored[flow.headline >= 0 ? u : trace.units + u];
      header.append(element("small", ` for ${visibleGlyph(trace.symbols[id])}`));
    }
    const { equations, headings } = this.cell.newspaper;
    const told = equations(of(values), (value) => number(value));
    const cells = [
      this.reached("kept")
        ? equation(element(flow.keep < 0.5 ? "del" : "span", told.old), told.kept)
        : equation(told.old),
      this.reached("added")
        ? equation(told.candidate, element("ins", (flow.added < 0 ? "" : "+") + told.added))
        : equation(),
      this.reached("added") ? equation(element("b", told.article)) : equation(),
      this.reached("headline") ? equation(told.headline) : equation(),
    ];
    cells.forEach((cell, n) => (cell.dataset.label = headings[n]));
    row.append(header, this.#bars(flow), ...cells);
    return row;
  }

  // Bars from the middle: what was, the part of it that is struck out, what is written in, and,
  // thin, the headline.
  #bars({ old, kept, added, article, headline }) {
    const { drawn } = this.cell.newspaper;
    const frame = element("div", "", "bars");
    const bar = (className, ...ends) => {
      const [low, high] = ends.sort((a, b) => a - b);
      const made = element("i", "", className);
      made.style.left = `${50 + 50 * low}%`;
      made.style.width = `${Math.max(50 * (high - low), 0.4)}%`;
      frame.append(made);
    };
    if (this.reached("kept")) {
      bar("old", 0, drawn(kept));
      bar("struck", drawn(kept), drawn(old));
    } else bar("old", 0, drawn(old));
    if (this.reached("added")) bar(added >= 0 ? "added up" : "added down", drawn(kept), drawn(article));
    if (this.reached("headline")) bar("shown", 0, headline);
    const cell = element("td", "", "picture");
    cell.append(frame);
    return cell;
  }

  // Every unit as a square: its value, struck through or written over at that step.
  #drawAllUnits() {
    const { units } = this.state.trace;
    const canvas = byId("all-units");
    const room = Math.max(canvas.parentElement.clientWidth, 120);
    this.square = Math.max(6, Math.min(28, Math.floor(Math.sqrt((room * SQUARES_HEIGHT) / units))));
    this.squaresPerRow = Math.floor(room / this.square);
    this.#paintAllUnits(sizedPen(canvas, ...this.#sizeOfAllUnits()));
    byId("all-units-note").textContent = this.steps[this.step].caption;
  }

  #sizeOfAllUnits() {
    const { square, squaresPerRow } = this;
    return [squaresPerRow * square, Math.ceil(this.state.trace.units / squaresPerRow) * square];
  }

  #paintAllUnits(pen) {
    const { trace: { units, cell }, unit } = this.state;
    const { old, keep, kept, added, article, headline } = this.flow;
    const { shows } = this.steps[this.step];
    const { square, squaresPerRow } = this;
    const place = (u) => [(u % squaresPerRow) * square, Math.floor(u / squaresPerRow) * square];
    const values = { old, kept, added: article, headline }[shows];
    const scale = shows === "headline" ? SIGNED : cell.quantities[cell.carried].scale;
    const { fill, dark } = this.colors.scales.signed;
    for (let u = 0; u < units; u++) {
      const [x, y] = place(u);
      const level = Math.round(scale.position(values[u]) * 255);
      pen.fillStyle = fill[level];
      pen.fillRect(x + 0.5, y + 0.5, square - 1, square - 1);
      pen.strokeStyle = pen.fillStyle = dark[level] ? "white" : "black";
      if (shows === "kept" && Math.abs(old[u]) > 0.05 && keep[u] < 0.9) {
        pen.globalAlpha = 1 - keep[u];
        pen.lineWidth = Math.max(1, square / 9);
        drawLine(pen, x + 1, y + square / 2, square - 2);
        pen.globalAlpha = 1;
      }
      if (shows === "added") {
        pen.beginPath();
        pen.arc(x + square / 2, y + square / 2, Math.sqrt(Math.abs(added[u])) * square * 0.25, 0, 7);
        if (added[u] > 0) pen.fill();
        else pen.stroke();
      }
    }
    drawFrame(pen, this.colors.paper, this.colors.accent, ...place(unit), square, square);
  }
}

// A table cell with an equation in it.
function equation(...parts) {
  const cell = element("td", "", "equation");
  if (!parts.length) return cell;
  const whole = element("span");
  whole.append(...parts);
  cell.append(whole);
  return cell;
}
