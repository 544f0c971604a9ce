// Characters and numbers as text to read.
"use strict";

// How a character is shown: visible, alone in its box, and without effect on its neighbors.
function glyph(character) {
  const code = character.codePointAt(0);
  if (isByte(character)) return character;
  if (character === "\n") return "↵";
  if (character === "\t") return "⇥";
  if (code < 32) return String.fromCodePoint(0x2400 + code);
  if (code === 127) return "␡";
  if (character !== " " && /[\p{Zs}]/u.test(character)) return "⍽";
  if (/[\p{Cc}\p{Cf}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u.test(character)) return "▯";
  if (/\p{M}/u.test(character)) return "◌" + character;
  return character;
}

// The same where it stands alone: a space, too, can be seen.
function visibleGlyph(character) {
  return character === " " ? "␣" : glyph(character);
}

// A byte beyond ASCII comes as two hexadecimal digits.
function isByte(character) {
  return character.length > 1 && character.codePointAt(0) < 128;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

// Whether a character takes two columns.
function isWide(character) {
  return isByte(character) || WIDE.test(character);
}

// A character in quotes, with its code point where it cannot be seen.
function described(character) {
  if (character === " ") return "space";
  if (character === "\n") return "line feed";
  const shown = glyph(character);
  const codePoint = "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return shown === character ? `‘${shown}’` : `‘${shown}’ ${codePoint}`;
}

function excerpt(trace, start, stop) {
  return trace.characters.slice(Math.max(start, 0), stop).map(glyph).join("");
}

const MINUS = "\u2212";

function number(value, digits = 3) {
  const shown = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(shown) ? MINUS : "") + shown;
}

// "1 place", "1,200 places"
function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function percent(share) {
  const hundred = share * 100;
  return `${hundred.toFixed(hundred >= 9.95 ? 0 : hundred < 0.095 ? 2 : 1)}%`;
}

function inBits(nats) {
  return nats / Math.LN2;
}
