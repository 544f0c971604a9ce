// The model writes; its gates pass by, a column for each character.
"use strict";

const COLUMN = 5;
const PER_PICTURE = 8; // characters; faster than one can read, and the page stays quick
const MOST_SHOWN = 20000;

class Writing {
  constructor(view, source, colours, read) {
    Object.assign(this, { view, source, colours });
    this.text = "";
    byId("writing").hidden = false;
    byId("write").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#write();
    });
    byId("stop").addEventListener("click", () => this.stopping?.abort());
    byId("take").addEventListener("click", () => read(this.prompt + this.text));
    this.#clear();
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
      layer: this.view.layer,
    };
  }

  async #write() {
    this.stopping?.abort();
    const stopping = (this.stopping = new AbortController());
    const request = this.#request();
    [this.prompt, this.text] = [request.prompt, ""];
    const written = byId("written");
    written.replaceChildren(element("span", request.prompt, "prompt"));
    written.dataset.state = "writing";
    this.#clear();
    byId("stop").disabled = false;
    complain(null);
    try {
      let inPicture = 0;
      for await (const line of await this.source.write(request, stopping.signal)) {
        if (stopping.signal.aborted) break;
        if (line.character !== undefined) this.#add(line);
        inPicture += 1;
        if (inPicture % PER_PICTURE === 0) {
          written.scrollTop = written.scrollHeight;
          await new Promise(requestAnimationFrame);
        }
      }
    } catch (error) {
      complain(error);
    }
    if (this.stopping !== stopping) return;
    byId("stop").disabled = true;
    byId("take").disabled = !this.text;
    written.dataset.state = "done";
  }

  #add({ character, nats, gates }) {
    this.text += character;
    const span = element("span", character);
    const { fill, dark } = this.colours.scales.surprise;
    const level = Math.round(Math.min((nats ?? 0) / Math.LN2 / MOST_BITS, 1) * 255);
    span.style.backgroundColor = fill[level];
    span.style.color = dark[level] ? "var(--light)" : "var(--dark)";
    span.title = nats === null ? "" : `${(nats / Math.LN2).toFixed(2)} bits`;
    const written = byId("written");
    if (written.childElementCount < MOST_SHOWN) written.append(span);
    this.#column(decoded(gates, Uint8Array));
  }

  #clear() {
    const canvas = byId("gates");
    canvas.width = Math.max(canvas.clientWidth, 100);
    this.pen = canvas.getContext("2d", { willReadFrequently: false });
    this.pen.fillStyle = this.colours.paper;
    this.pen.fillRect(0, 0, canvas.width, canvas.height);
    this.filled = 0;
    this.#labels();
  }

  // Puts a column of 3 x H gates at the right end; what was there moves left.
  #column(levels) {
    if (!levels.length) return;
    const canvas = byId("gates");
    const units = levels.length / 3;
    const [left, band] = [64, canvas.height / 3];
    if (left + (this.filled + 1) * COLUMN > canvas.width) {
      const width = canvas.width - left - COLUMN;
      this.pen.drawImage(canvas, left + COLUMN, 0, width, canvas.height, left, 0, width, canvas.height);
    } else this.filled += 1;
    const picture = new ImageData(1, units * 3);
    const palette = new Uint32Array(this.colours.scales.gate.rgba.buffer);
    new Uint32Array(picture.data.buffer).set(Array.from(levels, (level) => palette[level]));
    this.strip ??= document.createElement("canvas");
    [this.strip.width, this.strip.height] = [1, units * 3];
    this.strip.getContext("2d").putImageData(picture, 0, 0);
    this.pen.imageSmoothingEnabled = units > band;
    const x = left + (this.filled - 1) * COLUMN;
    for (let n = 0; n < 3; n++) {
      this.pen.drawImage(this.strip, 0, n * units, 1, units, x, n * band + 2, COLUMN, band - 4);
    }
  }

  #labels() {
    this.pen.font = "13px system-ui, sans-serif";
    this.pen.fillStyle = this.colours.soft;
    this.pen.textBaseline = "middle";
    const band = byId("gates").height / 3;
    ["forget", "input", "output"].forEach((name, n) => this.pen.fillText(name, 4, (n + 0.5) * band));
  }
}
