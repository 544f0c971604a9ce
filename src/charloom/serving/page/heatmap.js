// A heat map of all units over the text, below the curves of one of them, on one canvas that
// stays in place while its frame is scrolled: only what is seen is fetched and drawn.
//
//   characters   t h e _ f o x
//   curves       of one unit: see curves.js
//   map          one quantity of every unit, a row each
"use strict";

const AXIS_HEIGHT = 24;

class HeatmapPanel {
  constructor(state, data, colors) {
    Object.assign(this, { state, data, colors });
    this.frame = byId("map");
    this.canvas = byId("canvas");
    this.levels = new Map(); // "layer quantity block" -> bytes, null while they are fetched
    this.tiles = new Map(); // the same -> picture
    this.draw = oncePerFrame(() => this.#draw());
    this.curves = new Curves(state, data, colors, this.draw);
    this.frame.addEventListener("scroll", this.draw);
    pictures.add({ id: "map-tools", name: "heat-map", size: () => [this.frame.clientWidth, this.frame.clientHeight], paint: (pen) => this.#paint(pen) });
    new ResizeObserver(() => this.layout()).observe(this.frame);
    byId("column-width").addEventListener("input", () => {
      const middle = (this.frame.scrollLeft + this.frame.clientWidth / 2) / this.columnWidth;
      this.layout();
      this.frame.scrollLeft = middle * this.columnWidth - this.frame.clientWidth / 2;
    });
    state.on(["layer", "quantity", "hovered", "selection"], this.draw);
    state.on(["unit", "cursor", "layer"], () => {
      this.#scrollToCursor();
      this.draw();
    });
    this.#listen();
  }

  // Forgets the numbers of another text.
  clear() {
    this.levels.clear();
    this.tiles.clear();
    this.curves.clear();
    this.layout();
  }

  recolor() {
    this.tiles.clear();
    this.draw();
  }

  layout() {
    const { trace } = this.state;
    if (!trace) return;
    const { clientWidth, clientHeight } = this.frame;
    this.columnWidth = Number(byId("column-width").value);
    this.top = AXIS_HEIGHT + this.curves.height; // of the map
    this.rowHeight = Math.max(4, Math.min(16, Math.floor((clientHeight - this.top) / trace.units)));
    const extent = byId("scroll-extent");
    extent.style.width = `${trace.length * this.columnWidth}px`;
    extent.style.height = `${this.top + trace.units * this.rowHeight - clientHeight}px`;
    this.pen = sizedPen(this.canvas, clientWidth, clientHeight);
    this.draw();
  }

  // Draws with another pen what is seen now.
  #paint(pen) {
    const own = this.pen;
    this.pen = pen;
    this.#draw();
    this.pen = own;
  }

  #draw() {
    const { trace } = this.state;
    if (!trace || !this.columnWidth) return;
    const { pen, frame, columnWidth } = this;
    const { clientWidth: width, clientHeight: height, scrollLeft } = frame;
    const left = (t) => t * columnWidth - scrollLeft;
    const middle = (t) => left(t + 0.5);
    const first = Math.max(0, Math.floor(scrollLeft / columnWidth));
    const last = Math.min(trace.length, Math.ceil((scrollLeft + width) / columnWidth) + 1);
    pen.fillStyle = this.colors.paper;
    pen.fillRect(0, 0, width, height);
    if (trace.done) this.#drawMap(first, last, left);
    pen.fillStyle = this.colors.paper;
    pen.fillRect(0, 0, width, this.top);
    this.#drawMarkedColumns(first, last, left, height);
    this.#drawCharacters(first, last, middle, width);
    if (trace.done) this.curves.draw(pen, AXIS_HEIGHT, width, first, last, middle);
    this.#drawSelectedRow(width, height);
  }

  #drawMap(first, last, left) {
    const { trace, layer, quantity } = this.state;
    this.pen.imageSmoothingEnabled = false;
    for (let block = Math.floor(first / trace.blockSize); block * trace.blockSize < last; block++) {
      const tile = this.#tile(layer, quantity, block);
      if (!tile) continue;
      this.pen.drawImage(
        tile, left(block * trace.blockSize), this.top - this.frame.scrollTop,
        tile.width * this.columnWidth, tile.height * this.rowHeight);
    }
  }

  // The picture of a block, a pixel for each character and unit, or null while it is fetched.
  #tile(layer, quantity, block) {
    const key = `${layer} ${quantity} ${block}`;
    if (this.tiles.has(key)) return this.tiles.get(key);
    const levels = this.#levels(key, layer, quantity, block);
    if (!levels) return null;
    const { units, cell } = this.state.trace;
    const length = levels.length / units;
    const picture = new ImageData(length, units);
    const pixels = new Uint32Array(picture.data.buffer);
    const palette = new Uint32Array(this.colors.scales[cell.quantities[quantity].scale.colors].rgba.buffer);
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
    const { trace } = this.state;
    keep(this.levels, key, null);
    this.data.levels(layer, quantity, ...blockRange(trace, block)).then((levels) => {
      if (this.state.trace !== trace) return;
      keep(this.levels, key, levels);
      this.draw();
    }, showError);
    return null;
  }

  #drawMarkedColumns(first, last, left, height) {
    const { cursor, hovered, selection } = this.state;
    const { pen, colors, columnWidth } = this;
    if (selection) {
      pen.fillStyle = colors.accent;
      pen.globalAlpha = 0.14;
      pen.fillRect(left(selection[0]), 0, (selection[1] - selection[0]) * columnWidth, this.top);
      pen.globalAlpha = 1;
    }
    for (const [t, color] of [[hovered, colors.muted], [cursor, colors.accent]]) {
      if (t === null || t < first || t >= last) continue;
      drawFrame(pen, colors.paper, color, left(t) - 0.75, 0.75, columnWidth + 1.5, height - 1.5);
    }
  }

  // The characters, or their numbers where columns are too narrow for them; lines between plots.
  #drawCharacters(first, last, middle, width) {
    const { characters } = this.state.trace;
    const { pen, colors, columnWidth } = this;
    pen.strokeStyle = colors.rule;
    pen.lineWidth = 1;
    for (let y = AXIS_HEIGHT; y <= this.top; y += CURVE_HEIGHT) drawLine(pen, 0, y + 0.5, width);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    if (columnWidth >= 8) {
      pen.font = `${Math.min(15, columnWidth + 2)}px ${getComputedStyle(byId("text")).fontFamily}`;
      for (let t = first; t < last; t++) {
        pen.fillStyle = /\s/.test(characters[t]) ? colors.muted : colors.ink;
        pen.fillText(glyph(characters[t]), middle(t), AXIS_HEIGHT / 2 + 1);
      }
      return;
    }
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = colors.muted;
    for (let t = Math.ceil(first / 50) * 50; t < last; t += 50) {
      pen.fillText(String(t + 1), middle(t), AXIS_HEIGHT / 2);
    }
  }

  #drawSelectedRow(width, height) {
    const { pen, colors, top, rowHeight } = this;
    const y = top + this.state.unit * rowHeight - this.frame.scrollTop;
    if (y < top - rowHeight) return;
    pen.save();
    pen.beginPath();
    pen.rect(0, top, width, height);
    pen.clip();
    drawFrame(pen, colors.paper, colors.accent, -2, y - 0.75, width + 4, rowHeight + 1.5);
    pen.restore();
  }

  #scrollToCursor() {
    const { frame, columnWidth, rowHeight } = this;
    const x = this.state.cursor * columnWidth;
    const { scrollLeft, clientWidth } = frame;
    if (x < scrollLeft + columnWidth || x > scrollLeft + clientWidth - 3 * columnWidth) {
      frame.scrollLeft = x - clientWidth / 3;
    }
    const y = this.state.unit * rowHeight;
    const mapHeight = frame.clientHeight - this.top;
    if (y < frame.scrollTop || y + rowHeight > frame.scrollTop + mapHeight) {
      frame.scrollTop = y - mapHeight / 2;
    }
  }

  // The character and the unit under the pointer.
  #at(event) {
    const { frame, columnWidth, rowHeight, top } = this;
    const { trace } = this.state;
    const box = frame.getBoundingClientRect();
    if (!trace || event.clientX > box.left + frame.clientWidth) return null;
    const t = Math.floor((event.clientX - box.left + frame.scrollLeft) / columnWidth);
    const y = event.clientY - box.top - top;
    const unit = Math.floor((y + frame.scrollTop) / rowHeight);
    if (t < 0 || t >= trace.length) return null;
    return { t, unit: y >= 0 && unit >= 0 && unit < trace.units ? unit : null };
  }

  #listen() {
    const { frame, state } = this;
    frame.addEventListener("pointermove", (event) => {
      const at = this.#at(event);
      state.set({ hovered: at ? at.t : null });
      frame.title = at && at.unit !== null ? `unit ${at.unit}` : "";
    });
    frame.addEventListener("pointerleave", () => state.set({ hovered: null }));
    frame.addEventListener("click", (event) => {
      const at = this.#at(event);
      if (at) state.set({ cursor: at.t, ...(at.unit === null ? {} : { unit: at.unit }) });
    });
    frame.addEventListener("keydown", (event) => {
      const { trace, cursor, unit } = state;
      const moves = {
        ArrowLeft: { cursor: Math.max(cursor - 1, 0) },
        ArrowRight: { cursor: Math.min(cursor + 1, (trace?.length ?? 1) - 1) },
        ArrowUp: { unit: Math.max(unit - 1, 0) },
        ArrowDown: { unit: Math.min(unit + 1, (trace?.units ?? 1) - 1) },
      };
      if (!trace || !moves[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      state.set(moves[event.key]);
    });
  }
}
