// The model generates text, and its gates are drawn, a column for each character.
"use strict";

const GATE_COLUMN = 5; // pixels
const GATE_BAND = 64; // pixels, of all units of one gate
const GATE_LABELS = 88; // pixels, to the left of the columns
const PER_FRAME = 8; // characters: faster than one can read, and the page stays responsive
const MOST_SHOWN = 20000;

class GenerationPanel {
  constructor(state, data, colors, read) {
    Object.assign(this, { state, data, colors });
    this.generated = "";
    byId("generate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#generate();
    });
    byId("stop").addEventListener("click", () => this.stopping?.abort());
    byId("use-text").addEventListener("click", () => read(this.prompt + this.generated));
    state.on(["trace"], () => this.#showGates());
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
    byId("gates").hidden = byId("gates-note").hidden = !this.gates.length;
    if (!this.gates.length) return;
    const names = this.gates.map(({ name }) => name.replace(" gate", ""));
    const listed = `${names.slice(0, -1).join(", ")} and ${names.at(-1)} gates`;
    byId("gates").setAttribute("aria-label", `The ${listed} of every unit while text is generated`);
    byId("gates-note").textContent = `The ${listed} of the selected layer: a column for each character that is generated, a line for each unit. Blank is closed (0), solid is open (1).`;
    this.#clearGates();
  }

  #request() {
    const value = (id) => Number(byId(id).value);
    return {
      prompt: byId("prompt").value,
      temperature: value("temperature"),
      top_k: value("top_k"),
      top_p: value("top_p"),
      seed: value("seed"),
      length: value("length"),
      layer: this.state.layer,
    };
  }

  async #generate() {
    this.stopping?.abort();
    const stopping = (this.stopping = new AbortController());
    const request = this.#request();
    [this.prompt, this.generated] = [request.prompt, ""];
    const output = byId("output");
    output.replaceChildren(element("span", request.prompt, "prompt"));
    output.dataset.state = "generating";
    if (this.gates.length) this.#clearGates();
    byId("stop").disabled = false;
    showError(null);
    try {
      let lines = 0;
      for await (const line of await this.data.generate(request, stopping.signal)) {
        if (stopping.signal.aborted) break;
        if (line.character !== undefined) this.#add(line);
        lines += 1;
        if (lines % PER_FRAME === 0) {
          output.scrollTop = output.scrollHeight;
          await new Promise(requestAnimationFrame);
        }
      }
    } catch (error) {
      showError(error);
    }
    if (this.stopping !== stopping) return;
    byId("stop").disabled = true;
    byId("use-text").disabled = !this.generated;
    output.dataset.state = "done";
  }

  #add({ character, nats, gates }) {
    this.generated += character;
    const span = element("span", character);
    const { fill, dark } = this.colors.scales.surprisal;
    const level = Math.round(Math.min(inBits(nats ?? 0) / MOST_BITS, 1) * 255);
    span.style.backgroundColor = fill[level];
    span.style.color = dark[level] ? "var(--light)" : "var(--dark)";
    span.title = nats === null ? "" : `${inBits(nats).toFixed(2)} bits`;
    const output = byId("output");
    if (output.childElementCount < MOST_SHOWN) output.append(span);
    if (this.gates.length) this.#addColumn(gates);
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
