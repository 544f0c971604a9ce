// The numbers of a page that is one file, in which they are stored.
//
// An element "f_t 0" holds the plane of f_t in layer 0, a unit's numbers one after the other:
// as float32, or rounded, as bytes that stand for 256 steps of the quantity's scale. Which
// quantities are stored is seen by their elements; the cell computes the others.
"use strict";

class FileData {
  #layers = new Map(); // of those that were looked at: {quantity: (unit, t) => value}

  constructor(stored) {
    this.named = stored.named ?? [];
    this.trace = newTrace(stored);
    for (const block of stored.blocks) addBlock(this.trace, block);
    this.trace.done = true;
  }

  async start() {
    return {};
  }

  async read(text, changed) {
    changed(this.trace);
  }

  async units() {
    return this.named;
  }

  async values(layer, quantities, start, stop, unit) {
    const readers = await this.#readers(layer);
    const [first, last] = unit === undefined ? [0, this.trace.units] : [unit, unit + 1];
    const values = new Float32Array(quantities.length * (stop - start) * (last - first));
    let n = 0;
    for (const quantity of quantities) {
      const read = readers[quantity];
      for (let t = start; t < stop; t++) {
        for (let u = first; u < last; u++) values[n++] = read(u, t);
      }
    }
    return values;
  }

  async levels(layer, quantity, start, stop) {
    const { scale } = this.trace.cell.quantities[quantity];
    const values = await this.values(layer, [quantity], start, stop);
    return new Uint8Array(values.map((value) => Math.round(scale.position(value) * 255)));
  }

  async totals(layer, quantity) {
    const { units, length } = this.trace;
    const read = (await this.#readers(layer))[quantity];
    const totals = new Float64Array(2 * units);
    for (let u = 0; u < units; u++) {
      for (let t = 0; t < length; t++) {
        const value = read(u, t);
        totals[u] += value;
        totals[units + u] += value * value;
      }
    }
    return totals;
  }

  #readers(layer) {
    if (!this.#layers.has(layer)) this.#layers.set(layer, this.#unpacked(layer));
    return this.#layers.get(layer);
  }

  async #unpacked(layer) {
    const { cell, quantities, rounded, units, length, initial } = this.trace;
    const stored = quantities.filter((quantity) => byId(`${quantity} ${layer}`));
    const planes = {};
    await Promise.all(stored.map(async (quantity) => {
      const bytes = await inflated(byId(`${quantity} ${layer}`));
      planes[quantity] = rounded ? fromSteps(bytes, cell.quantities[quantity].scale) : new Float32Array(bytes);
    }));
    const readers = Object.fromEntries(
      Object.entries(planes).map(([quantity, plane]) => [quantity, (u, t) => plane[u * length + t]]));
    const fresh = Uint8Array.from({ length }, (_, t) => startsLine(this.trace, t));
    // The carried quantity one character before, from its plane.
    const carriedBefore = (plane, u, t) => {
      if (fresh[t]) return 0;
      return t ? plane[u * length + t - 1] : initial[layer * units + u];
    };
    return { ...readers, ...cell.computed?.(planes, { units, length, carriedBefore }) };
  }
}

// The bytes that an element holds, compressed, in base64.
function inflated(element) {
  const compressed = new Blob([decoded(element.textContent, Uint8Array)]);
  return new Response(compressed.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

function fromSteps(bytes, scale) {
  const steps = new Uint8Array(bytes);
  const ofStep = Float32Array.from({ length: 256 }, (_, n) => (scale === GATE ? n / 255 : (2 * n) / 255 - 1));
  const values = new Float32Array(steps.length);
  for (let n = 0; n < steps.length; n++) values[n] = ofStep[steps[n]]; // from() is ten times as slow
  return values;
}
