// The text in rows of cells, one for each character; only the rows in sight are in the page.
"use strict";

const MOST_BITS = 8; // and more are coloured alike

class TextView {
  constructor(view, source, colours) {
    Object.assign(this, { view, source, colours });
    this.frame = byId("text");
    this.rows = byId("rows");
    this.starts = [0]; // of every row, and the end
    this.shown = new Map();
    this.unitValues = new Map(); // block -> its values of the unit
    const draw = soon(() => this.#draw());
    this.frame.addEventListener("scroll", draw);
    new ResizeObserver(() => this.layOut()).observe(this.frame);
    view.on(["shade", "quantity", "layer", "unit", "passage"], () => {
      if (view.shade === "unit") this.unitValues.clear();
      this.recolour();
    });
    view.on(["cursor", "selection", "pointed"], () => this.#mark());
    this.#listen();
  }

  layOut() {
    const { passage } = this.view;
    if (!passage) return;
    const probe = element("span", "0", "cell");
    this.rows.append(probe);
    const { width, height } = probe.getBoundingClientRect();
    probe.remove();
    this.height = height;
    const columns = Math.max(8, Math.floor((this.frame.clientWidth - 24) / width));
    this.starts = brokenRows(passage.cells, columns);
    this.rows.style.height = `${(this.starts.length - 1) * height}px`;
    this.recolour();
  }

  recolour() {
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
    const { passage } = this.view;
    if (!passage || !this.height) return;
    const { scrollTop, clientHeight } = this.frame;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - 4);
    const last = Math.min(this.starts.length - 1, Math.ceil((scrollTop + clientHeight) / this.height) + 4);
    for (const [row, made] of this.shown) {
      if (row < first || row >= last) {
        made.remove();
        this.shown.delete(row);
      }
    }
    for (let row = first; row < last; row++) {
      if (!this.shown.has(row)) this.#makeRow(row);
    }
    if (this.view.shade === "unit" && last > first) this.#needUnit(this.starts[first], this.starts[last]);
    this.#mark();
  }

  #makeRow(row) {
    const { cells, unknown } = this.view.passage;
    const made = element("div", "", "row");
    made.style.top = `${row * this.height}px`;
    this.unknown ??= new Set(unknown);
    for (let t = this.starts[row]; t < this.starts[row + 1]; t++) {
      const cell = element("span", glyph(cells[t]), "cell");
      if (isWide(cells[t])) cell.classList.add("two");
      if (/\s/.test(cells[t])) cell.classList.add("blank");
      if (this.unknown.has(t)) cell.classList.add("unknown");
      cell.dataset.at = t;
      this.#paint(cell, t);
      made.append(cell);
    }
    this.rows.append(made);
    this.shown.set(row, made);
  }

  #paint(cell, t) {
    const { passage, shade, quantity } = this.view;
    let scale = this.colours.scales.surprise;
    let level = 0;
    if (shade === "surprise") {
      if (t >= passage.read) return;
      level = Math.min(passage.nats[t] / Math.LN2 / MOST_BITS, 1) * 255;
    } else {
      const values = this.unitValues.get(Math.floor(t / passage.block));
      if (!(values instanceof Float32Array)) return;
      scale = this.colours.of(quantity);
      level = placeOf(quantity, values[t % passage.block]) * 255;
    }
    level = Math.round(Math.min(Math.max(level, 0), 255));
    cell.style.backgroundColor = scale.fill[level];
    cell.style.color = `var(--${scale.dark[level] ? "light" : "dark"}${cell.classList.contains("blank") ? "-faint" : ""})`;
  }

  // Fetches the unit's values for the blocks in sight, and paints them when they come.
  #needUnit(start, stop) {
    const { passage, layer, quantity, unit } = this.view;
    if (!passage.done) return;
    for (let block = Math.floor(start / passage.block); block * passage.block < stop; block++) {
      if (this.unitValues.has(block)) continue;
      this.unitValues.set(block, null);
      const from = block * passage.block;
      const to = Math.min(from + passage.block, passage.length);
      const asked = this.unitValues;
      this.source.values(layer, [quantity], from, to, unit).then((values) => {
        const still = this.view.layer === layer && this.view.quantity === quantity && this.view.unit === unit;
        if (!still || asked !== this.unitValues || this.view.passage !== passage) return;
        this.unitValues.set(block, values);
        this.repaint(from, to);
      }, complain);
    }
  }

  repaint(from, to) {
    for (const row of this.shown.values()) {
      for (const cell of row.children) {
        const t = Number(cell.dataset.at);
        if (t >= from && t < to) this.#paint(cell, t);
      }
    }
  }

  forget() {
    this.unitValues = new Map();
    this.unknown = null;
    this.starts = [0];
    this.shown.clear();
    this.rows.replaceChildren();
    this.frame.scrollTop = 0;
  }

  #mark() {
    const { cursor, pointed, selection } = this.view;
    for (const cell of this.marked ?? []) cell.classList.remove("cursor", "pointed", "selected");
    this.marked = [];
    const mark = (t, name) => {
      const row = this.#rowOf(t);
      const cell = this.shown.get(row)?.children[t - this.starts[row]];
      if (!cell) return;
      cell.classList.add(name);
      this.marked.push(cell);
    };
    if (selection) {
      for (const row of this.shown.keys()) {
        const first = Math.max(this.starts[row], selection[0]);
        const last = Math.min(this.starts[row + 1], selection[1]);
        for (let t = first; t < last; t++) mark(t, "selected");
      }
    }
    if (pointed !== null) mark(pointed, "pointed");
    mark(cursor, "cursor");
  }

  #drawScale() {
    const { shade, quantity } = this.view;
    const bits = shade === "surprise";
    const [low, high] = bits ? ["0", `${MOST_BITS} bits or more`] : endsOf(quantity);
    byId("scale-low").textContent = low;
    byId("scale-high").textContent = high;
    const scale = bits ? this.colours.scales.surprise : this.colours.of(quantity);
    const context = byId("scale").getContext("2d");
    for (let x = 0; x < 96; x++) {
      context.fillStyle = scale.fill[Math.round((x / 95) * 255)];
      context.fillRect(x, 0, 1, 10);
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
      const cell = event.target.closest?.(".cell");
      return cell ? Number(cell.dataset.at) : null;
    };
    let anchor = null;
    this.frame.addEventListener("pointerdown", (event) => {
      const t = at(event);
      if (t === null || event.button !== 0) return;
      anchor = t;
      if (event.shiftKey) this.#select(this.view.cursor, t);
      else this.view.set({ cursor: t, selection: null });
    });
    this.frame.addEventListener("pointerover", (event) => {
      const t = at(event);
      this.view.set({ pointed: t });
      if (t !== null && anchor !== null && event.buttons & 1) this.#select(anchor, t);
    });
    this.frame.addEventListener("pointerleave", () => this.view.set({ pointed: null }));
    addEventListener("pointerup", () => (anchor = null));
    this.frame.addEventListener("dblclick", (event) => {
      const t = at(event);
      if (t !== null) this.#select(...this.#wordAt(t));
    });
    this.frame.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const { passage, cursor } = this.view;
    if (!passage || event.altKey || event.metaKey) return;
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
      End: () => (event.ctrlKey ? passage.length : this.starts[row + 1]) - 1,
    };
    if (event.key === "Escape") return this.view.set({ selection: null });
    if (!moves[event.key]) return;
    event.preventDefault();
    const to = Math.min(Math.max(moves[event.key](), 0), passage.length - 1);
    this.anchor = event.shiftKey ? (this.anchor ?? cursor) : null;
    this.view.set({ cursor: to, pointed: null });
    if (event.shiftKey) this.#select(this.anchor, to);
    else this.view.set({ selection: null });
    this.show(to);
  }

  #select(a, b) {
    this.view.set({ selection: [Math.min(a, b), Math.max(a, b) + 1], cursor: b });
  }

  #wordAt(t) {
    const { cells } = this.view.passage;
    const joined = (cell) => cell !== undefined && /[\p{L}\p{N}\p{M}'’]/u.test(cell);
    let [first, last] = [t, t];
    while (joined(cells[first - 1]) && joined(cells[t])) first--;
    while (joined(cells[last + 1]) && joined(cells[t])) last++;
    return [first, last];
  }
}

// Where rows start: after a line feed, else after the last space that fits.
function brokenRows(cells, columns) {
  const starts = [0];
  let [column, gap] = [0, 0];
  for (let t = 0; t < cells.length; t++) {
    const width = isWide(cells[t]) ? 2 : 1;
    if (column + width > columns) {
      const start = gap > starts.at(-1) ? gap : t;
      starts.push(start);
      column = 0;
      for (let u = start; u < t; u++) column += isWide(cells[u]) ? 2 : 1;
    }
    column += width;
    if (cells[t] === " " || cells[t] === "-") gap = t + 1;
    if (cells[t] === "\n" && t + 1 < cells.length) {
      starts.push(t + 1);
      [column, gap] = [0, t + 1];
    }
  }
  starts.push(cells.length);
  return starts;
}
