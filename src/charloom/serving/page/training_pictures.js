// What is drawn of a training: the loss of every step, and the gates over the text as they are now.
"use strict";

const LOSS_HEIGHT = 150;
const LOSS_MARGIN = { left: 34, right: 8, top: 8, bottom: 18 };
const GATES_BAND = 66; // pixels, of all units of one gate
const GATES_LEFT = 88;
const GATES_TOP = 20; // where the characters stand

class TrainingPictures {
  constructor(colors) {
    this.colors = colors;
    this.draw = oncePerFrame(() => this.#draw());
    const width = () => byId("loss").parentElement.clientWidth;
    this.all = {
      loss: { size: () => [width(), LOSS_HEIGHT], paint: (pen) => this.#paintLoss(pen, width()) },
      "training-gates": { size: () => [width(), GATES_BAND * this.gates.length + GATES_TOP], paint: (pen) => this.#paintGates(pen, width()) },
    };
    for (const [name, picture] of Object.entries(this.all)) pictures.add({ id: `${name}-tools`, name, ...picture });
    new ResizeObserver(this.draw).observe(byId("loss").parentElement);
    this.clear();
  }

  clear() {
    Object.assign(this, { heading: null, seen: null, losses: [], held: [] });
    this.draw();
  }

  begin(heading) {
    this.heading = heading;
    this.draw();
  }

  // The nats and the characters of some more steps.
  add(losses) {
    this.losses.push(...losses.map(({ nats, characters }) => nats / characters));
    this.draw();
  }

  // The gates after so many steps, and the surprisal of what is held out.
  look(seen, step) {
    this.seen = seen;
    if (seen.heldOut !== null) this.held.push([step, seen.heldOut]);
    this.draw();
  }

  // The mean loss of the last pass.
  get last() {
    const last = this.losses.slice(-this.heading.perEpoch);
    return last.reduce((sum, loss) => sum + loss, 0) / last.length;
  }

  get heldOut() {
    return this.held.at(-1)?.[1] ?? null;
  }

  #draw() {
    for (const id of ["loss", "loss-note", "training-gates", "training-gates-note"]) byId(id).hidden = !this.heading;
    if (!this.heading) return;
    for (const [name, { size, paint }] of Object.entries(this.all)) paint(sizedPen(byId(name), ...size()));
    byId("loss-note").textContent = `The loss of every step: the mean surprisal of what was to be predicted, in bits.${this.held.length ? " Dashed: that of the text held out, which shows when more training only learns by heart." : ""}`;
    const read = this.heading.windows ? "each character as the last of its window" : "from the start of the text";
    byId("training-gates-note").textContent = `The gates of every unit after the last step, ${read}. Blank is closed (0), solid is open (1).`;
  }

  // The gates of the cell that is trained, in the order in which the worker sends them.
  get gates() {
    return Object.values(CELLS.lstm.quantities).filter(({ scale }) => scale === GATE);
  }

  #paintLoss(pen, width) {
    const { colors, losses, held, heading: { steps, symbols } } = this;
    const { left, right, top, bottom } = LOSS_MARGIN;
    const most = Math.max(Math.log2(symbols.length), ...losses.slice(0, 20).map(inBits)) * 1.02;
    const x = (step) => left + (step / steps) * (width - left - right);
    const y = (nats) => top + (1 - Math.min(inBits(nats) / most, 1)) * (LOSS_HEIGHT - top - bottom);
    pen.fillStyle = colors.paper;
    pen.fillRect(0, 0, width, LOSS_HEIGHT);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = colors.muted;
    pen.strokeStyle = colors.rule;
    pen.textBaseline = "middle";
    for (let bits = 0; bits <= most; bits++) {
      drawLine(pen, left, Math.round(y(bits * Math.LN2)) + 0.5, width - left - right);
      pen.fillText(`${bits}`, left - 14, y(bits * Math.LN2));
    }
    pen.textAlign = "right";
    pen.fillText(`step ${steps}`, width - right, LOSS_HEIGHT - 7);
    pen.textAlign = "left";
    pen.fillText("bits", 0, top + 2);
    const curve = (points, color, lineWidth, dash = []) => {
      pen.strokeStyle = color;
      pen.lineWidth = lineWidth;
      pen.setLineDash(dash);
      pen.beginPath();
      points.forEach(([step, nats], n) => (n ? pen.lineTo(x(step), y(nats)) : pen.moveTo(x(step), y(nats))));
      pen.stroke();
    };
    curve(losses.map((loss, n) => [n + 1, loss]), colors.ink, 1.5);
    curve(held, colors["orange-curve"], 2, [6, 3]);
    pen.setLineDash([]);
  }

  #paintGates(pen, width) {
    const { colors, seen } = this;
    pen.fillStyle = colors.paper;
    pen.fillRect(0, 0, width, GATES_BAND * this.gates.length + GATES_TOP);
    if (!seen) return;
    const { characters, gates, units } = seen;
    const column = (width - GATES_LEFT) / characters.length;
    const palette = new Uint32Array(colors.scales.gate.rgba.buffer);
    pen.fillStyle = colors.muted;
    pen.font = "13px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.picture ??= element("canvas");
    [this.picture.width, this.picture.height] = [characters.length, units];
    this.gates.forEach(({ name }, n) => {
      const image = new ImageData(characters.length, units);
      const pixels = new Uint32Array(image.data.buffer);
      for (let t = 0; t < characters.length; t++) {
        for (let u = 0; u < units; u++) pixels[u * characters.length + t] = palette[gates[(n * characters.length + t) * units + u]];
      }
      this.picture.getContext("2d").putImageData(image, 0, 0);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(this.picture, GATES_LEFT, GATES_TOP + n * GATES_BAND, width - GATES_LEFT, GATES_BAND - 4);
      pen.fillText(name, 4, GATES_TOP + (n + 0.5) * GATES_BAND);
    });
    pen.textAlign = "center";
    if (column < 6) return;
    pen.font = `12px ${getComputedStyle(byId("text")).fontFamily}`;
    characters.forEach((character, t) => pen.fillText(glyph(character), GATES_LEFT + (t + 0.5) * column, 10));
  }
}
