// A model is trained in the page, step by step: the blog's program, or one of the visitor's text.
//
// The worker trains (worker/trainer.js); here its steps are asked for, at a speed that can be
// watched, and what it has learned is drawn: the loss, the gates over the text, the text written
// back. See training_pictures.js for the pictures.
"use strict";

const SENTENCE =
  "One bright morning as the Fox was following his sharp nose through the wood in search of a bite to eat, he saw a Crow on the limb of a tree overhead.";
const LONGEST_TRAINED = 50000; // characters of a text of one's own
const SPEEDS = [1, 2, 5, 15, 50, 150, Infinity]; // steps a second
const AT_ONCE = 10; // steps that are asked for at a time, at most
const LOOKS = 20; // pictures of the gates in a run at full speed
const WRITTEN = 10; // times that the text is written back in it

class TrainingPanel {
  constructor(data, worker, colors, read) {
    Object.assign(this, { data, worker, read, first: data.source });
    this.running = false;
    this.pictures = new TrainingPictures(colors);
    const on = (id, act) => byId(id).addEventListener("click", () => act().catch((error) => this.#failed(error)));
    on("train", () => (this.running ? this.#pause() : this.#run()));
    on("train-step", () => this.#once());
    on("train-again", () => this.#start());
    on("download", () => this.#download());
    on("look-inside", () => this.#lookInside());
    for (const input of document.querySelectorAll("input[name=train-on]")) input.addEventListener("change", () => this.#choose(input.value));
    for (const id of ["training-text", "training-units"]) byId(id).addEventListener("input", () => this.#forget());
    byId("train-speed").addEventListener("input", () => this.#showSpeed());
    this.#showSpeed();
    this.#choose("sentence");
  }

  recolor() {
    this.pictures.draw();
  }

  #choose(what) {
    byId("training-own").hidden = what !== "own";
    byId("training-units").value = what === "own" ? 64 : 75;
    this.#forget();
  }

  // Of another text or size nothing is known yet.
  #forget() {
    this.running = false;
    this.run = null;
    this.pictures.clear();
    byId("training-data").replaceChildren();
    byId("written-back").replaceChildren();
    this.#tell("Press Train.");
    this.#showButtons();
  }

  get settings() {
    const own = !byId("training-own").hidden;
    const hidden_size = Number(byId("training-units").value);
    if (!(Number.isInteger(hidden_size) && hidden_size >= 1 && hidden_size <= 512)) throw new Error("units: give a whole number of 1 to 512");
    const model = { cell: "lstm", hidden_size, num_layers: 1, embedding_size: 0 };
    return own ? ownSettings(byId("training-text").value, model) : { text: SENTENCE, unknown: false, model, training: BLOGS_TRAINING };
  }

  async #start() {
    this.#forget();
    showError(null);
    const settings = this.settings;
    const run = (this.run = { heading: null, step: 0, seconds: 0 });
    const heading = await this.#timed(run, "startTraining", settings);
    if (run !== this.run) return;
    run.heading = heading;
    byId("training-data").replaceChildren(...dataTold(heading, settings));
    this.pictures.begin(heading);
    await this.#look(run);
    await this.#writeBack(run);
    this.#showButtons();
  }

  async #run() {
    if (!this.run?.heading) await this.#start();
    const { run } = this;
    this.running = true;
    this.#showButtons();
    while (this.running && run === this.run && run.step < run.heading.steps) {
      const { speed } = this;
      const began = performance.now();
      await this.#train(run, Math.min(AT_ONCE, Math.max(1, Math.round(speed / 15))));
      const pause = 1000 / speed - (performance.now() - began);
      await new Promise((resolve) => (pause > 16 ? setTimeout(resolve, pause) : requestAnimationFrame(resolve)));
    }
    if (run !== this.run) return;
    this.running = false;
    this.#showButtons();
  }

  get speed() {
    return SPEEDS[Number(byId("train-speed").value)];
  }

  #showSpeed() {
    const told = this.speed === Infinity ? "as fast as it can" : `${counted(this.speed, "step")} a second`;
    byId("train-speed-told").textContent = told;
    byId("train-speed").setAttribute("aria-valuetext", told);
  }

  async #pause() {
    this.running = false;
  }

  async #once() {
    if (!this.run?.heading) await this.#start();
    if (this.run.step < this.run.heading.steps) await this.#train(this.run, 1);
    this.#showButtons();
  }

  // Some steps, and what has come of them where it is time to look.
  async #train(run, count) {
    const before = run.step;
    const { step, losses } = await this.#timed(run, "train", count);
    if (run !== this.run) return;
    run.step = step;
    this.pictures.add(losses);
    const { steps } = run.heading;
    const slow = this.speed <= 15 || !this.running;
    const due = (times) => step === steps || Math.floor((step / steps) * times) > Math.floor((before / steps) * times);
    if (slow || due(LOOKS)) await this.#look(run);
    if (slow || due(WRITTEN)) await this.#writeBack(run);
    if (run === this.run) this.#showProgress(run);
  }

  async #look(run) {
    const seen = await this.#timed(run, "look");
    if (run === this.run) this.pictures.look(seen, run.step);
  }

  async #writeBack(run) {
    const { text, given, right, matches } = await this.#timed(run, "writeBack");
    if (run !== this.run) return;
    const parts = text.map((character, n) => element("span", character, n < given ? "given" : matches[n] ? "" : "wrong"));
    const told = `Written back from its first ${counted(given, "character")}, ${right} of ${text.length} right: `;
    byId("written-back").replaceChildren(element("span", told, "lead"), ...parts);
    byId("written-back").dataset.right = right;
  }

  // A result of the worker, whose time is counted.
  async #timed(run, ...asked) {
    const { result, seconds } = await this.worker.timed(...asked);
    run.seconds += seconds;
    return result;
  }

  #showProgress({ step, seconds, heading: { steps, perEpoch } }) {
    const { last, heldOut } = this.pictures;
    const held = heldOut === null ? "" : `, of the text held out ${inBits(heldOut).toFixed(2)}`;
    this.#tell(`Step ${step} of ${steps}, pass ${Math.floor((step - 1) / perEpoch) + 1} of ${Math.ceil(steps / perEpoch)}. Loss ${last.toFixed(3)} nats, ${inBits(last).toFixed(2)} bits a character${held}. Computed in ${seconds.toFixed(1)} s.`);
    Object.assign(byId("training").dataset, { step, seconds });
  }

  async #download() {
    const bytes = await this.worker.ask("trainedFile");
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    link.download = "trained.safetensors";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // Shows the trained model above, or again the page's own.
  async #lookInside() {
    const back = this.trained;
    this.trained = !back;
    if (back) {
      await this.worker.reopen();
      this.data.use(this.first);
      const { text } = await this.first.start();
      await this.read(text);
    } else {
      const { text } = this.settings;
      await this.worker.ask("openTrained");
      this.data.use(new LocalData(this.worker, { text }));
      await this.read(text);
      byId("newspaper-title").scrollIntoView();
    }
    this.#showButtons();
  }

  #showButtons() {
    const { run, running } = this;
    const ended = run?.heading && run.step >= run.heading.steps;
    byId("train").textContent = running ? "Pause" : run?.step && !ended ? "Go on" : "Train";
    byId("train").setAttribute("aria-pressed", String(running));
    byId("train").disabled = byId("train-step").disabled = Boolean(ended);
    byId("download").disabled = !run?.heading;
    byId("look-inside").disabled = !run?.heading && !this.trained;
    byId("look-inside").textContent = this.trained ? "Back to the page’s model" : "Look inside it, above";
    byId("training").dataset.state = running ? "running" : ended ? "done" : "paused";
  }

  #tell(text) {
    byId("training-status").textContent = text;
  }

  #failed(error) {
    this.running = false;
    this.#showButtons();
    showError(error);
  }
}

// The blog's program, as charloom.demo has it.
const BLOGS_TRAINING = {
  batches: "windows", batch_size: 32, sequence_length: 15, epochs: 100, learning_rate: 0.005,
  warmup_steps: 0, decay: "constant", beta1: 0.9, beta2: 0.999, epsilon: 1e-7, clip_norm: 0, dropout: 0,
  first_values: "keras", unknown_share: 0, seed: 0,
};

// Of a text of one's own: streams of it side by side, and about 150,000 characters in all.
function ownSettings(text, model) {
  const length = [...text].length;
  if (length < 100) throw new Error(`the text has ${counted(length, "character")}; give at least 100, better 2,000`);
  if (length > LONGEST_TRAINED) throw new Error(`the text has ${counted(length, "character")}; at most ${LONGEST_TRAINED.toLocaleString("en")} are trained on here (charloom train takes any length)`);
  const training = {
    batches: "streams",
    batch_size: Math.min(Math.max(Math.round(length / 250), 4), 32),
    sequence_length: 32,
    epochs: Math.min(Math.max(Math.round(150_000 / length), 4), 40),
    learning_rate: 0.01, warmup_steps: 20, decay: "linear", beta1: 0.5, beta2: 0.999, epsilon: 1e-7,
    clip_norm: 1, dropout: 0.2, first_values: "scaled", unknown_share: 0.001, seed: 0,
  };
  return { text, unknown: true, model, training };
}

// What the blog tells of its data, from these.
function dataTold(heading, { training }) {
  const { symbols, rows, windows, T, length, heldOut, weights, steps, perEpoch } = heading;
  const quoted = (ids) => element("q", Array.from(ids, (id) => glyph(symbols[id])).join(""));
  const told = [];
  const tell = (term, ...parts) => {
    const description = element("dd");
    description.append(...parts);
    told.push(element("dt", term), description);
  };
  tell("Text", `${counted(length, "character")}${heldOut ? `, of which the last ${heldOut} are held out: the model never trains on them` : ""}`);
  if (windows) {
    tell("Windows", `${counted(T, "character")} and the one that follows, ${windows} in all: `, ...rows.flatMap((ids) => [quoted(ids), " "]), "…");
  }
  const mapping = symbols.slice(0, 12).map((symbol, id) => `${visibleGlyph(symbol)} ${id}`).join(", ");
  tell("Mapping", `the ${counted(symbols.length, "distinct character")}, sorted and numbered: ${mapping}, …`);
  if (windows) {
    const [first] = rows;
    tell("X and y", "what is read, and what follows: ", `${Array.from(first.slice(0, -1)).join(" ")} → ${first.at(-1)}, that is `, quoted(first.slice(0, -1)), " → ", quoted(first.slice(-1)));
  }
  tell("Model", `${counted(weights, "weight")}, random at first; ${counted(steps, "step")} of Adam, ${perEpoch} for each pass over the text, in batches of ${training.batch_size}`);
  return told;
}
