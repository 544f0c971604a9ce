// Where numbers come from: a server that is asked for ranges, or the file that the page is.
//
// Both have the same face. A passage is the text's heading with nats, ranks, after and
// probabilities for every character; values() gives float32, quantity by quantity, character
// by character, unit by unit.
"use strict";

const QUANTITIES = ["f_t", "fC_t", "i_t", "g_t", "gi_t", "C_t", "o_t", "h_t"];
const GATES = new Set(["f_t", "i_t", "o_t"]);

function decoded(base64, Kind) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function beginPassage(heading) {
  const length = heading.cells.length;
  return {
    ...heading,
    length,
    read: 0,
    nats: new Float32Array(length),
    ranks: new Int32Array(length),
    after: new Int32Array(length * heading.alternatives),
    probabilities: new Float32Array(length * heading.alternatives),
    speaks: decoded(heading.speaks, Int32Array),
    before: decoded(heading.before, Float32Array),
    done: false,
  };
}

function addBlock(passage, block) {
  const nats = decoded(block.nats, Float32Array);
  passage.nats.set(nats, block.start);
  passage.ranks.set(decoded(block.ranks, Int32Array), block.start);
  const at = block.start * passage.alternatives;
  passage.after.set(decoded(block.after, Int32Array), at);
  passage.probabilities.set(decoded(block.probabilities, Float32Array), at);
  passage.read = block.start + nats.length;
}

// Where a value stands between the ends of its scale, 0 to 1. Gates are drawn from 0 to 1, the
// other quantities from -1 to 1; C and fC know no bounds, and are drawn as x / (1 + |x|).
function placeOf(quantity, value) {
  if (GATES.has(quantity)) return value;
  return (bounded(quantity, value) + 1) / 2;
}

function bounded(quantity, value) {
  return quantity === "C_t" || quantity === "fC_t" ? value / (1 + Math.abs(value)) : value;
}

function endsOf(quantity) {
  if (GATES.has(quantity)) return ["0", "1"];
  return quantity === "C_t" || quantity === "fC_t" ? [MINUS + "∞", "∞"] : [MINUS + "1", "1"];
}

async function* linesOf(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    held += done ? decoder.decode() : decoder.decode(value, { stream: true });
    const lines = held.split("\n");
    held = lines.pop();
    for (const line of lines) {
      const parsed = JSON.parse(line);
      if (parsed.error) throw new Error(parsed.error);
      yield parsed;
    }
    if (done) return;
  }
}

class ServerSource {
  static live = true;

  async start() {
    return (await this.#ask("/api/start")).json();
  }

  // Reads a text; `changed` is called with the passage as more of it is known.
  async read(text, changed) {
    this.wanted = (this.wanted ?? 0) + 1;
    const mine = this.wanted;
    let passage = null;
    for await (const line of linesOf(await this.#post("/api/read", { text }))) {
      if (mine !== this.wanted) return;
      if (line.cells) {
        passage = beginPassage(line);
        this.name = line.text;
      } else if (line.done) passage.done = true;
      else addBlock(passage, line);
      changed(passage);
    }
  }

  async values(layer, quantities, start, stop, unit) {
    const bytes = await this.#bytes("/api/values", { layer, quantities, start, stop, unit });
    return new Float32Array(bytes);
  }

  // One quantity of all units as bytes, 0 to 255 from end to end of its scale.
  async levels(layer, quantity, start, stop) {
    return new Uint8Array(await this.#bytes("/api/levels", { layer, quantity, start, stop }));
  }

  // Sums over the text, and sums of squares: two for every quantity and unit.
  async totals(layer) {
    return new Float64Array(await this.#bytes("/api/totals", { layer }));
  }

  async write(request, signal) {
    return linesOf(await this.#post("/api/write", request, signal));
  }

  async #bytes(path, query) {
    const known = Object.entries({ text: this.name, ...query }).filter(([, v]) => v !== undefined);
    return (await this.#ask(`${path}?${new URLSearchParams(known)}`)).arrayBuffer();
  }

  async #post(path, body, signal) {
    const headers = { "Content-Type": "application/json" };
    return this.#ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  }

  async #ask(path, options) {
    const response = await fetch(path, options);
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answered ${response.status}`);
  }
}

class FileSource {
  static live = false;

  constructor(data) {
    this.passage = beginPassage(data);
    for (const block of data.blocks) addBlock(this.passage, block);
    this.passage.done = true;
    this.stored = data.stored.map((layer) =>
      Object.fromEntries(Object.entries(layer).map(([q, b]) => [q, decoded(b, Float32Array)])));
  }

  async start() {
    return {};
  }

  async read(text, changed) {
    changed(this.passage);
  }

  async values(layer, quantities, start, stop, unit) {
    const { units } = this.passage;
    const [first, last] = unit === undefined ? [0, units] : [unit, unit + 1];
    const values = new Float32Array(quantities.length * (stop - start) * (last - first));
    let n = 0;
    for (const quantity of quantities) {
      for (let t = start; t < stop; t++) {
        for (let u = first; u < last; u++) values[n++] = this.#value(layer, quantity, t, u);
      }
    }
    return values;
  }

  async levels(layer, quantity, start, stop) {
    const values = await this.values(layer, [quantity], start, stop);
    return Uint8Array.from(values, (value) => Math.round(placeOf(quantity, value) * 255));
  }

  async totals(layer) {
    const { units, length, quantities } = this.passage;
    const sums = new Float64Array(2 * quantities.length * units);
    quantities.forEach((quantity, q) => {
      for (let t = 0; t < length; t++) {
        for (let u = 0; u < units; u++) {
          const value = this.#value(layer, quantity, t, u);
          sums[q * units + u] += value;
          sums[(quantities.length + q) * units + u] += value * value;
        }
      }
    });
    return sums;
  }

  // The products are rounded to float32, as the model's own are.
  #value(layer, quantity, t, u) {
    const { units } = this.passage;
    const stored = this.stored[layer];
    const at = t * units + u;
    if (quantity === "gi_t") return Math.fround(stored.g_t[at] * stored.i_t[at]);
    if (quantity !== "fC_t") return stored[quantity][at];
    const before = t ? stored.C_t[at - units] : this.passage.before[layer * units + u];
    return Math.fround(stored.f_t[at] * (startsNew(this.passage, t) ? 0 : before));
  }
}

// In a model of lines nothing is carried over the line feed that each of them starts with.
function startsNew(passage, t) {
  return passage.lines && passage.cells[t] === "\n";
}
