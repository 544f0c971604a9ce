// Random numbers as a function of a seed and a position: engines/random.py in JavaScript.
"use strict";

// The seed of a stream, for a seed that a user gives: NumPy's
// SeedSequence([seed, stream]).generate_state(1, uint64).
function streamSeed(seed, stream = 0) {
  const entropy = [...words(BigInt(seed)), ...words(BigInt(stream))];
  const hash = hasher(0x43b0d7e5, 0x931e8875);
  const mix = (x, y) => {
    const mixed = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return mixed ^ (mixed >>> 16);
  };
  const pool = Array.from({ length: 4 }, (_, n) => hash(entropy[n] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  for (const word of entropy.slice(4)) pool.forEach((value, to) => (pool[to] = mix(value, hash(word))));
  const out = hasher(0x8b51f9dd, 0x58f38ded);
  const [low, high] = [out(pool[0]), out(pool[1])];
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

// The 32-bit words of a number, the lowest first.
function words(value) {
  const found = [Number(value & 0xffffffffn)];
  for (value >>= 32n; value; value >>= 32n) found.push(Number(value & 0xffffffffn));
  return found;
}

function hasher(constant, multiplier) {
  return (value) => {
    value ^= constant;
    constant = Math.imul(constant, multiplier);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
}

// The index-th number in [0, 1) of a seed: SplitMix64.
function uniform(seed, index) {
  const bits = (value) => BigInt.asUintN(64, value);
  let z = bits(seed + BigInt(index + 1) * 0x9e3779b97f4a7c15n);
  z = bits((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = bits((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return Number((z ^ (z >> 31n)) >> 11n) * 2 ** -53;
}

// Scrambles 32 bits, one to one.
function mix32(x) {
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0xd35a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

// Numbers in [0, 1) for one purpose, which depend on the key alone: on no other draw.
function randomNumbers(...key) {
  const scrambled = key.reduce((mixed, part) => mix32(mixed + Math.imul(part + 1, 0x9e3779b9)), 0);
  let drawn = 0;
  return () => mix32(mix32(drawn++) ^ scrambled) / 2 ** 32;
}

// From N(0, 1), by Box and Muller's method.
function normalNumbers(random) {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

// 0 to count - 1 in random order.
function permutation(count, random) {
  const order = Array.from({ length: count }, (_, n) => n);
  for (let n = count - 1; n > 0; n--) {
    const other = Math.floor(random() * (n + 1));
    [order[n], order[other]] = [order[other], order[n]];
  }
  return order;
}
