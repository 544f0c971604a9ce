// Three scales of 256 colors, made from the colors of the theme:
//
//   surprisal  paper to amber         from 0 bits to many
//   gate       paper to ink           from closed to open
//   signed     blue, paper, orange    below zero, zero, above
//
// Blue and orange stay apart for every kind of color blindness, and lightness alone orders
// the other two. Colors are mixed in OKLab, where equal steps look equal.
"use strict";

class Colors {
  constructor() {
    this.refresh();
  }

  refresh() {
    const channels = (name) => channelsOf(`var(--${name})`);
    const paper = channels("paper");
    for (const name of ["paper", "surface", "ink", "muted", "rule", "accent", "amber", "orange-curve", "blue-curve", "orange-deep", "blue-deep"]) {
      this[name] = css(channels(name));
    }
    this.scales = {
      surprisal: colorScale([paper, channels("amber-soft"), channels("amber")]),
      gate: colorScale([paper, channels("ink")]),
      signed: colorScale([channels("blue-deep"), channels("blue"), paper, channels("orange"), channels("orange-deep")]),
    };
  }
}

// Red, green and blue, 0 to 255, of a color as the style sheet has it.
function channelsOf(color) {
  const probe = document.createElement("i");
  probe.style.color = color;
  document.body.append(probe);
  const channels = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return channels.slice(0, 3);
}

function css([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}

// 256 colors between anchors: as pixels, as CSS, and whether white is easier to read on them
// than black.
function colorScale(anchors) {
  const labs = anchors.map(toLab);
  const rgba = new Uint8ClampedArray(1024);
  const fill = [];
  const dark = [];
  for (let level = 0; level < 256; level++) {
    const position = (level / 255) * (labs.length - 1);
    const below = Math.min(Math.floor(position), labs.length - 2);
    const mixed = labs[below].map((value, n) => value + (labs[below + 1][n] - value) * (position - below));
    const rgb = fromLab(mixed);
    rgba.set([...rgb, 255], level * 4);
    fill.push(css(rgb));
    dark.push(luminance(rgb) < 0.179);
  }
  return { rgba, fill, dark };
}

function linear(rgb) {
  return rgb.map((v) => (v > 10.31 ? ((v / 255 + 0.055) / 1.055) ** 2.4 : v / 3294.6));
}

function luminance(rgb) {
  const [r, g, b] = linear(rgb);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function toLab(rgb) {
  const [r, g, b] = linear(rgb);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function fromLab([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((v) => Math.round(255 * Math.min(Math.max(v > 0.0031308 ? 1.055 * v ** (1 / 2.4) - 0.055 : 12.92 * v, 0), 1)));
}
