// Arithmetic coding, read back: model/compression/coding.py in JavaScript. What is an integer of more than 53
// bits there is a BigInt here; all else is the same operation on the same float64.
"use strict";

const TOTAL = 2 ** 24;
const WIDTH = 56n; // bits of the interval's ends
const NARROW = 1n << 40n; // an interval that is narrower gets 8 more bits
const SERIES = Array.from({ length: 14 }, (_, n) => 1 / factorial(13 - n));
const LN2_HIGH = 0.693147180369123816490;
const LN2_LOW = 1.90821492927058770002e-10;
const ROUNDED = 1.5 * 2 ** 52; // added to a small number and taken off, it rounds half to even
const POWERS = Array.from({ length: 64 }, (_, n) => (n ? 0 : 1)); // of 2, the n-th for -n
for (let n = 1; n < POWERS.length; n++) POWERS[n] = POWERS[n - 1] / 2;

function factorial(n) {
  return n < 2 ? 1 : n * factorial(n - 1);
}

// The frequency of each symbol, in proportion to exp(logit), at least 1; together TOTAL.
function frequencies(logits) {
  let most = -Infinity;
  for (const logit of logits) most = Math.max(most, logit);
  let sum = 0;
  const shares = Array.from(logits, (logit) => {
    const x = Math.max(logit - most, -40);
    const n = x * 1.4426950408889634 + ROUNDED - ROUNDED;
    const r = x - n * LN2_HIGH - n * LN2_LOW;
    let value = SERIES[0];
    for (let term = 1; term < SERIES.length; term++) value = value * r + SERIES[term];
    const share = Math.trunc(value * POWERS[-n] * 2 ** 32);
    sum += share;
    return share;
  });
  const [rest, whole] = [BigInt(TOTAL - shares.length), BigInt(sum)];
  const found = shares.map((share) => 1 + Number((BigInt(share) * rest) / whole));
  found[shares.indexOf(Math.max(...shares))] += TOTAL - found.reduce((all, one) => all + one, 0);
  return found;
}

class Decoder {
  #bytes;
  #at = Number(WIDTH / 8n);
  #code = 0n;
  #range = 1n << WIDTH;

  constructor(bytes) {
    this.#bytes = bytes;
    for (let n = 0; n < this.#at; n++) this.#code = (this.#code << 8n) | BigInt(bytes[n] ?? 0);
  }

  // The next symbol, of those with these frequencies.
  find(frequencies) {
    const part = this.#range >> 24n;
    const place = Number(this.#code / part);
    let start = 0;
    for (let symbol = 0; symbol < frequencies.length; symbol++) {
      const frequency = frequencies[symbol];
      if (place < start + frequency) {
        this.#take(part * BigInt(start), part * BigInt(frequency));
        return symbol;
      }
      start += frequency;
    }
    throw new Error("the code of the archive is damaged");
  }

  // The next of `count` numbers that are equally likely.
  findEvenly(count) {
    const part = this.#range / BigInt(count);
    const number = Number(this.#code / part);
    if (number >= count) throw new Error("the code of the archive is damaged");
    this.#take(part * BigInt(number), part);
    return number;
  }

  #take(start, width) {
    this.#code -= start;
    this.#range = width;
    while (this.#range < NARROW) {
      this.#code = (this.#code << 8n) | BigInt(this.#bytes[this.#at++] ?? 0);
      this.#range <<= 8n;
    }
  }
}
