// The model generates text, and its gates are drawn, a column for each character.
"use strict";

const GATE_COLUMN = 5; // pixels
const GATE_BAND = 64; // pixels, of all units of one gate
const GATE_LABELS = 88; // pixels, to the left of the columns
const PER_FRAME = 8; // characters: faster than one can read, and the page stays responsive
const MOST_SHOWN = 20000; // characters
const LINES = 10; // texts of a model of lines

class GenerationPanel {
  constructor(state, data, colors, read) {
    Object.assign(this, { state, data, colors });
    this.texts = []; // each with its prompt
    byId("generate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#generate();
    });
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      event.target.form.requestSubmit();
    });
    byId("stop").addEventListener("click", () => this.stopping?.abort());
    byId("use-text").addEventListener("click", () => {
      byId("newspaper-title").scrollIntoView();
      read(this.texts.join("\n"));
    });
    // A value that is refused has to be seen.
    byId("generate-form").addEventListener("invalid", () => (byId("generate-settings").open = true), true);
    state.on(["openOn"], () => this.#place());
    state.on(["trace"], () => {
      this.#showGates();
      this.#chooseCount();
    });
    pictures.add({ id: "gates-tools", name: "gates", size: () => [byId("gates").width, byId("gates").height], paint: (pen) => this.#paintGates(pen) });
  }

  // The quantities that are gates, in the order in which the server sends them.
  get gates() {
    return Object.values(this.cell?.quantities ?? {}).filter(({ scale }) => scale === GATE);
  }

  #showGates() {
    const { cell } = this.state.trace;
    if (cell === this.cell) return;
    this.cell = cell;
    byId("gates-figure").hidden = !this.gates.length;
    if (!this.gates.length) return;
    const names = this.gates.map(({ name }) => name.replace(" gate", ""));
    const listed = `${names.slice(0, -1).join(", ")} and ${names.at(-1)} gates`;
    byId("gates").setAttribute("aria-label", `The ${listed} of every unit while text is generated`);
    byId("gates-note").textContent = `The ${listed} of the selected layer: a column for each character that is generated, a line for each unit. Blank is closed (0), solid is open (1).`;
    this.#clearGates();
  }

  // At the top, with its settings folded, for a reader who comes to generate; else below the map.
  #place() {
    const onTop = this.state.openOn === "generate";
    document.body.dataset.openOn = this.state.openOn;
    if (onTop) document.querySelector("main").prepend(byId("generation"));
    else byId("training").before(byId("generation"));
    byId("generate-settings").open = !onTop;
    byId("generate-claim").hidden = !onTop;
    if (onTop) byId("prompt").focus({ preventScroll: true });
  }

  // A text of a model of lines is short.
  #chooseCount() {
    const { model, lines } = this.state.trace;
    if (model !== this.model) byId("count").value = lines ? LINES : 1;
    this.model = model;
  }

  #request() {
    const value = (id) => Number(byId(id).value);
    return {
      prompt: byId("prompt").value,
      temperature: value("temperature"),
      top_k: value("top_k"),
      top_p: value("top_p"),
      seed: byId("seed").value ? value("seed") : crypto.getRandomValues(new Uint32Array(1))[0],
      length: value("length"),
      layer: this.state.layer,
    };
  }

  async #generate() {
    this.stopping?.abort();
    const stopping = (this.stopping = new AbortController());
    const request = this.#request();
    const count = Number(byId("count").value);
    this.texts = [];
    this.shown = 0; // characters
    const output = byId("output");
    output.replaceChildren();
    output.dataset.state = "generating";
    byId("generated-note").textContent = "";
    if (this.gates.length) this.#clearGates();
    byId("stop").disabled = false;
    showError(null);
    try {
      for (let stream = 0; stream < count && !stopping.signal.aborted; stream++) {
        await this.#generateOne({ ...request, stream }, stopping.signal);
      }
    } catch (error) {
      showError(error);
    }
    if (this.stopping !== stopping) return;
    byId("stop").disabled = true;
    byId("use-text").disabled = !this.texts.join("");
    byId("generated-note").textContent = `A strong color marks a character that was unlikely. The same settings with seed ${request.seed} give the same again.`;
    output.dataset.state = "done";
  }

  async #generateOne(request, signal) {
    const output = byId("output");
    const place = element("p");
    place.append(element("span", request.prompt, "prompt"));
    output.append(place);
    const n = this.texts.push(request.prompt) - 1;
    let lines = 0;
    for await (const line of await this.data.generate(request, signal)) {
      if (signal.aborted) return;
      if (line.character !== undefined) {
        this.texts[n] += line.character;
        this.#show(line, place);
      }
      lines += 1;
      if (lines % PER_FRAME === 0) {
        output.scrollTop = output.scrollHeight;
        await new Promise(requestAnimationFrame);
      }
    }
  }

  #show({ character, nats, gates }, place) {
    if (this.gates.length) this.#addColumn(gates);
    if (this.shown++ >= MOST_SHOWN) return;
    const span = element("span", character);
    paintSurprisal(span, nats ?? 0, this.colors);
    span.title = nats === null ? "" : `${inBits(nats).toFixed(2)} bits`;
    place.append(span);
  }

  // In the colors of another theme.
  recolor() {
    if (!this.gates?.length) return;
    const { drawn } = this;
    this.#clearGates();
    for (const levels of drawn) this.#addColumn(levels);
  }

  #clearGates() {
    this.drawn = []; // the levels of every column in sight
    const canvas = byId("gates");
    canvas.width = Math.max(canvas.clientWidth, GATE_LABELS + GATE_COLUMN);
    canvas.height = GATE_BAND * this.gates.length;
    canvas.style.height = `${canvas.height}px`;
    this.pen = canvas.getContext("2d");
    this.columns = 0;
    this.#drawLabels(this.pen);
  }

  #drawLabels(pen) {
    pen.fillStyle = this.colors.paper;
    pen.fillRect(0, 0, byId("gates").width, byId("gates").height);
    pen.font = "13px system-ui, sans-serif";
    pen.fillStyle = this.colors.muted;
    pen.textBaseline = "middle";
    this.gates.forEach(({ name }, n) => pen.fillText(name, 4, (n + 0.5) * GATE_BAND));
  }

  // With another pen: the columns are an image, the rest is not.
  #paintGates(pen) {
    const { width, height } = byId("gates");
    const columns = element("canvas");
    [columns.width, columns.height] = [width - GATE_LABELS, height];
    columns.getContext("2d").drawImage(byId("gates"), -GATE_LABELS, 0);
    this.#drawLabels(pen);
    pen.drawImage(columns, GATE_LABELS, 0, columns.width, height);
  }

  // Puts a column of levels, gate by gate, at the right; once it is full, all others move left.
  #addColumn(levels) {
    const { pen } = this;
    const { canvas } = pen;
    const units = levels.length / this.gates.length;
    if (GATE_LABELS + (this.columns + 1) * GATE_COLUMN > canvas.width) {
      const width = canvas.width - GATE_LABELS - GATE_COLUMN;
      pen.drawImage(canvas, GATE_LABELS + GATE_COLUMN, 0, width, canvas.height, GATE_LABELS, 0, width, canvas.height);
      this.drawn.shift();
    } else this.columns += 1;
    this.drawn.push(levels);
    const picture = new ImageData(1, levels.length);
    const palette = new Uint32Array(this.colors.scales.gate.rgba.buffer);
    new Uint32Array(picture.data.buffer).set(Array.from(levels, (level) => palette[level]));
    this.column ??= document.createElement("canvas");
    [this.column.width, this.column.height] = [1, levels.length];
    this.column.getContext("2d").putImageData(picture, 0, 0);
    pen.imageSmoothingEnabled = units > GATE_BAND;
    const x = GATE_LABELS + (this.columns - 1) * GATE_COLUMN;
    this.gates.forEach((_, n) => {
      pen.drawImage(this.column, 0, n * units, 1, units, x, n * GATE_BAND + 2, GATE_COLUMN, GATE_BAND - 4);
    });
  }
}
