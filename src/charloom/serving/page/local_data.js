// The page's own worker: what is asked of it, and the numbers of a model that it holds.
//
// A page that is one file has the worker's source, core.wasm and the model in it, compressed;
// where the page is served, they are files beside it.
"use strict";

class PageWorker {
  #waiting = new Map(); // number -> [resolve, reject] of what was asked
  #asked = 0;

  // The result of one of the worker's methods; the first that is asked for starts it.
  async ask(...asked) {
    return (await this.timed(...asked)).result;
  }

  // The same, { result, seconds }: how long the worker computed, whatever the page did meanwhile.
  async timed(method, ...given) {
    await (this.started ??= this.#start());
    return this.#send(method, given);
  }

  async #start() {
    const stored = byId("worker");
    const source = stored ? URL.createObjectURL(new Blob([await inflated(stored)])) : "worker/worker.js";
    this.worker = new Worker(source);
    this.worker.addEventListener("message", ({ data: { number, result, seconds, error } }) => {
      const [resolve, reject] = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (error === undefined) resolve({ result, seconds });
      else reject(new Error(error));
    });
    this.worker.addEventListener("error", (event) => this.#failed(event));
    const core = stored ? await inflated(byId("core.wasm")) : await (await fetch("worker/core.wasm")).arrayBuffer();
    await this.#send("start", [core]);
    await this.#open();
  }

  // Opens the page's own model again, after another.
  async reopen() {
    await this.started;
    await this.#open();
  }

  async #open() {
    const model = byId("model.safetensors");
    if (model) await this.#send("open", [await inflated(model)]);
  }

  #send(method, given) {
    const number = ++this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, [resolve, reject]);
      this.worker.postMessage({ number, method, given });
    });
  }

  #failed({ message }) {
    for (const [, reject] of this.#waiting.values()) reject(new Error(message || "this browser starts no worker for this page"));
    this.#waiting.clear();
  }
}

// The bytes that an element holds, compressed, in base64.
function inflated(element) {
  const compressed = new Blob([decoded(element.textContent, Uint8Array)]);
  return new Response(compressed.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

const PIECE = 8; // characters that are asked for at a time

// The numbers of the model that the worker has opened; its methods are those of ServerData.
class LocalData {
  constructor(worker, first = {}) {
    Object.assign(this, { worker, first });
  }

  async start() {
    return this.first;
  }

  async read(text, changed) {
    const call = (this.lastCall = (this.lastCall ?? 0) + 1);
    const trace = newTrace(await this.worker.ask("read", text));
    while (call === this.lastCall) {
      changed(trace);
      if (trace.done) return;
      const block = await this.worker.ask("nextBlock");
      if (block) addBlock(trace, block);
      else trace.done = true;
    }
  }

  // Units that seem to follow something with a name, the best first; of a trained model none yet.
  async units() {
    return this.first.units ?? [];
  }

  values(...given) {
    return this.worker.ask("values", ...given);
  }

  levels(...given) {
    return this.worker.ask("levels", ...given);
  }

  totals(...given) {
    return this.worker.ask("totals", ...given);
  }

  async *generate(request, signal) {
    await this.worker.ask("startGenerating", request);
    for (let lines = [{}]; lines.length && !signal.aborted; lines = await this.worker.ask("generate", PIECE)) yield* lines;
  }
}
