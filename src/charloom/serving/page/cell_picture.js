// The cell as a picture: the article runs through it on a wire, each gate is a switch on a wire,
// and a flow is as thick as its number is large, orange above zero and blue below.
//
//   old ──── keep ──── + ──────────── article ──▶
//                      │                  │
//                     add                tanh, show
//                  candidate              └──▶ headline
//
// The cell's record (cells.js) says which switches there are; what it has not is left out.
"use strict";

const CELL_LAYOUTS = {
  wide: {
    title: [696, 346],
    titleAlign: "right",
    size: [720, 372],
    old: [[24, 84], [150, 84]],
    keep: { box: [178, 210], ends: [[150, 84], [206, 84]], control: [[178, 184], [178, 94]] },
    kept: [[206, 84], [407, 84]],
    plus: [420, 84],
    candidate: { box: [420, 210] },
    candidateFlow: [[420, 184], [420, 160]],
    add: { box: [296, 210], ends: [[420, 160], [420, 118]], control: [[296, 184], [296, 139], [410, 139]] },
    added: [[420, 118], [420, 97]],
    article: [[433, 84], [696, 84]],
    branch: [[630, 84], [630, 186]],
    tanh: [630, 128],
    show: { box: [540, 210], ends: [[630, 186], [630, 234]], control: [[592, 210], [620, 210]] },
    headline: [[630, 234], [630, 300], [696, 300]],
    recall: { box: [540, 210], ends: [[420, 284], [420, 250]], control: [[515, 236], [515, 267], [430, 267]] },
    bus: [[24, 300], [540, 300]],
    feeds: { keep: [[178, 300], [178, 236]], add: [[296, 300], [296, 236]], candidate: [[420, 300], [420, 236]], show: [[540, 300], [540, 236]], recall: [[540, 300], [540, 236]] },
    character: { box: [84, 342], wire: [[84, 324], [84, 300]], label: [112, 347, "left"] },
    busLabel: [24, 290, "left"],
    labels: { old: [24, 46], kept: [222, 46], added: [440, 118], article: [447, 46], headline: [642, 258] },
  },
  narrow: {
    title: [62, 484],
    titleAlign: "left",
    size: [360, 500],
    old: [[44, 16], [44, 96]],
    keep: { box: [252, 120], ends: [[44, 96], [44, 144]], control: [[200, 120], [54, 120]] },
    kept: [[44, 144], [44, 267]],
    plus: [44, 280],
    candidate: { box: [252, 280] },
    candidateFlow: [[200, 280], [168, 280]],
    add: { box: [252, 205], ends: [[168, 280], [120, 280]], control: [[200, 205], [144, 205], [144, 270]] },
    added: [[120, 280], [57, 280]],
    article: [[44, 293], [44, 490]],
    branch: [[44, 440], [150, 440]],
    tanh: [96, 440],
    show: { box: [252, 365], ends: [[150, 440], [198, 440]], control: [[200, 365], [174, 365], [174, 430]] },
    headline: [[198, 440], [346, 440]],
    recall: { box: [252, 365], ends: [[336, 280], [308, 280]], control: [[290, 339], [290, 320], [322, 320], [322, 290]] },
    bus: [[340, 44], [340, 365]],
    feeds: { keep: [[340, 120], [304, 120]], add: [[340, 205], [304, 205]], candidate: [[340, 280], [304, 280]], show: [[340, 365], [304, 365]], recall: [[340, 365], [304, 365]] },
    character: { box: [252, 44], wire: [[272, 44], [340, 44]], label: [252, 80, "center"] },
    busLabel: [350, 16, "right"],
    labels: { old: [62, 34], kept: [62, 176], added: [62, 310], article: [62, 366], headline: [206, 464] },
  },
};

// Of a cell without an article, which has no wires to draw but one.
const CELL_LAYOUTS_WITHOUT_ARTICLE = {
  wide: {
    title: [696, 182],
    titleAlign: "right",
    size: [720, 208],
    candidate: { box: [420, 46] },
    direct: [[472, 46], [630, 46], [630, 136], [696, 136]],
    bus: [[24, 136], [420, 136]],
    feeds: { candidate: [[420, 136], [420, 72]] },
    character: { box: [84, 178], wire: [[84, 160], [84, 136]], label: [112, 183, "left"] },
    busLabel: [24, 126, "left"],
    labels: { headline: [642, 94] },
  },
  narrow: {
    title: [196, 280],
    titleAlign: "right",
    size: [360, 300],
    candidate: { box: [252, 140] },
    direct: [[252, 166], [252, 236], [346, 236]],
    bus: [[340, 44], [340, 140]],
    feeds: { candidate: [[340, 140], [304, 140]] },
    character: { box: [252, 44], wire: [[272, 44], [340, 44]], label: [252, 80, "center"] },
    busLabel: [350, 16, "right"],
    labels: { headline: [236, 261] },
  },
};

const BOX = [104, 52]; // of a gate, in pixels
const SWITCHES = { keep: "kept", add: "added", show: "headline", recall: "added" }; // and the stage of each

// What is drawn of a cell: see CELLS in cells.js. `given` has the numbers of one unit: `values`
// by quantity, and the newspaper's `flow`; `reached(stage)`; the character that is `read`.
class CellPicture {
  constructor(pen, colors, layout, cell, given) {
    Object.assign(this, { pen, colors, cell, ...given });
    this.at = cellLayout(layout, cell);
    const { drawing = () => ({}), flow: flows } = cell.newspaper;
    this.parts = { ...(flows && given.flow.article !== undefined ? { keep: { label: "kept", value: given.flow.keep } } : {}), ...drawing(given.values) };
    this.words = { ...CELL_WORDS, ...this.parts.words };
    this.drawn = cell.newspaper.drawn ?? ((value) => value);
  }

  draw() {
    const { pen, colors, at, flow, reached } = this;
    const [width, height] = at.size;
    pen.fillStyle = colors.surface;
    pen.fillRect(0, 0, width, height);
    pen.lineCap = "butt";
    this.#drawBus();
    if (flow.article === undefined) this.#flow(at.direct, flow.headline, true, true);
    else {
      this.#flow(at.old, flow.old, true);
      this.#flow(at.kept, flow.kept, reached("kept"));
      if (this.parts.candidate) this.#flow(at.candidateFlow, this.parts.candidate.value, reached("added"));
      this.#flow(at.added, flow.added, reached("added"));
      this.#flow(at.article, flow.article, reached("added"), true);
      this.#flow(at.branch, flow.article, reached("headline"));
      this.#flow(at.headline, flow.headline, reached("headline"), true);
    }
    for (const [name, stage] of Object.entries(SWITCHES)) {
      const gap = { keep: flow.kept, add: flow.added, show: flow.headline }[name];
      if (this.parts[name]) this.#drawSwitch(at[name], this.parts[name].value, gap, reached(stage));
      else if (at[name]?.ends && name !== "recall" && flow.article !== undefined) this.#flow(at[name].ends, gap, reached(stage));
    }
    if (flow.article !== undefined) this.#drawPlus();
    if (this.parts.show) this.#drawTanh();
    for (const name of ["keep", "add", "candidate", "show", "recall"]) {
      const stage = SWITCHES[name] ?? (flow.article === undefined ? "headline" : "added");
      if (this.parts[name] && at[name].box) this.#drawBox(at[name].box, this.parts[name], stage);
    }
    this.#drawLabels();
    this.#text(this.title, ...at.title, { size: 13, weight: 600, align: at.titleAlign });
  }

  // The same in words.
  get description() {
    const { flow, words, parts, show } = this;
    const gates = Object.entries(parts).filter(([name]) => name !== "words").map(([, { label, value }]) => `${label} ${show(value)}`);
    const flows = Object.keys(CELL_WORDS).filter((name) => flow[name] !== undefined).map((name) => `${words[name]} ${show(flow[name])}`);
    return `The cell, unit by unit a newspaper: ${[...flows, ...gates].join(", ")}.`;
  }

  #line(points, color, width) {
    const { pen } = this;
    pen.strokeStyle = color;
    pen.lineWidth = width;
    pen.beginPath();
    points.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  }

  // A wire, and on it, once it is reached, the flow of a number.
  #flow(points, value, isReached, ends = false) {
    const { colors } = this;
    this.#line(points, colors.rule, 3);
    const color = isReached ? this.#colorOf(value) : colors.rule;
    if (isReached) this.#line(points, color, this.#thickness(value));
    if (ends) this.#drawTip(points.at(-2), points.at(-1), color, isReached ? this.#thickness(value) : 3);
  }

  #thickness(value) {
    return 13 * Math.min(Math.abs(this.drawn(value)), 1);
  }

  #colorOf(value) {
    return value < 0 ? this.colors["blue-deep"] : this.colors["orange-deep"];
  }

  #drawTip([x0, y0], [x, y], color, width) {
    const { pen } = this;
    const [dx, dy] = [Math.sign(x - x0), Math.sign(y - y0)];
    const half = width / 2 + 5;
    pen.fillStyle = color;
    pen.beginPath();
    pen.moveTo(x + 14 * dx, y + 14 * dy);
    pen.lineTo(x - dy * half, y - dx * half);
    pen.lineTo(x + dy * half, y + dx * half);
    pen.closePath();
    pen.fill();
  }

  // Closed at 1, so that all flows on; open at 0.
  #drawSwitch({ ends: [[x0, y0], [x1, y1]], control }, value, gap, isReached) {
    const { pen, colors } = this;
    if (control) {
      pen.setLineDash([3, 3]);
      this.#line(control, isReached ? colors.ink : colors.muted, 1.2);
      pen.setLineDash([]);
    }
    if (isReached && gap !== undefined && this.#thickness(gap) >= 0.5) this.#line([[x0, y0], [x1, y1]], this.#colorOf(gap), this.#thickness(gap));
    const angle = Math.atan2(y1 - y0, x1 - x0) - (isReached ? 1 - value : 0.5) * 0.9;
    const length = Math.hypot(x1 - x0, y1 - y0);
    this.#line([[x0, y0], [x0 + length * Math.cos(angle), y0 + length * Math.sin(angle)]], isReached ? colors.ink : colors.muted, 3);
    for (const [x, y] of [[x0, y0], [x1, y1]]) this.#dot(x, y, 4, isReached ? colors.ink : colors.muted);
  }

  #dot(x, y, radius, color) {
    const { pen } = this;
    pen.fillStyle = color;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fill();
  }

  #drawPlus() {
    const { pen, colors, at: { plus: [x, y] } } = this;
    this.#dot(x, y, 13, colors.surface);
    pen.strokeStyle = this.reached("added") ? colors.ink : colors.muted;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(x, y, 13, 0, 7);
    pen.stroke();
    this.#text("+", x, y + 1, { size: 18, align: "center", color: pen.strokeStyle });
  }

  #drawTanh() {
    const { pen, colors, at: { tanh: [x, y] } } = this;
    this.#rectangle(x - 22, y - 12, 44, 24, colors.surface, this.reached("headline") ? colors.ink : colors.muted);
    this.#text("tanh", x, y + 1, { size: 13, align: "center", color: pen.strokeStyle });
  }

  #rectangle(x, y, width, height, fill, edge, line = 1.5) {
    const { pen } = this;
    pen.fillStyle = fill;
    pen.fillRect(x, y, width, height);
    pen.strokeStyle = edge;
    pen.lineWidth = line;
    pen.strokeRect(x, y, width, height);
  }

  // A gate, or the candidate: its number, and, at the bottom, how far it is open.
  #drawBox([x, y], { label, value }, stage) {
    const { pen, colors, reached } = this;
    const [width, height] = BOX;
    const isReached = reached(stage);
    const now = isReached && this.stage === stage;
    this.#rectangle(x - width / 2, y - height / 2, width, height, colors.surface, now ? colors.accent : isReached ? colors.ink : colors.muted, now ? 3 : 1.5);
    this.#text(label, x, isReached ? y - 9 : y, { size: 14, align: "center", color: isReached ? colors.ink : colors.muted });
    if (!isReached) return;
    this.#text(this.show(value), x, y + 9, { size: 15, weight: 600, align: "center" });
    pen.fillStyle = value < 0 ? colors["blue-deep"] : colors.ink;
    pen.fillRect(x - width / 2 + 2, y + height / 2 - 5, (width - 4) * Math.min(Math.abs(value), 1), 3);
  }

  // The last headlines and the new character, which all gates read.
  #drawBus() {
    const { colors, at } = this;
    this.#line(at.bus, colors.muted, 1.2);
    for (const [name, feed] of Object.entries(at.feeds)) {
      if (this.parts[name] && !(name === "recall" && this.parts.show)) this.#line(feed, colors.muted, 1.2);
    }
    const { box: [x, y], wire, label: [labelX, labelY, align] } = at.character;
    this.#line(wire, colors.muted, 1.2);
    this.#rectangle(x - 20, y - 18, 40, 36, colors.ink, colors.ink);
    this.#text(this.read, x, y + 1, { size: 18, align: "center", color: colors.paper, mono: true });
    this.#text(this.readLabel ?? "x, the character read", labelX, labelY - 4, { size: 13, align, color: colors.muted });
    const [busX, busY, busAlign] = at.busLabel;
    this.#text("h before: all headlines", busX, busY, { size: 13, align: busAlign, color: colors.muted });
  }

  #drawLabels() {
    const { at, words, flow, colors } = this;
    for (const [name, [x, y]] of Object.entries(at.labels)) {
      if (flow[name] === undefined) continue;
      const isReached = name === "old" || this.reached(name === "article" ? "added" : name);
      this.#text(words[name], x, y, { size: 13, color: colors.muted });
      if (isReached) this.#text(this.show(flow[name]), x, y + 19, { size: 17, weight: 600 });
    }
  }

  #text(text, x, y, { size, weight, align = "left", color = this.colors.ink, mono = false }) {
    const { pen } = this;
    pen.font = `${weight ? `${weight} ` : ""}${size}px ${mono ? "monospace" : "system-ui, sans-serif"}`;
    pen.textAlign = align;
    pen.textBaseline = "middle";
    pen.fillStyle = color;
    pen.fillText(text, x, y);
  }
}

function cellLayout(layout, { newspaper }) {
  return (newspaper.headings ? CELL_LAYOUTS : CELL_LAYOUTS_WITHOUT_ARTICLE)[layout];
}

// How the flows are called, unless the cell's record says otherwise.
const CELL_WORDS = { old: "before", kept: "kept", added: "added", article: "after", headline: "headline h" };
