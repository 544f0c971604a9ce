// What is looked at: one object that every part of the page reads, changes and listens to.
"use strict";

class View extends EventTarget {
  passage = null;
  cursor = 0; // a character
  pointed = null; // the character under the pointer, if any
  selection = null; // [first, last + 1]
  layer = 0;
  unit = 0;
  quantity = "h_t";
  shade = "surprise"; // or "unit"

  set(changes) {
    const names = Object.keys(changes).filter((name) => this[name] !== changes[name]);
    if (!names.length) return;
    Object.assign(this, changes);
    this.dispatchEvent(new CustomEvent("change", { detail: new Set(names) }));
  }

  // Calls `act` when one of these changes.
  on(names, act) {
    this.addEventListener("change", ({ detail }) => {
      if (names.some((name) => detail.has(name))) act(detail);
    });
  }

  get looked() {
    return this.pointed ?? this.cursor;
  }
}

const byId = (id) => document.getElementById(id);

// An element with text in it; never HTML.
function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// How a character is shown: visible, alone in its cell, and without power over others.
function glyph(cell) {
  const code = cell.codePointAt(0);
  if (cell.length > 1 && code < 128) return cell; // a byte, as two digits
  if (cell === "\n") return "↵";
  if (cell === "\t") return "⇥";
  if (code < 32) return String.fromCodePoint(0x2400 + code);
  if (code === 127) return "␡";
  if (cell !== " " && /[\p{Zs}]/u.test(cell)) return "⍽";
  if (/[\p{Cc}\p{Cf}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u.test(cell)) return "▯";
  if (/\p{M}/u.test(cell)) return "◌" + cell;
  return cell;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

function isWide(cell) {
  return (cell.length > 1 && cell.codePointAt(0) < 128) || WIDE.test(cell);
}

// A character with quotes, and by its number where it cannot be seen.
function named(cell) {
  if (cell === undefined) return "";
  const shown = cell === " " ? "space" : cell === "\n" ? "line feed" : glyph(cell);
  const odd = shown !== cell && cell !== " " && cell !== "\n";
  const number = "U+" + cell.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  if (cell === " " || cell === "\n") return shown;
  return odd ? `‘${shown}’ ${number}` : `‘${shown}’`;
}

function around(passage, start, stop) {
  return passage.cells.slice(Math.max(start, 0), stop).map(glyph).join("");
}

const MINUS = "\u2212";

function number(value, digits = 3) {
  const shown = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(shown) ? MINUS : "") + shown;
}

function percent(share) {
  const hundred = share * 100;
  return hundred >= 9.95 ? `${hundred.toFixed(0)} %` : `${hundred.toFixed(hundred < 0.095 ? 2 : 1)} %`;
}

// Runs `act` once before the next picture, however often it is asked to.
function soon(act) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      act();
    });
  };
}

function complain(error) {
  if (error?.name === "AbortError") return;
  const problem = byId("problem");
  problem.hidden = !error;
  problem.textContent = error ? String(error.message ?? error) : "";
}
