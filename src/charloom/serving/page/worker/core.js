// The C++ core as WebAssembly: networks whose arrays are typed arrays.
//
// T steps, B streams, V characters, H units, L layers, as in native/network/network.h; the order
// of the weights is that of weightNames. A state is { hidden, cell }, each (L, B, H).
"use strict";

const WEIGHT = 0; // the kind of array that is read and written

class Core {
  // From the bytes of core.wasm.
  static async load(bytes) {
    const module = await WebAssembly.compile(bytes);
    const imports = {};
    for (const { module: home, name } of WebAssembly.Module.imports(module)) {
      imports[home] ??= {};
      imports[home][name] = name === "proc_exit" ? stopped : () => NOT_SUPPORTED;
    }
    const { exports } = await WebAssembly.instantiate(module, imports);
    exports._initialize();
    return new Core(exports);
  }

  constructor(exports) {
    this.exports = exports;
  }

  network(settings, vocabularySize) {
    return new Network(this.exports, settings, vocabularySize);
  }
}

const NOT_SUPPORTED = 52; // ENOSYS, for what the C library asks of a system that is not there

function stopped() {
  throw new Error("the network stopped: this browser has no more memory for it");
}

class Network {
  #core;
  #network;

  constructor(exports, settings, vocabularySize) {
    const { cell, embedding_size, hidden_size, num_layers } = settings;
    this.#core = exports;
    [this.settings, this.V, this.H, this.L] = [settings, vocabularySize, hidden_size, num_layers];
    const name = new TextEncoder().encode(`${cell}\0`);
    this.#network = this.#with([name], (at) => exports.open(at, vocabularySize, embedding_size, hidden_size, num_layers));
    if (!this.#network) throw new Error(`this page has no network of the cell ${cell}`);
    this.quantities = exports.quantities(this.#network);
    this.names = weightNames(settings);
  }

  // Of a network that is used no more: its memory is free for others.
  close() {
    this.#core.close(this.#network);
  }

  elements(name) {
    return this.#core.elements(this.#network, this.names.indexOf(name));
  }

  // Weights are { name: Float32Array }, with one bias for each layer.
  writeWeights(weights) {
    this.names.forEach((name, n) => {
      const size = this.elements(name);
      if (weights[name]?.length !== size) throw new Error(`the weight ${name} must have this many numbers: ${size}`);
      this.#with([weights[name]], (at) => this.#core.write(this.#network, n, WEIGHT, at), false);
    });
  }

  readWeights() {
    return Object.fromEntries(this.names.map((name, n) => {
      const values = new Float32Array(this.elements(name));
      this.#with([values], (at) => this.#core.read(this.#network, n, WEIGHT, at));
      return [name, values];
    }));
  }

  zeroState(streams = 1) {
    const size = this.L * streams * this.H;
    return { hidden: new Float32Array(size), cell: new Float32Array(size) };
  }

  // Ids (T,) of one stream: the logits (T, V) after each, and the state after all.
  logits(ids, before) {
    const state = copied(before);
    const logits = new Float32Array(ids.length * this.V);
    this.#with([ids, state.hidden, state.cell, logits], (...at) =>
      this.#core.logits(this.#network, ids.length, 1, ...at));
    return { logits, state };
  }

  // The same with all quantities, (Q, L, T, H).
  trace(ids, before) {
    const state = copied(before);
    const quantities = new Float32Array(this.quantities * this.L * ids.length * this.H);
    const logits = new Float32Array(ids.length * this.V);
    this.#with([ids, state.hidden, state.cell, quantities, logits], (...at) =>
      this.#core.trace(this.#network, ids.length, 1, ...at));
    return { quantities, logits, state };
  }

  // `length` ids after the id `last`, the first of them drawn with random number `start` of the
  // seed; `forbidden` is never drawn (-1: none). The state is that before the last is read.
  generate(last, before, length, { temperature, top_k, top_p }, seed, start, forbidden) {
    const state = copied(before);
    const ids = new Int32Array(length);
    this.#with([state.hidden, state.cell, ids], (hidden, cell, ids) =>
      this.#core.generate(this.#network, last, hidden, cell, length, temperature, top_k, top_p, forbidden, seed, start, ids));
    return { ids, state };
  }

  // One step of Adam on inputs and targets (T, B); a target below 0 is not counted.
  trainStep(inputs, targets, streams, before, settings, step) {
    const { learning_rate, beta1, beta2, epsilon, clip_norm, dropout, dropout_key = 0 } = settings;
    const state = copied(before);
    const result = new Float64Array(4);
    const arrays = [inputs, targets, state.hidden, state.cell, result];
    this.#with(arrays, (inputs, targets, hidden, cell, result) =>
      this.#core.train_step(
        this.#network, arrays[0].length / streams, streams, inputs, targets, hidden, cell,
        learning_rate, beta1, beta2, epsilon, clip_norm, dropout, dropout_key, step, result));
    const [nats, characters, gradientNorm, updated] = result;
    return { nats, characters, gradientNorm, updated: Boolean(updated), state };
  }

  // Calls `act` with the places of copies of arrays, and copies back what it made of them.
  #with(arrays, act, back = true) {
    const { allocate, release, memory } = this.#core;
    const places = [];
    try {
      for (const array of arrays) {
        const place = allocate(Math.max(array.byteLength, 1));
        if (!place) stopped();
        places.push(place);
        new array.constructor(memory.buffer, place, array.length).set(array);
      }
      const result = act(...places);
      if (back) arrays.forEach((array, n) => array.set(new array.constructor(memory.buffer, places[n], array.length)));
      return result;
    } finally {
      places.forEach(release);
    }
  }
}

function copied({ hidden, cell }) {
  return { hidden: hidden.slice(), cell: cell.slice() };
}

// The names of a network's weights, in the order in which the core numbers them.
function weightNames({ cell, embedding_size, num_layers }) {
  const layers = Array.from({ length: num_layers }, (_, l) =>
    [`${cell}.weight_ih_l${l}`, `${cell}.weight_hh_l${l}`, `${cell}.bias_l${l}`]);
  return [...(embedding_size ? ["embedding.weight"] : []), ...layers.flat(), "head.weight", "head.bias"];
}
