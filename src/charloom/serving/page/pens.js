// A pen that makes elements of an SVG picture, with the methods of a canvas's own pen that the
// pictures of the page use. So each picture is drawn by one function, as pixels or as SVG.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const BASELINES = { middle: "central", top: "hanging", alphabetic: "alphabetic", bottom: "text-after-edge" };
const ANCHORS = { left: "start", center: "middle", right: "end" };

class SvgPen {
  #saved = [];
  #dash = [];
  #path = [];
  #clip = null; // the element that new ones go into

  fillStyle = "black";
  strokeStyle = "black";
  lineWidth = 1;
  lineCap = "butt";
  globalAlpha = 1;
  font = "10px sans-serif";
  textAlign = "left";
  textBaseline = "alphabetic";
  imageSmoothingEnabled = true;

  // In a document of its own, an image in the picture is not loaded; the page may show none.
  constructor(width, height, { forSaving = false } = {}) {
    this.owner = forSaving ? document.implementation.createDocument(SVG, "svg") : document;
    this.root = this.#made("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
    this.clips = 0;
  }

  beginPath() {
    this.#path = [];
  }

  moveTo(x, y) {
    this.#path.push(`M${rounded(x)} ${rounded(y)}`);
  }

  lineTo(x, y) {
    this.#path.push(`L${rounded(x)} ${rounded(y)}`);
  }

  closePath() {
    this.#path.push("Z");
  }

  rect(x, y, width, height) {
    this.#path.push(`M${rounded(x)} ${rounded(y)}h${rounded(width)}v${rounded(height)}h${rounded(-width)}Z`);
  }

  // A whole circle, which is all that the pictures need.
  arc(x, y, r) {
    const [left, right, top] = [rounded(x - r), rounded(x + r), rounded(y)];
    this.#path.push(`M${left} ${top}A${rounded(r)} ${rounded(r)} 0 0 1 ${right} ${top}A${rounded(r)} ${rounded(r)} 0 0 1 ${left} ${top}Z`);
  }

  fill() {
    this.#add("path", { d: this.#path.join(""), fill: this.fillStyle });
  }

  stroke() {
    const dash = this.#dash.length ? { "stroke-dasharray": this.#dash.join(" ") } : {};
    const cap = this.lineCap === "butt" ? {} : { "stroke-linecap": this.lineCap };
    this.#add("path", { d: this.#path.join(""), fill: "none", stroke: this.strokeStyle, "stroke-width": rounded(this.lineWidth), ...dash, ...cap });
  }

  fillRect(x, y, width, height) {
    this.#add("rect", { x: rounded(x), y: rounded(y), width: rounded(width), height: rounded(height), fill: this.fillStyle });
  }

  strokeRect(x, y, width, height) {
    this.#add("rect", { x: rounded(x), y: rounded(y), width: rounded(width), height: rounded(height), fill: "none", stroke: this.strokeStyle, "stroke-width": rounded(this.lineWidth) });
  }

  fillText(text, x, y) {
    const [, weight, size, family] = this.font.match(/^(?:(\d+|bold) )?([\d.]+)px (.*)$/);
    const made = this.#add("text", {
      x: rounded(x), y: rounded(y), fill: this.fillStyle, "font-size": size, "font-family": family.replaceAll('"', "'"),
      ...(weight ? { "font-weight": weight } : {}),
      ...(this.textAlign === "left" ? {} : { "text-anchor": ANCHORS[this.textAlign] }),
      ...(this.textBaseline === "alphabetic" ? {} : { "dominant-baseline": BASELINES[this.textBaseline] }),
    });
    made.textContent = text;
  }

  // A canvas, as a picture inside the picture.
  drawImage(canvas, x, y, width, height) {
    const smooth = this.imageSmoothingEnabled ? {} : { "image-rendering": "pixelated" };
    this.#add("image", { href: canvas.toDataURL("image/png"), x: rounded(x), y: rounded(y), width: rounded(width), height: rounded(height), preserveAspectRatio: "none", ...smooth });
  }

  setLineDash(dash) {
    this.#dash = dash;
  }

  save() {
    this.#saved.push(this.#clip);
  }

  restore() {
    this.#clip = this.#saved.pop();
  }

  clip() {
    const id = `clip-${(this.clips += 1)}`;
    const clip = this.#made("clipPath", { id });
    clip.append(this.#made("path", { d: this.#path.join("") }));
    this.root.append(clip);
    this.#clip = this.#made("g", { "clip-path": `url(#${id})` });
    this.root.append(this.#clip);
  }

  #add(name, attributes) {
    const alpha = this.globalAlpha === 1 ? {} : { opacity: rounded(this.globalAlpha) };
    const made = this.#made(name, { ...attributes, ...alpha });
    (this.#clip ?? this.root).append(made);
    return made;
  }

  #made(name, attributes) {
    const made = this.owner.createElementNS(SVG, name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    return made;
  }
}

// A coordinate, to a hundredth of a pixel.
function rounded(value) {
  return Math.round(value * 100) / 100;
}
