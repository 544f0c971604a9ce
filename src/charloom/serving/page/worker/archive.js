// A compressed text comes back: model/compression/archive.py and the reading half of model/compression/compress.py.
"use strict";

const MAGIC = "charloom archive 3\n";
const MOST_DECOMPRESSED = 2 ** 24; // bytes, which take an hour
const CODE_POINTS = 0x110000;
const CHUNK = 512; // characters between two answers, where nothing is learned

// { header, held, code } of an archive's bytes; an error if they are none, or damaged.
async function readArchive(bytes) {
  const latin1 = (part) => new TextDecoder("latin1").decode(part);
  if (latin1(bytes.subarray(0, MAGIC.length)) !== MAGIC) throw new Error("this file is not an archive of charloom compress, or of another version of it");
  const end = bytes.indexOf(10, MAGIC.length);
  const json = bytes.slice(MAGIC.length, Math.max(end, MAGIC.length));
  const damaged = new Error("the archive is damaged: its bytes are not those that were written");
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(json));
  } catch {
    throw damaged;
  }
  const seal = latin1(json).indexOf(header.digest);
  json.set(new TextEncoder().encode(BLANK_DIGEST), Math.max(seal, 0));
  const rest = bytes.subarray(end + 1);
  if (seal < 0 || (await sha256(json)) !== header.digest || (await sha256(rest)) !== header.code_sha256) throw damaged;
  if (header.kernels !== "baseline") throw new Error(`the archive was made with the kernels ${header.kernels} (--fast), which no page has; a page reads those that were made without`);
  if (!(header.characters <= header.bytes && header.bytes <= MOST_DECOMPRESSED)) throw new Error(`the archive holds ${counted(header.bytes, "byte")}; a page reads at most ${MOST_DECOMPRESSED.toLocaleString("en")} (charloom decompress reads any)`);
  return { header, held: rest.slice(0, header.model_bytes), code: rest.subarray(header.model_bytes) };
}

// What an archive was made with; `own` is the model of the page, if it has one.
async function modelOf({ header, held }, core, own) {
  const { network: settings, vocabulary: kept, model } = header;
  if (settings) {
    const vocabulary = new Vocabulary(kept);
    const network = core.network(settings, vocabulary.size);
    const weights = evenWeights(network);
    network.close();
    return { settings, vocabulary, weights };
  }
  if (held.length) return readModel(held);
  if (own && (await modelDigest(own)) === model) return own;
  throw new Error(`the archive was made with another model, ${model}; open it on a page that holds that model, or make it with --inside`);
}

// The weights of a new network, by integers alone: _first_values in model/compression/compress.py.
function evenWeights(network) {
  return Object.fromEntries(network.names.map((name, number) => {
    const size = network.elements(name);
    const columns = columnsOf(name, network.settings, network.V);
    const width = columns ? (name.endsWith("ih_l0") ? 3 : 3 / columns) : 0;
    const scale = Math.sqrt(width);
    return [name, Float32Array.from({ length: size }, (_, n) => (2 * uniform(BigInt(number), n) - 1) * scale)];
  }));
}

// The code points of letters, A to Z as a to z; 0 for what is none: _letters in model/compression/compress.py.
function lettersOf(vocabulary, symbols) {
  const codeOf = (n) => (vocabulary.kind === "bytes" ? n : (vocabulary.known[n]?.codePointAt(0) ?? 0));
  return Array.from({ length: symbols }, (_, n) => {
    const code = codeOf(n);
    const small = code >= 65 && code <= 90 ? code + 32 : code;
    return (small >= 97 && small <= 122) || small >= 128 ? small : 0;
  });
}

// Reads a text from its code, a chunk at a time; the network may learn after each.
class Decompression {
  #decoder;
  #mixture = null;
  #state;
  #steps = 0;
  at = 0; // characters that are there

  static async start(core, bytes, own) {
    const archive = await readArchive(new Uint8Array(bytes));
    return new Decompression(new Predictor(core, await modelOf(archive, core, own)), archive);
  }

  constructor(predictor, { header, code }) {
    Object.assign(this, { predictor, header });
    const { vocabulary, lineStart } = predictor;
    this.escape = vocabulary.kind === "bytes" ? -1 : vocabulary.unknown ? vocabulary.unknownId : vocabulary.size;
    this.symbols = vocabulary.size + Number(this.escape === vocabulary.size);
    this.last = lineStart < 0 ? null : lineStart;
    this.text = new Uint32Array(header.characters);
    this.#decoder = new Decoder(code);
    const longest = header.learning?.longest_context;
    if (longest) this.#mixture = new Mixture(lettersOf(vocabulary, this.symbols), longest);
    this.#state = predictor.network.zeroState();
  }

  get done() {
    return this.at >= this.text.length;
  }

  // One more chunk.
  goOn() {
    const { predictor: { network, lineStart }, text } = this;
    if (this.done) return;
    if (this.last === null) {
      this.#add((this.last = this.#decoder.findEvenly(this.symbols)));
      this.#mixture?.start(this.last);
    }
    const before = this.last;
    const start = this.at;
    const length = this.header.learning?.sequence_length ?? CHUNK;
    const ids = [];
    let state = this.#state;
    while (this.at < Math.min(start + length, text.length)) {
      const read = network.logits(Int32Array.of(this.#readable(ids.at(-1) ?? before)), state);
      state = read.state;
      const symbol = this.#decoder.find(this.#frequencies(read.logits, ids));
      ids.push(symbol);
      this.#add(symbol);
      if (symbol === lineStart) break;
    }
    if (!ids.length) return;
    this.#state = this.#learned(before, ids, start) ?? state;
    this.last = ids.at(-1);
    if (this.last === lineStart) this.#state = network.zeroState();
  }

  #add(symbol) {
    const { vocabulary } = this.predictor;
    const code = symbol === this.escape ? this.#decoder.findEvenly(CODE_POINTS) : vocabulary.kind === "bytes" ? symbol : vocabulary.known[symbol].codePointAt(0);
    this.text[this.at++] = code;
  }

  // What the model reads for a symbol that is not in its vocabulary.
  #readable(symbol) {
    return symbol === this.predictor.vocabulary.size ? 0 : symbol;
  }

  #frequencies(logits, ids) {
    let all = logits;
    if (this.symbols > logits.length) {
      const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
      all = [...logits, Math.fround(most - 11)];
    }
    return this.#mixture ? this.#mixture.frequencies(all, ids) : frequencies(all);
  }

  // The state after a chunk from which the network learns.
  #learned(before, ids, start) {
    const { learning, characters } = this.header;
    if (!learning) return null;
    const share = start / characters;
    this.#mixture?.learn(ids, share);
    const learning_rate = learning.learning_rate + share * (learning.final_learning_rate - learning.learning_rate);
    const settings = { learning_rate, beta1: learning.beta1, beta2: 0.999, epsilon: 1e-7, clip_norm: 0, dropout: 0 };
    const inputs = Int32Array.from([before, ...ids.slice(0, -1)], (id) => this.#readable(id));
    const targets = Int32Array.from(ids, (id) => (id === this.predictor.vocabulary.size ? -1 : id));
    const step = this.predictor.network.trainStep(inputs, targets, 1, this.#state, settings, this.#steps + 1);
    this.#steps += Number(step.updated);
    return step.state;
  }

  // The bytes of the file, which have to be those that were compressed.
  async file() {
    const bytes = this.predictor.vocabulary.kind === "bytes" ? Uint8Array.from(this.text) : utf8(this.text);
    if ((await sha256(bytes)) !== this.header.sha256) throw new Error("this is not the text that was compressed; the network computed something else here, which should not be: please report it");
    return bytes;
  }
}

// Code points as UTF-8; half a surrogate pair from U+DC80 on stands for a byte that is none.
function utf8(codes) {
  const bytes = [];
  for (const code of codes) {
    const rest = (shift) => 0x80 | ((code >> shift) & 0x3f);
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), rest(0));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), rest(6), rest(0));
    else bytes.push(0xf0 | (code >> 18), rest(12), rest(6), rest(0));
  }
  return Uint8Array.from(bytes);
}
