// Weights to start training from, as initial_weights in engines/weights.py draws them, with random
// numbers of its own: of an LSTM with one-hot input.
"use strict";

function firstValues({ cell, hidden_size: H, num_layers }, V, seed, kind) {
  const scaled = kind === "scaled";
  const weights = {};
  let purpose = 0;
  const draw = () => randomNumbers(seed, VALUES, purpose++);
  const filled = (size, next) => Float32Array.from({ length: size }, next);
  const glorot = (rows, columns) => {
    const [random, limit] = [draw(), Math.sqrt(6 / (rows + columns)) * (scaled ? 3 : 1)];
    return filled(rows * columns, () => (2 * random() - 1) * limit);
  };
  for (let layer = 0; layer < num_layers; layer++) {
    weights[`${cell}.weight_ih_l${layer}`] = layer || !scaled ? glorot(4 * H, layer ? H : V) : filled(4 * H * V, normalNumbers(draw()));
    weights[`${cell}.weight_hh_l${layer}`] = orthogonal(4 * H, H, normalNumbers(draw()));
    weights[`${cell}.bias_l${layer}`] = filled(4 * H, (_, row) => Number(!scaled && row >= H && row < 2 * H));
  }
  weights["head.weight"] = glorot(V, H);
  weights["head.bias"] = new Float32Array(V);
  return weights;
}

// (rows, columns): columns of length 1 at right angles, without a preferred direction, by Gram and
// Schmidt's method.
function orthogonal(rows, columns, normal) {
  const made = [];
  for (let c = 0; c < columns; c++) {
    const column = Float64Array.from({ length: rows }, normal);
    for (let round = 0; round < 2; round++) { // the second takes off what rounding left
      for (const other of made) {
        const along = column.reduce((sum, value, r) => sum + value * other[r], 0);
        other.forEach((value, r) => (column[r] -= along * value));
      }
    }
    const length = Math.hypot(...column);
    made.push(column.map((value) => value / length));
  }
  return Float32Array.from({ length: rows * columns }, (_, n) => made[n % columns][Math.floor(n / columns)]);
}
