// What followed the same characters before, mixed with what a network says: model/compression/counts.py,
// operation for operation.
"use strict";

const RATES = [0.002, 0.0005]; // of the weights, at the start and at the end of the text
const FACTOR = 4093; // of a word's number for its next letter
const WORDS = 2 ** 40; // numbers of words
const LEAST = -16; // of a logarithm
const UNIT = 4096; // logarithms are whole multiples of 1 / UNIT
const HIGHEST = 255; // a count that is higher is halved, and all of its context with it
const MOST_COUNTS = 2 ** 26; // after that there are no new contexts
const EXPONENT = 103; // of 2^-24, as float32 has it

const rounded = (x) => (x * UNIT + ROUNDED - ROUNDED) / UNIT;

// ln p by the first 12 bits of p, for each power of 2 from -24 to 0.
const LOGARITHMS = Float64Array.from({ length: (128 - EXPONENT) * 4096 }, (_, n) => {
  const mantissa = 1 + (n % 4096) / 4096;
  const z = (mantissa - 1) / (mantissa + 1);
  let series = 0;
  for (let term = 39; term > 0; term -= 2) series = series * (z * z) + 1 / term;
  return Math.max(rounded((EXPONENT + Math.floor(n / 4096) - 127) * 0.6931471805599453 + 2 * z * series), LEAST);
});
const FLOAT = new Float32Array(1);
const BITS = new Int32Array(FLOAT.buffer);

function logarithm(p) {
  FLOAT[0] = p;
  return LOGARITHMS[Math.max((BITS[0] >> 11) - (EXPONENT << 12), 0)];
}

class Mixture {
  #letters;
  #symbols;
  #longest;
  #counts; // row 0: a context that was never seen
  #rows = new Map();
  #weights;
  #before; // the characters before the chunk
  #word = 0; // the word so far, before the chunk
  #seen = [];

  // Letters of words have numbers, capitals those of small letters; other symbols have 0.
  constructor(letters, longest) {
    const symbols = letters.length;
    this.#letters = letters;
    this.#symbols = symbols;
    this.#longest = longest;
    this.#counts = new Uint16Array(1024 * symbols);
    this.#weights = Array.from({ length: (longest + 3) * symbols }, () => [0.6, ...Array(longest + 2).fill(0.4)]);
    this.#before = Array(longest).fill(0);
  }

  start(first) {
    this.#before[this.#longest - 1] = first;
    this.#word = this.#next(0, first);
  }

  // Of the mixture, from the network's logits after the characters of the chunk that were read.
  frequencies(logits, read) {
    const S = this.#symbols;
    const recent = [...this.#before, ...read];
    const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const logarithms = [Float64Array.from(logits, (logit) => rounded(Math.max(logit - most, LEAST)))];
    let p = new Float64Array(S).fill(1 / S);
    let seen = 0;
    for (const key of this.#keys(recent, this.#wordAfter(read))) {
      const row = (this.#rows.get(key) ?? 0) * S;
      const counts = this.#counts.subarray(row, row + S);
      let [found, distinct] = [0, 0];
      for (const count of counts) {
        found += count;
        distinct += Number(count > 0);
      }
      seen += Number(found > 0);
      distinct += Number(found === 0);
      p = p.map((shorter, s) => (counts[s] + distinct * shorter) / (found + distinct));
      logarithms.push(p.map(logarithm));
    }
    const set = seen * S + recent.at(-1);
    const kept = this.#weights[set];
    const weights = kept.map((w, k) => (k && k + 1 < kept.length ? w - kept[k + 1] : w));
    const mixed = Array.from(logarithms[0], (_, s) => {
      let sum = weights[0] * logarithms[0][s];
      for (let k = 1; k < logarithms.length; k++) sum += weights[k] * logarithms[k][s];
      return sum;
    });
    const result = frequencies(mixed);
    this.#seen.push({ set, logarithms, result });
    return result;
  }

  // Learn from a chunk whose frequencies were asked for; `share` of the text is read.
  learn(ids, share) {
    const gradients = new Map(this.#seen.map(({ set }) => [set, this.#weights[set].map(() => 0)]));
    this.#seen.forEach(({ set, logarithms, result }, n) => {
      const sums = logarithms.map((values) => values.reduce((sum, value, s) => sum + result[s] * value, -TOTAL * values[ids[n]]));
      sums.forEach((sum, k) => (gradients.get(set)[k] += k > 1 ? sum - sums[k - 1] : sum));
    });
    this.#seen = [];
    const rate = RATES[0] + share * (RATES[1] - RATES[0]);
    for (const [set, gradient] of gradients) this.#weights[set] = this.#weights[set].map((w, k) => w - rate * (gradient[k] / TOTAL));
    const keys = ids.map((_, n) => this.#keys([...this.#before, ...ids.slice(0, n)], this.#wordAfter(ids.slice(0, n))));
    const known = ids.map((id, n) => keys[n].map((key) => this.#counts[(this.#rows.get(key) ?? 0) * this.#symbols + id] > 0));
    const touched = [];
    for (let k = 0; k <= this.#longest + 1; k++) {
      ids.forEach((id, n) => {
        const row = this.#row(keys[n][k]);
        const longer = known[n].slice(k + 1, -1).includes(true);
        if (row && !longer) touched.push([row * this.#symbols, id]);
      });
    }
    for (const [row, id] of touched) this.#counts[row + id]++;
    const high = new Set(touched.filter(([row, id]) => this.#counts[row + id] > HIGHEST).map(([row]) => row));
    for (const row of high) {
      for (let at = row; at < row + this.#symbols; at++) this.#counts[at] -= this.#counts[at] >> 1;
    }
    this.#before = [...this.#before, ...ids].slice(ids.length);
    this.#word = this.#wordAfter(ids);
  }

  // The word so far after one more symbol; below 0 outside of words.
  #next(word, symbol) {
    const letter = this.#letters[symbol];
    return letter ? (Math.max(word, 0) * FACTOR + letter) % WORDS : -1 - symbol;
  }

  #wordAfter(read) {
    return read.reduce((word, symbol) => this.#next(word, symbol), this.#word);
  }

  // Numbers of the contexts of each length that end here, and of the word.
  #keys(recent, word) {
    let context = 0;
    const keys = [];
    for (let k = 0; k <= this.#longest; k++) {
      if (k) context = context * 256 + recent[recent.length - k];
      keys.push(context * 8 + k);
    }
    keys.push(word * 8 + 7);
    return keys;
  }

  // Where the counts of a context are, of a new one if need be; 0 if there is no room.
  #row(key) {
    let row = this.#rows.get(key) ?? 0;
    if (!row && this.#rows.size + 1 < Math.max(Math.floor(MOST_COUNTS / this.#symbols), 2)) {
      row = this.#rows.size + 1;
      this.#rows.set(key, row);
      if (row * this.#symbols === this.#counts.length) {
        const larger = new Uint16Array(2 * this.#counts.length);
        larger.set(this.#counts);
        this.#counts = larger;
      }
    }
    return row;
  }
}
