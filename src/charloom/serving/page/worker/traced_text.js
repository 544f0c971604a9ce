// A text that a model has read, of which any range of numbers can be had: the twin of
// serving/activations.py, block by block.
"use strict";

const BLOCK = 256; // characters that are traced in one call
const ALTERNATIVES = 8; // likeliest next characters that are kept for every place
const KEPT_BYTES = 2 ** 28; // of all blocks that are kept; the others are computed again

class TracedText {
  #blocks = new Map(); // number -> quantities, those asked for last at the end
  #states = []; // before each block
  #sums = new Map(); // "layer quantity" -> sums of each unit, then sums of squares

  constructor(predictor, text) {
    const { vocabulary, network } = predictor;
    this.predictor = predictor;
    text = normalized(text, predictor.normalization);
    if (!text) throw new Error("the text is empty; it must have at least one character");
    this.ids = vocabulary.encode(text);
    this.characters = vocabulary.symbols(this.ids, text);
    this.quantities = Object.keys(predictor.cell.quantities);
    const { logits, state } = predictor.opening();
    this.expected = logits;
    this.#states.push(state);
    this.before = (predictor.cell.traced.includes("C_t") ? state.cell : state.hidden).slice();
    this.alternatives = Math.min(ALTERNATIVES, vocabulary.size);
  }

  // What a page has to know before the first number.
  heading() {
    const { model, vocabulary, network } = this.predictor;
    const everything = Int32Array.from({ length: vocabulary.size }, (_, id) => id);
    return {
      model: modelTitle(model),
      cell: model.settings.cell,
      layers: network.L,
      units: network.H,
      lines: this.predictor.lines,
      quantities: this.quantities,
      block: BLOCK,
      cells: this.characters,
      unknown: [...this.ids.keys()].filter((t) => this.ids[t] === vocabulary.unknownId),
      symbols: vocabulary.symbols(everything),
      alternatives: this.alternatives,
      speaks: raisedAndLowered(model.weights["head.weight"], vocabulary.size, network.H),
      before: this.before,
    };
  }

  // Reads the text, once: for every block its surprisal in nats, its ranks and its alternatives.
  *blocks() {
    for (let start = 0; start < this.ids.length; start += BLOCK) {
      const { values, logits } = this.#traced(start / BLOCK);
      this.#count(values);
      yield { start, ...this.#judged(start, logits) };
    }
  }

  // Of all units of a layer, or of one: (quantities, characters, units).
  values(layer, quantities, start, stop, unit) {
    const { H, L } = this.predictor.network;
    const [first, count] = unit === undefined ? [0, H] : [unit, 1];
    const found = new Float32Array(quantities.length * (stop - start) * count);
    for (let t = start; t < stop; t++) {
      const block = this.#block(Math.floor(t / BLOCK));
      const at = ((t % BLOCK) * L + layer) * H + first;
      quantities.forEach((name, q) => {
        found.set(block[name].subarray(at, at + count), (q * (stop - start) + t - start) * count);
      });
    }
    return found;
  }

  // The values as positions on the quantity's scale, 0 to 255.
  levels(layer, quantity, start, stop) {
    const { scale } = this.predictor.cell.quantities[quantity];
    const level = (value) => Math.round(Math.min(Math.max(scale.position(value), 0), 1) * 255);
    return Uint8Array.from(this.values(layer, [quantity], start, stop), level);
  }

  // Sums over the text for every unit, then sums of squares.
  totals(layer, quantity) {
    return this.#sums.get(`${layer} ${quantity}`);
  }

  #block(number) {
    const block = this.#blocks.get(number) ?? this.#traced(number).values;
    this.#keep(number, block);
    return block;
  }

  #traced(number) {
    const ids = this.ids.subarray(number * BLOCK, (number + 1) * BLOCK);
    const { values, logits, state } = this.predictor.trace(ids, this.#states[number]);
    this.#states[number + 1] = state;
    this.#keep(number, values);
    return { values, logits };
  }

  #keep(number, block) {
    this.#blocks.delete(number);
    this.#blocks.set(number, block);
    const bytes = Object.values(block).reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (this.#blocks.size > Math.max(1, KEPT_BYTES / bytes)) this.#blocks.delete(this.#blocks.keys().next().value);
  }

  #count(block) {
    const { H, L } = this.predictor.network;
    for (const name of this.quantities) {
      const values = block[name];
      for (let l = 0; l < L; l++) {
        const key = `${l} ${name}`;
        if (!this.#sums.has(key)) this.#sums.set(key, new Float64Array(2 * H));
        const sums = this.#sums.get(key);
        for (let n = l * H; n < values.length; n += L * H) {
          for (let u = 0; u < H; u++) {
            sums[u] += values[n + u];
            sums[H + u] += values[n + u] ** 2;
          }
        }
      }
    }
  }

  // How likely the characters of a block were, and what was likeliest after each.
  #judged(start, logits) {
    const { vocabulary, lines } = this.predictor;
    const { size, unknownId, unknownNats } = vocabulary;
    const length = logits.length / size;
    const nats = new Float32Array(length);
    const ranks = new Int32Array(length);
    const after = new Int32Array(length * this.alternatives);
    const probabilities = new Float32Array(length * this.alternatives);
    let shares = logSoftmax(this.expected);
    for (let n = 0; n < length; n++) {
      const id = this.ids[start + n];
      const own = shares[id];
      nats[n] = -own + (id === unknownId ? unknownNats : 0);
      const blind = start + n === 0 && !lines;
      if (!blind) ranks[n] = 1 + shares.reduce((count, share) => count + (share > own), 0);
      shares = logSoftmax(logits.subarray(n * size, (n + 1) * size));
      likeliest(shares, this.alternatives).forEach((best, a) => {
        after[n * this.alternatives + a] = best;
        probabilities[n * this.alternatives + a] = Math.exp(shares[best]);
      });
    }
    this.expected = logits.slice(-size);
    return { nats, ranks, after, probabilities };
  }
}

// The ids of the largest shares, the largest first; of equal ones the lower id.
function likeliest(shares, count) {
  const best = [];
  shares.forEach((share, id) => {
    if (best.length === count && share <= shares[best[count - 1]]) return;
    let place = Math.min(best.length, count - 1);
    for (; place > 0 && shares[best[place - 1]] < share; place--) best[place] = best[place - 1];
    best[place] = id;
  });
  return best;
}

// (2, H): the id whose logit each unit of the top layer raises most, against the mean of all, and
// that which it lowers most.
function raisedAndLowered(weight, size, H) {
  const found = new Int32Array(2 * H);
  for (let u = 0; u < H; u++) {
    for (let id = 1; id < size; id++) {
      if (weight[id * H + u] > weight[found[u] * H + u]) found[u] = id;
      if (weight[id * H + u] < weight[found[H + u] * H + u]) found[H + u] = id;
    }
  }
  return found;
}
