// Training in the page: a model of a text, step by step, and what it has learned so far.
//
// Settings are those of charloom, by the names of settings.py: { text, unknown, model, training }.
"use strict";

const HELD_OUT = 0.1; // the share at the end of a text that is not trained on
const LEAST_HELD_OUT = 50; // characters; a shorter text is trained on whole
const SHOWN = 150; // characters at the start of the text whose gates are shown

class Trainer {
  #state = null;
  #position = { epoch: 0, index: 0 };

  constructor(core, { text, unknown, model, training }) {
    Object.assign(this, { settings: model, training, step: 0 });
    this.text = normalized(text, "none");
    this.vocabulary = Vocabulary.of(this.text, unknown);
    this.ids = this.vocabulary.encode(this.text);
    const heldOut = training.batches === "streams" ? Math.floor(this.ids.length * HELD_OUT) : 0;
    this.heldOut = heldOut < LEAST_HELD_OUT ? 0 : heldOut;
    const learned = this.ids.subarray(0, this.ids.length - this.heldOut);
    this.batches = training.batches === "windows" ? new Windows(learned, training) : new Streams(learned, training);
    this.network = core.network(model, this.vocabulary.size);
    this.network.writeWeights(firstValues(model, this.vocabulary.size, training.seed, training.first_values));
    this.steps = training.steps ?? Math.round(training.epochs * this.batches.perEpoch);
    this.predictor = null;
  }

  // What the page tells of the data before the first step.
  heading() {
    const { ids, vocabulary, batches: { T, count = 0, perEpoch } } = this;
    const rows = Array.from({ length: Math.min(3, count) }, (_, n) => ids.slice(n, n + T + 1));
    return {
      length: ids.length,
      heldOut: this.heldOut,
      symbols: vocabulary.symbols(Int32Array.from({ length: vocabulary.size }, (_, id) => id)),
      windows: count,
      rows,
      T,
      perEpoch,
      steps: this.steps,
      weights: this.network.names.reduce((sum, name) => sum + this.network.elements(name), 0),
    };
  }

  // Some more steps: the nats and the counted characters of each.
  train(count) {
    const losses = [];
    for (; count > 0 && this.step < this.steps; count--) losses.push(this.#trainStep());
    return { step: this.step, losses };
  }

  #trainStep() {
    const { batches, network, training, vocabulary } = this;
    const { epoch, index } = this.#position;
    const random = randomNumbers(training.seed, UNKNOWN, this.step);
    const batch = withUnknowns(batches.batch(epoch, index), vocabulary.unknownId, training.unknown_share ?? 0, random);
    const before = batch.fresh ? network.zeroState(batch.streams) : this.#state;
    const settings = { ...training, learning_rate: learningRate(this.step, this.steps, training) };
    const done = network.trainStep(batch.inputs, batch.targets, batch.streams, before, settings, this.step + 1);
    if (!done.updated) throw new Error(`step ${this.step + 1}: the loss is not finite; start again with a lower learning rate`);
    this.#state = done.state;
    this.#position = index + 1 < batches.perEpoch ? { epoch, index: index + 1 } : { epoch: epoch + 1, index: 0 };
    this.step += 1;
    return { nats: done.nats, characters: done.characters };
  }

  // The top layer's gates while the start of the text is read, (gates, T, H) bytes, and the mean
  // surprisal of what is held out. Of windows each character is the last of its own.
  look() {
    const { network, vocabulary, ids, training, batches: { T } } = this;
    const { H, L } = network;
    const shown = ids.subarray(0, SHOWN);
    const cell = CELLS[this.settings.cell];
    const names = Object.keys(cell.quantities).filter((name) => cell.quantities[name].scale === GATE);
    const gates = new Uint8Array(names.length * shown.length * H);
    const show = (first, start, stop) => { // read from `first`, shown from `start` to `stop`
      const { quantities } = network.trace(shown.slice(first, stop), network.zeroState());
      names.forEach((name, n) => {
        const row = (cell.traced.indexOf(name) * L + L - 1) * (stop - first) + start - first;
        const values = quantities.subarray(row * H, (row + stop - start) * H);
        gates.set(values.map((value) => Math.round(value * 255)), (n * shown.length + start) * H);
      });
    };
    if (training.batches === "windows") {
      show(0, 0, T);
      for (let t = T; t < shown.length; t++) show(t - T + 1, t, t + 1);
    } else show(0, 0, shown.length);
    return { characters: vocabulary.symbols(shown), gates, units: H, heldOut: this.#heldOutNats() };
  }

  // The text written back from its beginning: each character the likeliest after the last T that
  // stand there, as a window is read; of streams, after all of them.
  writeBack() {
    const { network, batches: { T }, ids, vocabulary } = this;
    const written = Array.from(ids.subarray(0, T));
    const length = Math.min(ids.length, SHOWN);
    let state = network.zeroState();
    let unread = written.slice();
    while (written.length < length) {
      const { logits, state: after } = network.logits(Int32Array.from(unread), state);
      const [best] = likeliest(logits.subarray(-vocabulary.size), 1);
      written.push(best);
      if (this.training.batches === "windows") unread = written.slice(-T);
      else [state, unread] = [after, [best]];
    }
    const right = written.reduce((count, id, n) => count + (id === ids[n]), 0);
    return { text: vocabulary.symbols(written), given: T, right, matches: written.map((id, n) => id === ids[n]) };
  }

  // As readModel gives it.
  model() {
    const { settings, vocabulary, training, step, steps } = this;
    const record = { step, steps, precision: "float32", kernels: "WebAssembly", training };
    return { settings, vocabulary, record, weights: this.network.readWeights() };
  }

  // The mean surprisal in nats of the held-out text, read after what stands before it; null
  // without one.
  #heldOutNats() {
    if (!this.heldOut) return null;
    const { network, vocabulary: { size }, ids } = this;
    const { logits } = network.logits(ids.subarray(0, -1), network.zeroState());
    let nats = 0;
    for (let t = ids.length - this.heldOut; t < ids.length; t++) {
      nats -= logSoftmax(logits.subarray((t - 1) * size, t * size))[ids[t]];
    }
    return nats / this.heldOut;
  }
}

// The learning rate of a step, counted from 0: training/schedule.py.
function learningRate(step, steps, { learning_rate, warmup_steps, decay, final_learning_rate = 0 }) {
  if (step < warmup_steps) return (learning_rate * (step + 1)) / warmup_steps;
  const done = Math.min((step - warmup_steps) / Math.max(steps - warmup_steps, 1), 1);
  const left = decay === "linear" ? 1 - done : 1;
  return learning_rate * (final_learning_rate + (1 - final_learning_rate) * left);
}
