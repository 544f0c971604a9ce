// Where the numbers come from: the server, or, where a page has its model in it, its worker (see
// local_data.js).
//
// Both have the same methods. A trace is a text and what the model made of it: for every
// character its surprisal in nats, its rank, and the likeliest characters after it. values()
// gives float32, quantity by quantity, character by character, unit by unit.
"use strict";

// A trace of which nothing is read yet, from its heading.
function newTrace(heading) {
  const cell = CELLS[heading.cell];
  if (!cell) throw new Error(`this page cannot show the cell ${heading.cell}`);
  const length = heading.cells.length;
  return {
    cell,
    model: heading.model,
    layers: heading.layers,
    units: heading.units,
    lines: heading.lines, // whether every line is read from a zero state
    quantities: heading.quantities,
    blockSize: heading.block, // characters
    characters: heading.cells,
    unknown: new Set(heading.unknown), // places of characters that are not in the vocabulary
    symbols: heading.symbols, // the vocabulary's
    favored: heading.speaks, // ids that the top layer's units raise and lower most
    initial: heading.before, // the carried quantity before the first character
    length,
    readCount: 0,
    done: false,
    nats: new Float32Array(length),
    ranks: new Int32Array(length), // 0 where nothing was predicted
    alternatives: heading.alternatives, // kept for each character
    likeliest: new Int32Array(length * heading.alternatives), // ids, after each character
    probabilities: new Float32Array(length * heading.alternatives),
  };
}

function addBlock(trace, block) {
  trace.nats.set(block.nats, block.start);
  trace.ranks.set(block.ranks, block.start);
  const at = block.start * trace.alternatives;
  trace.likeliest.set(block.after, at);
  trace.probabilities.set(block.probabilities, at);
  trace.readCount = block.start + block.nats.length;
}

// Whether nothing is carried over to a character: the line feed that starts a line.
function startsLine(trace, t) {
  return trace.lines && trace.characters[t] === "\n";
}

// The range of characters of a block.
function blockRange(trace, block) {
  const start = block * trace.blockSize;
  return [start, Math.min(start + trace.blockSize, trace.length)];
}

// The arrays that the server sends as base64, by name.
const SENT = {
  speaks: Int32Array, before: Float32Array, nats: Float32Array, ranks: Int32Array, after: Int32Array,
  probabilities: Float32Array, gates: Uint8Array,
};

function withArrays(line) {
  const arrays = Object.keys(line).filter((name) => SENT[name] && typeof line[name] === "string");
  return { ...line, ...Object.fromEntries(arrays.map((name) => [name, decoded(line[name], SENT[name])])) };
}

function decoded(base64, Kind) {
  if (Uint8Array.fromBase64) return new Kind(Uint8Array.fromBase64(base64).buffer);
  const characters = atob(base64);
  const bytes = new Uint8Array(characters.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = characters.charCodeAt(n);
  return new Kind(bytes.buffer);
}

// The lines of JSON of a response, as they come, with their arrays; one with an error is thrown.
async function* linesOf(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const parsed = JSON.parse(line);
      if (parsed.error) throw new Error(parsed.error);
      yield withArrays(parsed);
    }
    if (done) return;
  }
}

// The source that all panels ask, which can be changed for another.
class Source {
  constructor(source) {
    this.use(source);
  }

  use(source) {
    this.source = source;
  }

  start() {
    return this.source.start();
  }

  read(...given) {
    return this.source.read(...given);
  }

  values(...given) {
    return this.source.values(...given);
  }

  levels(...given) {
    return this.source.levels(...given);
  }

  totals(...given) {
    return this.source.totals(...given);
  }

  units() {
    return this.source.units();
  }

  generate(...given) {
    return this.source.generate(...given);
  }
}

class ServerData {
  async start() {
    return (await this.#ask("/api/start")).json();
  }

  // Reads a text; `changed` is called with its trace as more of it is known. A later call ends it.
  async read(text, changed) {
    const call = (this.lastCall = (this.lastCall ?? 0) + 1);
    let trace = null;
    for await (const line of linesOf(await this.#post("/api/read", { text }))) {
      if (call !== this.lastCall) return;
      if (line.cells) {
        trace = newTrace(line);
        this.name = line.text;
      } else if (line.done) trace.done = true;
      else addBlock(trace, line);
      changed(trace);
    }
  }

  // Of all units of a layer, or of one.
  async values(layer, quantities, start, stop, unit) {
    return new Float32Array(await this.#bytes("/api/values", { layer, quantities, start, stop, unit }));
  }

  // One quantity of all units as positions on its scale, 0 to 255.
  async levels(layer, quantity, start, stop) {
    return new Uint8Array(await this.#bytes("/api/levels", { layer, quantity, start, stop }));
  }

  // Sums over the text for every unit, then sums of squares.
  async totals(layer, quantity) {
    return new Float64Array(await this.#bytes("/api/totals", { layer, quantity }));
  }

  // Units that seem to follow something with a name, the best first.
  async units() {
    return (await (await this.#ask("/api/units")).json()).units;
  }

  async generate(request, signal) {
    return linesOf(await this.#post("/api/write", request, signal));
  }

  async #bytes(path, query) {
    const given = Object.entries({ text: this.name, ...query }).filter(([, value]) => value !== undefined);
    return (await this.#ask(`${path}?${new URLSearchParams(given)}`)).arrayBuffer();
  }

  async #post(path, body, signal) {
    const headers = { "Content-Type": "application/json" };
    return this.#ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  }

  // Asks again for some seconds while the server is busy with others.
  async #ask(path, options, pause = 100) {
    const response = await fetch(path, options);
    if (response.ok) return response;
    if (response.status === 429 && !options && pause < 3000) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      return this.#ask(path, options, 2 * pause);
    }
    const answer = await response.json().catch(() => ({}));
    throw new Error(answer.error ?? `the server answered with status ${response.status}`);
  }
}
