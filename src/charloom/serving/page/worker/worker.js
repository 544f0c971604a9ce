// What computes beside the page: a model that reads and generates, and one that is trained.
//
// The page sends { number, method, given } and gets { number, result, seconds } or { number, error }.
// A long work is asked for in parts, so that another question waits for a part at most.
"use strict";

importScripts(
  "../format.js", "../cells.js", "core.js", "random.js", "vocabulary.js", "model_file.js",
  "predictor.js", "traced_text.js", "live_text.js", "batches.js", "first_values.js", "trainer.js",
  "coding.js", "counts.js", "archive.js");

class Desk {
  // From the bytes of core.wasm.
  async start(core) {
    this.core = await Core.load(core);
  }

  // From the bytes of a model file.
  open(file) {
    this.#opened(readModel(new Uint8Array(file)));
  }

  // Reads from now on with the model that is trained, as it is.
  openTrained() {
    this.#opened(this.trainer.model());
  }

  // The model before this one is needed until another text is read.
  #opened(model) {
    this.before = this.predictor;
    this.predictor = new Predictor(this.core, model);
  }

  read(text) {
    this.text = new TracedText(this.predictor, text);
    this.unread = this.text.blocks();
    this.before?.network.close();
    this.before = null;
    return this.text.heading();
  }

  // The next block of the text that was given last; null when all are read.
  nextBlock() {
    return this.unread.next().value ?? null;
  }

  values(...given) {
    return this.text.values(...given);
  }

  levels(...given) {
    return this.text.levels(...given);
  }

  totals(...given) {
    return this.text.totals(...given);
  }

  startGenerating(request) {
    this.generating = liveText(this.predictor, request);
  }

  // Up to `count` more characters; fewer at the end.
  generate(count) {
    return taken(this.generating, count);
  }

  startTraining(settings) {
    this.trainer?.network.close();
    this.trainer = new Trainer(this.core, settings);
    return this.trainer.heading();
  }

  train(steps) {
    return this.trainer.train(steps);
  }

  look() {
    return this.trainer.look();
  }

  writeBack() {
    return this.trainer.writeBack();
  }

  trainedFile() {
    return modelFile(this.trainer.model());
  }

  // From the bytes of an archive: how many characters are in it.
  async startDecompressing(bytes) {
    this.decompression?.predictor.network.close();
    this.decompression = null;
    this.decompression = await Decompression.start(this.core, bytes, this.predictor?.model);
    return this.decompression.text.length;
  }

  // Some more of them, for about a tenth of a second: how many are there.
  decompress() {
    const end = performance.now() + 100;
    while (!this.decompression.done && performance.now() < end) this.decompression.goOn();
    return this.decompression.at;
  }

  decompressed() {
    return this.decompression.file();
  }
}

function taken(iterator, count) {
  const found = [];
  for (let n = 0; n < count; n++) {
    const { value, done } = iterator.next();
    if (done) break;
    found.push(value);
  }
  return found;
}

const desk = new Desk();

addEventListener("message", async ({ data: { number, method, given } }) => {
  try {
    const began = performance.now();
    const result = await desk[method](...given);
    postMessage({ number, result, seconds: (performance.now() - began) / 1000 });
  } catch (error) {
    const trapped = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    postMessage({ number, error: trapped ? `this browser has no more memory for it (${error.message})` : error.message });
  }
});
