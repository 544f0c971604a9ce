// Model files, read and made: docs/file-format.md in JavaScript.
//
// A model is { settings, vocabulary, record, weights }, the weights under the names of weightNames:
// one bias for each layer, where a file has PyTorch's two.
"use strict";

const BLANK_DIGEST = "0".repeat(64);
const DIGEST_MARK = '{\\"digest\\":\\"'; // how it begins, within a string within JSON

function readModel(bytes) {
  const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const { __metadata__: { charloom }, ...entries } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  const { settings, vocabulary, record } = JSON.parse(charloom);
  const stored = (name) => {
    const { dtype, data_offsets: [start, stop] } = entries[name];
    const { buffer } = bytes.slice(8 + size + start, 8 + size + stop);
    return dtype === "I8" ? new Int8Array(buffer) : new Float32Array(buffer);
  };
  // Of whole numbers each row has a scale.
  const tensor = (name) => {
    const values = stored(name);
    if (values instanceof Float32Array) return values;
    const scale = stored(`${name}.scale`);
    const columns = values.length / scale.length;
    return Float32Array.from(values, (value, n) => value * scale[Math.floor(n / columns)]);
  };
  const weights = Object.fromEntries(weightNames(settings).map((name) => {
    const parts = storedNames(name).map(tensor);
    return [name, parts.length > 1 ? foldedBias(settings, ...parts) : parts[0]];
  }));
  return { settings, vocabulary: new Vocabulary(vocabulary), record, weights };
}

// The bytes of a model file, which charloom and PyTorch load.
async function modelFile({ settings, vocabulary, record, weights }) {
  const tensors = {};
  for (const name of weightNames(settings)) {
    const values = weights[name];
    const columns = columnsOf(name, settings, vocabulary.size);
    const shape = columns ? [values.length / columns, columns] : [values.length];
    const [first, ...others] = storedNames(name);
    tensors[first] = { values, shape };
    for (const other of others) tensors[other] = { values: new Float32Array(values.length), shape };
  }
  const content = JSON.stringify({ format: 1, kind: "model", record, settings, vocabulary });
  const header = { __metadata__: { charloom: `{"digest":"${BLANK_DIGEST}",${content.slice(1)}` } };
  let place = 0;
  const order = Object.keys(tensors).sort();
  for (const name of order) {
    const { values, shape } = tensors[name];
    header[name] = { dtype: "F32", shape, data_offsets: [place, place + values.byteLength] };
    place += values.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + length + place).fill(0x20, 8 + json.length, 8 + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  let at = 8 + length;
  for (const name of order) {
    const { buffer, byteOffset, byteLength } = tensors[name].values;
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  const hexadecimal = await sha256(bytes);
  const mark = new TextDecoder("latin1").decode(bytes.subarray(8, 8 + length)).indexOf(DIGEST_MARK);
  bytes.set(new TextEncoder().encode(hexadecimal), 8 + mark + DIGEST_MARK.length);
  return bytes;
}

// How many columns a weight has; 0 for one that is a row of numbers.
function columnsOf(name, { hidden_size, embedding_size }, vocabularySize) {
  if (name === "embedding.weight") return embedding_size;
  if (name.includes("bias")) return 0;
  return name.endsWith("weight_ih_l0") ? embedding_size || vocabularySize : hidden_size;
}

// The SHA-256 of some bytes, in hexadecimal.
async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) throw new Error("this browser makes no SHA-256 for a page that came over plain HTTP; open the page as a file, from this machine, or over HTTPS");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The SHA-256 of vocabulary and weights: Model.digest in Python.
async function modelDigest({ settings, vocabulary, weights }) {
  const { characters, kind, unknown } = vocabulary.toJSON();
  const escaped = JSON.stringify(characters).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const parts = [`{"characters": ${escaped}, "kind": "${kind}", "unknown": ${unknown}}`];
  for (const name of weightNames(settings)) {
    const values = weights[name];
    const columns = columnsOf(name, settings, vocabulary.size);
    parts.push(`${name} (${columns ? `${values.length / columns}, ${columns}` : `${values.length},`})`, values);
  }
  return sha256(await new Blob(parts).arrayBuffer());
}

// A layer's bias from PyTorch's two: their sum, but for the gates whose second is apart.
function foldedBias({ cell, hidden_size }, ofInput, ofState) {
  const apart = (CELLS[cell].apart ?? 0) * hidden_size;
  const rows = ofInput.length;
  const bias = new Float32Array(rows + apart);
  bias.set(ofInput);
  ofState.forEach((value, n) => (bias[n < rows - apart ? n : n + apart] += value));
  return bias;
}

// The tensors that a weight is stored in.
function storedNames(name) {
  return name.includes(".bias_l") ? [name.replace("bias", "bias_ih"), name.replace("bias", "bias_hh")] : [name];
}

// "Model(lstm, 1 layer of 75, vocabulary of 27 characters, 32,952 weights)"
function modelTitle(model) {
  const { settings: { cell, num_layers, hidden_size }, vocabulary, weights } = model;
  const count = Object.values(weights).reduce((sum, { length }) => sum + length, 0);
  return `Model(${cell}, ${counted(num_layers, "layer")} of ${hidden_size}, vocabulary of ${vocabulary.size} ${vocabulary.kind}, ${counted(count, "weight")})`;
}
