// One unit's curves over the text, and the map of all units below them, on one canvas that
// stays in sight while its frame is scrolled: only what is seen is fetched and drawn.
//
//   characters   t h e _ f o x
//   gates        f_t, i_t, o_t of the unit, 0 to 1
//   states       g_t, C_t, h_t of the unit, around 0
//   map          one quantity of every unit, a row each
"use strict";

const AXIS = 24;
const CURVES = 84;
const PLOTS = [["f_t", "i_t", "o_t"], ["g_t", "C_t", "h_t"]];
const DASHES = { f_t: [], i_t: [6, 3], o_t: [2, 3], C_t: [], h_t: [6, 3], g_t: [2, 3] };
const STYLES = { "": "solid", "6,3": "dashed", "2,3": "dotted" }; // the same, of a border
const TILES = 96; // kept

class Weave {
  constructor(view, source, colours) {
    Object.assign(this, { view, source, colours });
    this.frame = byId("loom");
    this.canvas = byId("cloth");
    this.levels = new Map(); // "layer quantity block" -> bytes
    this.tiles = new Map(); // the same -> picture
    this.curves = new Map(); // "layer unit block" -> float32
    this.draw = soon(() => this.#draw());
    this.frame.addEventListener("scroll", this.draw);
    new ResizeObserver(() => this.layOut()).observe(this.frame);
    byId("zoom").addEventListener("input", () => {
      const middle = (this.frame.scrollLeft + this.frame.clientWidth / 2) / this.width;
      this.layOut();
      this.frame.scrollLeft = middle * this.width - this.frame.clientWidth / 2;
    });
    view.on(["layer", "quantity", "pointed", "selection"], this.draw);
    view.on(["unit", "cursor", "layer"], () => {
      this.#follow();
      this.draw();
      this.#tell();
    });
    this.#listen();
  }

  forget() {
    this.levels.clear();
    this.tiles.clear();
    this.curves.clear();
    this.layOut();
    this.#tell();
  }

  recolour() {
    this.tiles.clear();
    this.draw();
  }

  layOut() {
    const { passage } = this.view;
    if (!passage) return;
    this.width = Number(byId("zoom").value);
    this.plots = passage.cell === "lstm" ? PLOTS : [["h_t"]];
    this.top = AXIS + this.plots.length * CURVES;
    const room = this.frame.clientHeight - this.top;
    this.row = Math.max(4, Math.min(16, Math.floor(room / passage.units)));
    const extent = byId("extent");
    extent.style.width = `${passage.length * this.width}px`;
    extent.style.height = `${this.top + passage.units * this.row - this.frame.clientHeight}px`;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.frame.clientWidth * ratio);
    this.canvas.height = Math.round(this.frame.clientHeight * ratio);
    this.canvas.style.width = `${this.frame.clientWidth}px`;
    this.canvas.style.height = `${this.frame.clientHeight}px`;
    this.draw();
  }

  #draw() {
    const { passage } = this.view;
    if (!passage || !this.width) return;
    const pen = this.canvas.getContext("2d");
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [wide, high] = [this.frame.clientWidth, this.frame.clientHeight];
    pen.fillStyle = this.colours.paper;
    pen.fillRect(0, 0, wide, high);
    const left = this.frame.scrollLeft;
    const first = Math.max(0, Math.floor(left / this.width));
    const last = Math.min(passage.length, Math.ceil((left + wide) / this.width) + 1);
    if (passage.done) this.#drawMap(pen, first, last);
    pen.fillStyle = this.colours.paper;
    pen.fillRect(0, 0, wide, this.top);
    this.#drawColumns(pen, first, last, high);
    this.#drawAxis(pen, first, last);
    if (passage.done) this.plots.forEach((_, n) => this.#drawCurves(pen, n, first, last));
    this.#drawUnit(pen, wide);
  }

  #drawMap(pen, first, last) {
    const { passage, layer, quantity } = this.view;
    const y = this.top - this.frame.scrollTop;
    pen.imageSmoothingEnabled = false;
    for (let block = Math.floor(first / passage.block); block * passage.block < last; block++) {
      const start = block * passage.block;
      const tile = this.#tile(layer, quantity, block);
      if (!tile) continue;
      const x = start * this.width - this.frame.scrollLeft;
      pen.drawImage(tile, x, y, tile.width * this.width, tile.height * this.row);
    }
  }

  // A picture with a pixel for each character and unit, once its numbers are here.
  #tile(layer, quantity, block) {
    const key = `${layer} ${quantity} ${block}`;
    if (this.tiles.has(key)) return this.tiles.get(key);
    const levels = this.#levels(key, layer, quantity, block);
    if (!levels) return null;
    const { units } = this.view.passage;
    const length = levels.length / units;
    const picture = new ImageData(length, units);
    const pixels = new Uint32Array(picture.data.buffer);
    const palette = new Uint32Array(this.colours.of(quantity).rgba.buffer);
    for (let t = 0; t < length; t++) {
      for (let u = 0; u < units; u++) pixels[u * length + t] = palette[levels[t * units + u]];
    }
    const tile = document.createElement("canvas");
    [tile.width, tile.height] = [length, units];
    tile.getContext("2d").putImageData(picture, 0, 0);
    keep(this.tiles, key, tile);
    return tile;
  }

  #levels(key, layer, quantity, block) {
    if (this.levels.has(key)) return this.levels.get(key);
    const { passage } = this.view;
    keep(this.levels, key, null);
    const start = block * passage.block;
    const stop = Math.min(start + passage.block, passage.length);
    this.source.levels(layer, quantity, start, stop).then((levels) => {
      if (this.view.passage !== passage) return;
      keep(this.levels, key, levels);
      this.draw();
    }, complain);
    return null;
  }

  #drawColumns(pen, first, last, high) {
    const { cursor, pointed, selection } = this.view;
    const x = (t) => t * this.width - this.frame.scrollLeft;
    if (selection) {
      pen.fillStyle = this.colours.accent;
      pen.globalAlpha = 0.14;
      pen.fillRect(x(selection[0]), 0, (selection[1] - selection[0]) * this.width, this.top);
      pen.globalAlpha = 1;
    }
    for (const [t, colour] of [[pointed, this.colours.soft], [cursor, this.colours.accent]]) {
      if (t === null || t < first || t >= last) continue;
      frame(pen, this.colours.paper, colour, x(t) - 0.75, 0.75, this.width + 1.5, high - 1.5);
    }
  }

  #drawAxis(pen, first, last) {
    const { cells } = this.view.passage;
    pen.strokeStyle = this.colours.rule;
    pen.lineWidth = 1;
    for (let n = 0; n <= this.plots.length; n++) line(pen, 0, AXIS + n * CURVES + 0.5, this.frame.clientWidth);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    if (this.width >= 8) {
      pen.font = `${Math.min(15, this.width + 2)}px ${getComputedStyle(byId("text")).fontFamily}`;
      for (let t = first; t < last; t++) {
        pen.fillStyle = /\s/.test(cells[t]) ? this.colours.soft : this.colours.ink;
        pen.fillText(glyph(cells[t]), (t + 0.5) * this.width - this.frame.scrollLeft, AXIS / 2 + 1);
      }
      return;
    }
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = this.colours.soft;
    for (let t = Math.ceil(first / 50) * 50; t < last; t += 50) {
      pen.fillText(String(t), (t + 0.5) * this.width - this.frame.scrollLeft, AXIS / 2);
    }
  }

  #drawCurves(pen, plot, first, last) {
    const names = this.plots[plot];
    const top = AXIS + plot * CURVES;
    const signed = names.includes("h_t");
    const [low, high] = signed ? [-1, 1] : [0, 1];
    const y = (value) => top + 6 + (1 - (value - low) / (high - low)) * (CURVES - 12);
    pen.strokeStyle = this.colours.rule;
    for (const mark of signed ? [0] : [0, 1]) line(pen, 0, Math.round(y(mark)) + 0.5, this.frame.clientWidth);
    for (const name of names) {
      pen.strokeStyle = this.colours.curves[name];
      pen.lineWidth = name === "C_t" || name === "f_t" ? 2 : 1.5;
      pen.setLineDash(DASHES[name]);
      pen.beginPath();
      let drawing = false;
      for (let t = Math.max(first - 1, 0); t < last; t++) {
        const value = this.#value(name, t);
        if (value === null) drawing = false;
        else {
          const x = (t + 0.5) * this.width - this.frame.scrollLeft;
          if (drawing) pen.lineTo(x, y(bounded(name, value)));
          else pen.moveTo(x, y(bounded(name, value)));
          drawing = true;
        }
      }
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "left";
    pen.fillStyle = this.colours.soft;
    pen.fillText(String(high), 4, top + 9);
    pen.fillText(number(low, 0), 4, top + CURVES - 9);
  }

  // A value of the unit, or null while it is on its way.
  #value(name, t) {
    const { passage, layer, unit } = this.view;
    const block = Math.floor(t / passage.block);
    const key = `${layer} ${unit} ${block}`;
    const start = block * passage.block;
    const stop = Math.min(start + passage.block, passage.length);
    if (!this.curves.has(key)) {
      keep(this.curves, key, null);
      this.source.values(layer, passage.quantities, start, stop, unit).then((values) => {
        if (this.view.passage !== passage) return;
        keep(this.curves, key, values);
        this.draw();
        this.#tell();
      }, complain);
    }
    const values = this.curves.get(key);
    return values ? values[passage.quantities.indexOf(name) * (stop - start) + t - start] : null;
  }

  #drawUnit(pen, wide) {
    const y = this.top + this.view.unit * this.row - this.frame.scrollTop;
    if (y < this.top - this.row) return;
    pen.save();
    pen.beginPath();
    pen.rect(0, this.top, wide, this.frame.clientHeight);
    pen.clip();
    frame(pen, this.colours.paper, this.colours.accent, -2, y - 0.75, wide + 4, this.row + 1.5);
    pen.restore();
  }

  // The unit's numbers at the cursor, to read.
  #tell() {
    const { passage, cursor, unit, layer } = this.view;
    if (!passage?.done) return;
    const items = [element("dt", `unit ${unit}, layer ${layer + 1}, at ${named(passage.cells[cursor])}`)];
    for (const name of passage.quantities) {
      const value = this.#value(name, cursor);
      const item = element("dd", value === null ? "…" : number(value, passage.digits));
      item.dataset.quantity = name;
      item.dataset.value = value ?? "";
      item.prepend(element("b", name.replace("_t", "")));
      item.style.borderTopStyle = STYLES[(DASHES[name] ?? []).join()] ?? "solid";
      item.style.setProperty("--line", `var(--${name.replace("_t", "-curve")})`);
      items.push(item);
    }
    byId("numbers").dataset.at = `${layer} ${unit} ${cursor}`;
    byId("numbers").replaceChildren(...items);
  }

  #follow() {
    const { cursor } = this.view;
    const x = cursor * this.width;
    const { scrollLeft, clientWidth } = this.frame;
    if (x < scrollLeft + this.width || x > scrollLeft + clientWidth - 3 * this.width) {
      this.frame.scrollLeft = x - clientWidth / 3;
    }
    const y = this.view.unit * this.row;
    const room = this.frame.clientHeight - this.top;
    if (y < this.frame.scrollTop || y + this.row > this.frame.scrollTop + room) {
      this.frame.scrollTop = y - room / 2;
    }
  }

  #listen() {
    const place = (event) => {
      const box = this.frame.getBoundingClientRect();
      const { passage } = this.view;
      if (!passage || event.clientX > box.left + this.frame.clientWidth) return null;
      const t = Math.floor((event.clientX - box.left + this.frame.scrollLeft) / this.width);
      const y = event.clientY - box.top - this.top;
      const u = Math.floor((y + this.frame.scrollTop) / this.row);
      if (t < 0 || t >= passage.length) return null;
      return { t, u: y >= 0 && u >= 0 && u < passage.units ? u : null };
    };
    this.frame.addEventListener("pointermove", (event) => {
      const at = place(event);
      this.view.set({ pointed: at ? at.t : null });
      this.frame.title = at && at.u !== null ? `unit ${at.u}` : "";
    });
    this.frame.addEventListener("pointerleave", () => this.view.set({ pointed: null }));
    this.frame.addEventListener("click", (event) => {
      const at = place(event);
      if (at) this.view.set({ cursor: at.t, ...(at.u === null ? {} : { unit: at.u }) });
    });
    this.frame.addEventListener("keydown", (event) => {
      const { passage, cursor, unit } = this.view;
      const moves = {
        ArrowLeft: { cursor: Math.max(cursor - 1, 0) },
        ArrowRight: { cursor: Math.min(cursor + 1, (passage?.length ?? 1) - 1) },
        ArrowUp: { unit: Math.max(unit - 1, 0) },
        ArrowDown: { unit: Math.min(unit + 1, (passage?.units ?? 1) - 1) },
      };
      if (!passage || !moves[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.view.set(moves[event.key]);
    });
  }
}

function line(pen, x, y, length) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + length, y);
  pen.stroke();
}

// A rectangle that is seen on any colour: a line on a wider one.
function frame(pen, outer, inner, ...box) {
  for (const [colour, width] of [[outer, 4], [inner, 2]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(...box);
  }
}

// Puts a value into a map that forgets what is oldest.
function keep(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > TILES) map.delete(map.keys().next().value);
}
