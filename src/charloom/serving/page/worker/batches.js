// A text cut into batches, as windows or as streams: text/batches.py in JavaScript, with random
// numbers of its own. Inputs and targets are (T, B) ids; a target of NOT_COUNTED is none.
"use strict";

const NOT_COUNTED = -1;
const [ORDER, UNKNOWN, VALUES] = [0, 1, 2]; // what random numbers are drawn for

// The blog's: all overlapping stretches of T characters, and the one after each as its target.
class Windows {
  constructor(ids, { batch_size, sequence_length, seed }) {
    const count = ids.length - sequence_length;
    if (count < 1) throw new Error(`the text (${counted(ids.length, "character")}) is too short for a window of ${sequence_length} and one more; give a longer one`);
    Object.assign(this, { ids, count, seed, T: sequence_length, B: Math.min(batch_size, count) });
    this.perEpoch = Math.ceil(count / this.B);
  }

  batch(epoch, index) {
    if (epoch !== this.epoch) this.order = permutation(this.count, randomNumbers(this.seed, ORDER, epoch));
    this.epoch = epoch;
    const { T } = this;
    const starts = this.order.slice(index * this.B, (index + 1) * this.B);
    const B = starts.length;
    const inputs = new Int32Array(T * B);
    const targets = new Int32Array(T * B).fill(NOT_COUNTED);
    starts.forEach((start, b) => {
      for (let t = 0; t < T; t++) inputs[t * B + b] = this.ids[start + t];
      targets[(T - 1) * B + b] = this.ids[start + T];
    });
    return { inputs, targets, streams: B, fresh: true };
  }
}

// B stretches side by side, of which each batch takes the next T characters. Every epoch but the
// first leaves out a few at the start, so that the cuts are not always at the same places.
class Streams {
  constructor(ids, { batch_size, sequence_length, seed }) {
    const targets = ids.length - 1;
    if (targets < 1) throw new Error(`the text is too short to train on (${counted(ids.length, "character")}); give a longer one`);
    const T = Math.min(sequence_length, targets);
    Object.assign(this, { ids, seed, T, B: Math.min(batch_size, Math.floor(targets / T)) });
    this.perEpoch = Math.ceil(Math.floor((targets - this.#most()) / this.B) / T);
  }

  batch(epoch, index) {
    const offset = epoch ? Math.floor(randomNumbers(this.seed, ORDER, epoch)() * (this.#most() + 1)) : 0;
    const { B, ids } = this;
    const length = Math.floor((ids.length - 1 - this.#most()) / B);
    const start = index * this.T;
    const T = Math.min(this.T, length - start);
    const inputs = new Int32Array(T * B);
    const targets = new Int32Array(T * B);
    for (let b = 0; b < B; b++) {
      for (let t = 0; t < T; t++) {
        const at = offset + b * length + start + t;
        [inputs[t * B + b], targets[t * B + b]] = [ids[at], ids[at + 1]];
      }
    }
    return { inputs, targets, streams: B, fresh: index === 0 };
  }

  // Characters that are left out at most.
  #most() {
    const targets = this.ids.length - 1;
    return Math.max(0, Math.min(this.T - 1, Math.floor(targets / 10), targets - this.B));
  }
}

// A batch with a share of its characters read as the unknown, so that it is learned: as a target,
// and as the input after it.
function withUnknowns({ inputs, targets, streams, fresh }, unknownId, share, random) {
  if (unknownId < 0 || !share) return { inputs, targets, streams, fresh };
  targets.forEach((target, n) => {
    if (target === NOT_COUNTED || random() >= share) return;
    targets[n] = unknownId;
    if (n + streams < inputs.length) inputs[n + streams] = unknownId;
  });
  return { inputs, targets, streams, fresh };
}
