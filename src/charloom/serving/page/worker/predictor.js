// A model that reads: a network, its vocabulary, and whether lines stand alone.
"use strict";

class Predictor {
  constructor(core, model) {
    this.model = model;
    this.vocabulary = model.vocabulary;
    this.lines = model.record?.training?.batches === "lines";
    this.normalization = model.record?.text?.normalization ?? "none";
    this.network = core.network(model.settings, model.vocabulary.size);
    this.network.writeWeights(model.weights);
    this.cell = CELLS[model.settings.cell];
    if (!this.cell) throw new Error(`this page cannot show the cell ${model.settings.cell}`);
  }

  // The id of the line feed that every line is read after; -1 where text is one stream.
  get lineStart() {
    return this.lines ? this.vocabulary.newlineId : -1;
  }

  // What is expected before a text, as logits, and the state that it is read from.
  opening() {
    const state = this.network.zeroState();
    if (this.lineStart < 0) return { logits: new Float32Array(this.vocabulary.size), state };
    return this.network.logits(Int32Array.of(this.lineStart), state);
  }

  // The ids to read before what follows a prompt.
  context(prompt) {
    if (this.lines) prompt = "\n" + prompt.slice(prompt.lastIndexOf("\n") + 1);
    else if (!prompt && this.vocabulary.newlineId >= 0) prompt = "\n";
    return this.vocabulary.encode(prompt);
  }

  // Reads ids from a state; each line of a model of lines from a zero state. Gives every quantity
  // that the cell shows, (T, L, H) each, the logits (T, V) and the state after.
  trace(ids, state) {
    const { H, L, V } = this.network;
    const values = Object.fromEntries([...this.cell.traced, ...Object.keys(this.cell.products)]
      .map((name) => [name, new Float32Array(ids.length * L * H)]));
    const logits = new Float32Array(ids.length * V);
    for (const [start, stop] of this.#stretches(ids)) {
      if (ids[start] === this.lineStart && this.lineStart >= 0) state = this.network.zeroState();
      const before = state.cell;
      const traced = this.network.trace(ids.subarray(start, stop), state);
      this.#place(values, traced.quantities, start, stop - start);
      for (const [name, factors] of Object.entries(this.cell.products)) {
        multiply(values, name, factors, before, start * L * H, stop * L * H);
      }
      logits.set(traced.logits, start * V);
      state = traced.state;
    }
    return { values, logits, state };
  }

  // [start, stop] of what is read in one go.
  *#stretches(ids) {
    let start = 0;
    for (let t = 1; this.lineStart >= 0 && t < ids.length; t++) {
      if (ids[t] !== this.lineStart) continue;
      yield [start, t];
      start = t;
    }
    yield [start, ids.length];
  }

  // From the core's (Q, L, T, H) into (T, L, H) of each quantity.
  #place(values, quantities, start, length) {
    const { H, L } = this.network;
    this.cell.traced.forEach((name, q) => {
      for (let l = 0; l < L; l++) {
        for (let t = 0; t < length; t++) {
          const from = ((q * L + l) * length + t) * H;
          values[name].set(quantities.subarray(from, from + H), ((start + t) * L + l) * H);
        }
      }
    });
  }
}

// A quantity that is the product of two others, in float32; `before` is the article a step ago.
function multiply(values, name, factors, before, start, stop) {
  const [a, b] = factors.map((factor) => {
    if (factor !== "before") return (n) => values[factor][n];
    return (n) => (n - start < before.length ? before[n - start] : values.C_t[n - before.length]);
  });
  for (let n = start; n < stop; n++) values[name][n] = a(n) * b(n);
}

// ln p of every id, from a row of logits, in float64.
function logSoftmax(logits) {
  let most = -Infinity;
  for (const logit of logits) most = Math.max(most, logit);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - most);
  const log = Math.log(total);
  return Float64Array.from(logits, (logit) => logit - most - log);
}
