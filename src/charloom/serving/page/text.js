// The text in rows of boxes, one for each character; only the rows in sight are in the page.
"use strict";

const MOST_BITS = 8; // a surprisal beyond them has the same color
const PAPER_COLUMNS = 66; // characters in a line of a printed page
const MOST_PRINTED = 20000; // characters

class TextPanel {
  constructor(state, data, colors) {
    Object.assign(this, { state, data, colors });
    this.frame = byId("text");
    this.rows = byId("rows");
    this.starts = [0]; // of every row, and the end
    this.shown = new Map(); // row number -> its element
    this.unitValues = new Map(); // block -> its values, null while they are fetched
    const draw = oncePerFrame(() => this.#draw());
    this.frame.addEventListener("scroll", draw);
    new ResizeObserver(() => this.layout()).observe(this.frame);
    state.on(["colorBy", "quantity", "layer", "unit", "trace"], () => {
      if (state.colorBy === "unit") this.unitValues.clear();
      this.recolor();
    });
    state.on(["cursor", "selection", "hovered"], () => this.#mark());
    pictures.add({ id: "text-tools", name: "text", size: () => [this.frame.clientWidth, this.frame.clientHeight], paint: (pen) => this.#paintRows(pen) });
    this.#listen();
  }

  layout() {
    const { trace } = this.state;
    if (!trace) return;
    const probe = element("span", "0", "character");
    this.rows.append(probe);
    const { width, height } = probe.getBoundingClientRect();
    probe.remove();
    this.height = height;
    const columns = this.onPaper ? PAPER_COLUMNS : Math.max(8, Math.floor((this.frame.clientWidth - 24) / width));
    this.starts = rowStarts(trace.characters, columns);
    this.rows.style.height = `${(this.starts.length - 1) * height}px`;
    this.recolor();
  }

  // Lays the text out for a printed page, with all of its rows, or for the screen again.
  fitToPaper(onPaper) {
    this.onPaper = onPaper;
    this.layout();
  }

  recolor() {
    this.shown.clear();
    this.rows.replaceChildren();
    this.#draw();
    this.#drawScale();
  }

  // Scrolls as little as is needed to show a character.
  show(t) {
    const top = this.#rowOf(t) * this.height;
    const { scrollTop, clientHeight } = this.frame;
    if (top < scrollTop) this.frame.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight - 20) {
      this.frame.scrollTop = top + this.height - clientHeight + 20;
    }
  }

  #draw() {
    const { trace } = this.state;
    if (!trace || !this.height) return;
    const { scrollTop, clientHeight } = this.frame;
    const all = this.onPaper ? Math.ceil(MOST_PRINTED / PAPER_COLUMNS) : 0; // rows
    const first = all ? 0 : Math.max(0, Math.floor(scrollTop / this.height) - 4);
    const last = Math.min(this.starts.length - 1, all || Math.ceil((scrollTop + clientHeight) / this.height) + 4);
    for (const [row, made] of this.shown) {
      if (row < first || row >= last) {
        made.remove();
        this.shown.delete(row);
      }
    }
    for (let row = first; row < last; row++) {
      if (!this.shown.has(row)) this.#makeRow(row);
    }
    if (this.state.colorBy === "unit" && last > first) this.#fetchUnit(this.starts[first], this.starts[last]);
    this.#mark();
  }

  #makeRow(row) {
    const { characters, unknown } = this.state.trace;
    const made = element("div", "", "row");
    made.style.top = `${row * this.height}px`;
    for (let t = this.starts[row]; t < this.starts[row + 1]; t++) {
      const box = element("span", glyph(characters[t]), "character");
      if (isWide(characters[t])) box.classList.add("two");
      if (/\s/.test(characters[t])) box.classList.add("blank");
      if (unknown.has(t)) box.classList.add("unknown");
      box.dataset.at = t;
      this.#paint(box, t);
      made.append(box);
    }
    this.rows.append(made);
    this.shown.set(row, made);
  }

  #paint(box, t) {
    const { trace, colorBy, quantity } = this.state;
    let colors = this.colors.scales.surprisal;
    let level = 0;
    if (colorBy === "surprisal") {
      if (t >= trace.readCount) return;
      level = Math.min(inBits(trace.nats[t]) / MOST_BITS, 1) * 255;
    } else {
      const values = this.unitValues.get(Math.floor(t / trace.blockSize));
      if (!(values instanceof Float32Array)) return;
      const { scale } = trace.cell.quantities[quantity];
      colors = this.colors.scales[scale.colors];
      level = scale.position(values[t % trace.blockSize]) * 255;
    }
    level = Math.round(Math.min(Math.max(level, 0), 255));
    box.style.backgroundColor = colors.fill[level];
    box.style.color = `var(--${colors.dark[level] ? "light" : "dark"}${box.classList.contains("blank") ? "-faint" : ""})`;
  }

  // Fetches the unit's values for the blocks in sight, and paints them when they come.
  #fetchUnit(first, last) {
    const { trace, layer, quantity, unit } = this.state;
    if (!trace.done) return;
    for (let block = Math.floor(first / trace.blockSize); block * trace.blockSize < last; block++) {
      if (this.unitValues.has(block)) continue;
      this.unitValues.set(block, null);
      const [start, stop] = blockRange(trace, block);
      const asked = this.unitValues;
      this.data.values(layer, [quantity], start, stop, unit).then((values) => {
        const still = this.state.layer === layer && this.state.quantity === quantity && this.state.unit === unit;
        if (!still || asked !== this.unitValues || this.state.trace !== trace) return;
        this.unitValues.set(block, values);
        this.repaint(start, stop);
      }, showError);
    }
  }

  repaint(start, stop) {
    for (const row of this.shown.values()) {
      for (const box of row.children) {
        const t = Number(box.dataset.at);
        if (t >= start && t < stop) this.#paint(box, t);
      }
    }
  }

  // Forgets another text.
  clear() {
    this.unitValues = new Map();
    this.starts = [0];
    this.shown.clear();
    this.rows.replaceChildren();
    this.frame.scrollTop = 0;
  }

  #mark() {
    const { cursor, hovered, selection } = this.state;
    for (const box of this.marked ?? []) box.classList.remove("cursor", "hovered", "selected");
    this.marked = [];
    const mark = (t, name) => {
      const row = this.#rowOf(t);
      const box = this.shown.get(row)?.children[t - this.starts[row]];
      if (!box) return;
      box.classList.add(name);
      this.marked.push(box);
    };
    if (selection) {
      for (const row of this.shown.keys()) {
        const first = Math.max(this.starts[row], selection[0]);
        const last = Math.min(this.starts[row + 1], selection[1]);
        for (let t = first; t < last; t++) mark(t, "selected");
      }
    }
    if (hovered !== null) mark(hovered, "hovered");
    mark(cursor, "cursor");
  }

  #drawScale() {
    const { colorBy, quantity, trace } = this.state;
    const scale = colorBy === "surprisal"
      ? { low: "0", high: `${MOST_BITS} bits or more`, colors: "surprisal" }
      : trace.cell.quantities[quantity].scale;
    byId("scale-low").textContent = scale.low;
    byId("scale-high").textContent = scale.high;
    const { fill } = this.colors.scales[scale.colors];
    const pen = byId("scale").getContext("2d");
    for (let x = 0; x < 96; x++) {
      pen.fillStyle = fill[Math.round((x / 95) * 255)];
      pen.fillRect(x, 0, 1, 10);
    }
  }

  // Draws what is in sight with a pen.
  #paintRows(pen) {
    const { colors, frame } = this;
    pen.fillStyle = colors.paper;
    pen.fillRect(0, 0, frame.clientWidth, frame.clientHeight);
    const origin = frame.getBoundingClientRect();
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const box of this.rows.querySelectorAll(".character")) {
      const { x, y, width, height } = box.getBoundingClientRect();
      const [left, top] = [x - origin.x, y - origin.y];
      if (top + height < 0 || top > frame.clientHeight) continue;
      const style = getComputedStyle(box);
      pen.fillStyle = box.style.backgroundColor || colors.paper;
      pen.fillRect(left, top, width, height);
      pen.font = `${style.fontSize} ${style.fontFamily}`;
      pen.fillStyle = style.color;
      pen.fillText(box.textContent, left + width / 2, top + height / 2);
    }
  }

  #rowOf(t) {
    let [low, high] = [0, this.starts.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= t) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #listen() {
    const at = (event) => {
      const box = event.target.closest?.(".character");
      return box ? Number(box.dataset.at) : null;
    };
    let anchor = null;
    this.frame.addEventListener("pointerdown", (event) => {
      const t = at(event);
      if (t === null || event.button !== 0) return;
      anchor = t;
      if (event.shiftKey) this.#select(this.state.cursor, t);
      else this.state.set({ cursor: t, selection: null });
    });
    this.frame.addEventListener("pointerover", (event) => {
      const t = at(event);
      this.state.set({ hovered: t });
      if (t !== null && anchor !== null && event.buttons & 1) this.#select(anchor, t);
    });
    this.frame.addEventListener("pointerleave", () => this.state.set({ hovered: null }));
    addEventListener("pointerup", () => (anchor = null));
    this.frame.addEventListener("dblclick", (event) => {
      const t = at(event);
      if (t !== null) this.#select(...this.#wordAt(t));
    });
    this.frame.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const { trace, cursor } = this.state;
    if (!trace || event.altKey || event.metaKey) return;
    const row = this.#rowOf(cursor);
    const page = Math.max(1, Math.floor(this.frame.clientHeight / this.height) - 1);
    const inRow = (target) => {
      const kept = Math.min(Math.max(target, 0), this.starts.length - 2);
      return Math.min(this.starts[kept] + cursor - this.starts[row], this.starts[kept + 1] - 1);
    };
    const moves = {
      ArrowLeft: () => cursor - 1,
      ArrowRight: () => cursor + 1,
      ArrowUp: () => inRow(row - 1),
      ArrowDown: () => inRow(row + 1),
      PageUp: () => inRow(row - page),
      PageDown: () => inRow(row + page),
      Home: () => (event.ctrlKey ? 0 : this.starts[row]),
      End: () => (event.ctrlKey ? trace.length : this.starts[row + 1]) - 1,
    };
    if (event.key === "Escape") return this.state.set({ selection: null });
    if (!moves[event.key]) return;
    event.preventDefault();
    const to = Math.min(Math.max(moves[event.key](), 0), trace.length - 1);
    this.anchor = event.shiftKey ? (this.anchor ?? cursor) : null;
    this.state.set({ cursor: to, hovered: null });
    if (event.shiftKey) this.#select(this.anchor, to);
    else this.state.set({ selection: null });
    this.show(to);
  }

  #select(a, b) {
    this.state.set({ selection: [Math.min(a, b), Math.max(a, b) + 1], cursor: b });
  }

  #wordAt(t) {
    const { characters } = this.state.trace;
    const isLetter = (character) => character !== undefined && /[\p{L}\p{N}\p{M}'’]/u.test(character);
    let [first, last] = [t, t];
    while (isLetter(characters[first - 1]) && isLetter(characters[t])) first--;
    while (isLetter(characters[last + 1]) && isLetter(characters[t])) last++;
    return [first, last];
  }
}

// Colors the box of a character by its surprisal.
function paintSurprisal(box, nats, colors) {
  const { fill, dark } = colors.scales.surprisal;
  const level = Math.round(Math.min(inBits(nats) / MOST_BITS, 1) * 255);
  box.style.backgroundColor = fill[level];
  box.style.color = `var(--${dark[level] ? "light" : "dark"})`;
}

// Where rows start: after a line feed, else after the last space that fits.
function rowStarts(characters, columns) {
  const starts = [0];
  let [column, gap] = [0, 0];
  for (let t = 0; t < characters.length; t++) {
    const width = isWide(characters[t]) ? 2 : 1;
    if (column + width > columns) {
      const start = gap > starts.at(-1) ? gap : t;
      starts.push(start);
      column = 0;
      for (let u = start; u < t; u++) column += isWide(characters[u]) ? 2 : 1;
    }
    column += width;
    if (characters[t] === " " || characters[t] === "-") gap = t + 1;
    if (characters[t] === "\n" && t + 1 < characters.length) {
      starts.push(t + 1);
      [column, gap] = [0, t + 1];
    }
  }
  starts.push(characters.length);
  return starts;
}
