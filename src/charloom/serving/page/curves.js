// The curves of one unit over the text, and its values at the cursor.
//
//   gates        of an LSTM: f_t, i_t, o_t, from 0 to 1
//   states       g_t, C_t, h_t, around 0
"use strict";

const CURVE_HEIGHT = 84; // of a plot with its margins
const CURVE_MARGIN = 6;
const DASHES = { solid: [], dashed: [6, 3], dotted: [2, 3] };
const MOST_KEPT = 96; // blocks, and pictures of them

class Curves {
  // `changed` is called when values have come that were waited for.
  constructor(state, data, colors, changed) {
    Object.assign(this, { state, data, colors, changed });
    this.values = new Map(); // "layer unit block" -> float32, null while it is fetched
    state.on(["unit", "cursor", "layer"], () => this.showValues());
  }

  get plots() {
    return this.state.trace.cell.plots;
  }

  get height() {
    return this.plots.length * CURVE_HEIGHT;
  }

  clear() {
    this.values.clear();
    this.showValues();
  }

  // Draws characters from first to last; middle(t) is where the column of t has its middle.
  draw(pen, top, width, first, last, middle) {
    this.plots.forEach((plot, n) => this.#drawPlot(pen, plot, top + n * CURVE_HEIGHT, width, first, last, middle));
  }

  #drawPlot(pen, { scale, quantities }, top, width, first, last, middle) {
    const y = (position) => top + CURVE_MARGIN + (1 - position) * (CURVE_HEIGHT - 2 * CURVE_MARGIN);
    pen.strokeStyle = this.colors.rule;
    for (const value of scale === GATE ? [0, 1] : [0]) drawLine(pen, 0, Math.round(y(scale.position(value))) + 0.5, width);
    for (const name of quantities) {
      const { curve: [color, dash], scale: own } = this.state.trace.cell.quantities[name];
      pen.strokeStyle = this.colors[color];
      pen.lineWidth = dash === "solid" ? 2 : 1.5;
      pen.setLineDash(DASHES[dash]);
      pen.beginPath();
      let drawing = false;
      for (let t = Math.max(first - 1, 0); t < last; t++) {
        const value = this.#value(name, t);
        if (value !== null) {
          if (drawing) pen.lineTo(middle(t), y(own.position(value)));
          else pen.moveTo(middle(t), y(own.position(value)));
        }
        drawing = value !== null;
      }
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "left";
    pen.fillStyle = this.colors.muted;
    pen.fillText(scale.high, 4, top + 9);
    pen.fillText(scale.low, 4, top + CURVE_HEIGHT - 9);
  }

  // A value of the unit, or null while it is fetched.
  #value(name, t) {
    const { trace, layer, unit } = this.state;
    const block = Math.floor(t / trace.blockSize);
    const key = `${layer} ${unit} ${block}`;
    const [start, stop] = blockRange(trace, block);
    if (!this.values.has(key)) {
      keep(this.values, key, null);
      this.data.values(layer, trace.quantities, start, stop, unit).then((values) => {
        if (this.state.trace !== trace) return;
        keep(this.values, key, values);
        this.changed();
        this.showValues();
      }, showError);
    }
    const values = this.values.get(key);
    return values ? values[trace.quantities.indexOf(name) * (stop - start) + t - start] : null;
  }

  showValues() {
    const { trace, cursor, unit, layer } = this.state;
    if (!trace?.done) return;
    const items = [element("dt", `Unit ${unit} of layer ${layer + 1} at ${described(trace.characters[cursor])}`)];
    for (const name of trace.quantities) {
      const quantity = trace.cell.quantities[name];
      const value = this.#value(name, cursor);
      const item = element("dd");
      item.dataset.quantity = name;
      item.dataset.value = value ?? "";
      item.append(quantityLabel(quantity), element("b", value === null ? "…" : number(value)));
      const [color, dash] = quantity.curve ?? ["rule", "solid"];
      item.style.borderTopStyle = dash;
      item.style.borderTopColor = `var(--${color})`;
      items.push(item);
    }
    byId("unit-values").dataset.at = `${layer} ${unit} ${cursor}`;
    byId("unit-values").replaceChildren(...items);
  }
}

// "forget gate f", or in short, as on a button, "forget f"
function quantityLabel({ name, symbol }, { short = false } = {}) {
  const label = element("span", `${short ? name.replace(" gate", "") : name} `);
  label.append(element("i", symbol));
  return label;
}

// Puts a value into a map that forgets what was put into it first.
function keep(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MOST_KEPT) map.delete(map.keys().next().value);
}
