// Where numbers come from: a server that is asked for ranges, or the file that the page is.
//
// Both have the same face. A passage is the text's heading with nats, ranks, after and
// probabilities for every character; values() gives float32, quantity by quantity, character
// by character, unit by unit.
"use strict";

const QUANTITIES = ["f_t", "fC_t", "i_t", "g_t", "gi_t", "C_t", "o_t", "h_t"];
const GATES = new Set(["f_t", "i_t", "o_t"]);

function decoded(base64, Kind) {
  if (Uint8Array.fromBase64) return new Kind(Uint8Array.fromBase64(base64).buffer);
  const characters = atob(base64);
  const bytes = new Uint8Array(characters.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = characters.charCodeAt(n);
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
    digits: heading.off?.C_t || heading.off?.h_t ? 2 : 3, // that are right
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

  // Sums over the text, and sums of squares: two for every unit.
  async totals(layer, quantity) {
    return new Float64Array(await this.#bytes("/api/totals", { layer, quantity }));
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

  // Asks again, for some seconds, where too many others ask at the same time.
  async #ask(path, options, pause = 100) {
    const response = await fetch(path, options);
    if (response.ok) return response;
    if (response.status === 429 && !options && pause < 3000) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      return this.#ask(path, options, 2 * pause);
    }
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answered ${response.status}`);
  }
}

// The file stores, for each layer, planes of numbers (a unit's one after the other): floats, or
// bytes that stand for 256 steps of a scale. All else follows from them by the blog's equations,
// rounded to float32 as the model's own numbers are.
class FileSource {
  static live = false;
  #layers = new Map(); // of those that were looked at, the numbers

  constructor(data) {
    this.passage = beginPassage(data);
    for (const block of data.blocks) addBlock(this.passage, block);
    this.passage.done = true;
  }

  async start() {
    return {};
  }

  async read(text, changed) {
    changed(this.passage);
  }

  async values(layer, quantities, start, stop, unit) {
    const { units } = this.passage;
    const numbers = await this.#numbers(layer);
    const [first, last] = unit === undefined ? [0, units] : [unit, unit + 1];
    const values = new Float32Array(quantities.length * (stop - start) * (last - first));
    let n = 0;
    for (const quantity of quantities) {
      const of = this.#reader(layer, quantity, numbers);
      for (let t = start; t < stop; t++) {
        for (let u = first; u < last; u++) values[n++] = of(u, t);
      }
    }
    return values;
  }

  async levels(layer, quantity, start, stop) {
    const values = await this.values(layer, [quantity], start, stop);
    return Uint8Array.from(values, (value) => Math.round(placeOf(quantity, value) * 255));
  }

  async totals(layer, quantity) {
    const { units, length } = this.passage;
    const of = this.#reader(layer, quantity, await this.#numbers(layer));
    const sums = new Float64Array(2 * units);
    for (let u = 0; u < units; u++) {
      for (let t = 0; t < length; t++) {
        const value = of(u, t);
        sums[u] += value;
        sums[units + u] += value * value;
      }
    }
    return sums;
  }

  #numbers(layer) {
    if (!this.#layers.has(layer)) this.#layers.set(layer, this.#unpacked(layer));
    return this.#layers.get(layer);
  }

  async #unpacked(layer) {
    const { cell, digits } = this.passage;
    const names = cell === "lstm" ? ["f_t", "i_t", "g_t", "o_t"] : ["h_t"];
    const planes = await Promise.all(names.map((name) => inflated(byId(`${name} ${layer}`))));
    const numbers = Object.fromEntries(names.map((name, n) =>
      [name, digits < 3 ? steps(planes[n], GATES.has(name)) : new Float32Array(planes[n])]));
    if (cell === "lstm") numbers.C_t = this.#articles(layer, numbers);
    return numbers;
  }

  #articles(layer, { f_t, i_t, g_t }) {
    const { units, length, before } = this.passage;
    const fresh = Uint8Array.from({ length }, (_, t) => startsNew(this.passage, t));
    const C_t = new Float32Array(units * length);
    for (let u = 0, at = 0; u < units; u++) {
      let C = before[layer * units + u];
      for (let t = 0; t < length; t++, at++) {
        const kept = fresh[t] ? 0 : Math.fround(f_t[at] * C);
        C = C_t[at] = Math.fround(kept + Math.fround(i_t[at] * g_t[at]));
      }
    }
    return C_t;
  }

  // A function of unit and character.
  #reader(layer, quantity, { f_t, i_t, g_t, o_t, C_t, h_t }) {
    const { units, length, before } = this.passage;
    const old = (u, t) => {
      if (startsNew(this.passage, t)) return 0;
      return t ? C_t[u * length + t - 1] : before[layer * units + u];
    };
    const plane = { f_t, i_t, g_t, o_t, C_t, h_t }[quantity];
    if (plane) return (u, t) => plane[u * length + t];
    return {
      fC_t: (u, t) => Math.fround(f_t[u * length + t] * old(u, t)),
      gi_t: (u, t) => Math.fround(g_t[u * length + t] * i_t[u * length + t]),
      h_t: (u, t) => Math.fround(o_t[u * length + t] * Math.tanh(C_t[u * length + t])),
    }[quantity];
  }
}

// The bytes of an element's base64, unpacked.
function inflated(element) {
  const unpacking = new DecompressionStream("deflate");
  const packed = new Blob([decoded(element.textContent, Uint8Array)]);
  return new Response(packed.stream().pipeThrough(unpacking)).arrayBuffer();
}

function steps(plane, gate) {
  const scale = Float32Array.from({ length: 256 }, (_, n) => (gate ? n / 255 : (2 * n) / 255 - 1));
  const levels = new Uint8Array(plane);
  const values = new Float32Array(levels.length);
  for (let n = 0; n < levels.length; n++) values[n] = scale[levels[n]];
  return values;
}

// In a model of lines nothing is carried over the line feed that each of them starts with.
function startsNew(passage, t) {
  return passage.lines && passage.cells[t] === "\n";
}
