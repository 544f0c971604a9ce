// From text to ids and back: text/vocabulary.py and text/normalizing.py in JavaScript.
"use strict";

const REPLACEMENT = "\ufffd"; // what an unknown character is shown as
const SCALAR_VALUES = 0x110000 - 0x800; // characters that Unicode has room for

class Vocabulary {
  // From what a model file keeps of it: kind, characters, unknown.
  constructor({ kind, characters, unknown }) {
    Object.assign(this, { kind, unknown });
    this.known = kind === "bytes" ? Array.from({ length: 128 }, (_, n) => String.fromCharCode(n)) : [...characters];
    this.idOf = new Map(this.known.map((character, id) => [character, id]));
    this.size = kind === "bytes" ? 256 : this.known.length + Number(unknown);
    this.unknownId = unknown ? this.known.length : -1;
    this.newlineId = this.idOf.get("\n") ?? -1;
    // Nats for saying which unknown character it was.
    this.unknownNats = unknown ? Math.log(SCALAR_VALUES - this.known.length) : 0;
  }

  static of(text, unknown = false) {
    const order = [...new Set(text)].sort((a, b) => a.codePointAt(0) - b.codePointAt(0));
    return new Vocabulary({ kind: "characters", characters: order.join(""), unknown });
  }

  toJSON() {
    const { kind, unknown } = this;
    return { kind, characters: kind === "bytes" ? "" : this.known.join(""), unknown };
  }

  encode(text) {
    if (this.kind === "bytes") return Int32Array.from(new TextEncoder().encode(text));
    return Int32Array.from([...text], (character, n) => {
      const id = this.idOf.get(character) ?? this.unknownId;
      if (id < 0) {
        const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
        throw new Error(`the character ${JSON.stringify(character)} (U+${code}) at position ${n} (the first is 0) is not in the vocabulary, which has no unknown to read it as; leave it out`);
      }
      return id;
    });
  }

  // How ids are shown; the characters of the text itself where it is given.
  symbols(ids, text) {
    if (this.kind === "bytes") {
      return Array.from(ids, (id) => (id < 128 ? String.fromCharCode(id) : id.toString(16).toUpperCase()));
    }
    return text === undefined ? Array.from(ids, (id) => this.known[id] ?? REPLACEMENT) : [...text];
  }
}

// A text after the steps that every text passes: half a surrogate pair is refused, a byte order
// mark is taken off, CRLF and CR become LF, and on request accents are joined with their letters.
function normalized(text, normalization, name = "the text") {
  const half = text.search(/[\ud800-\udfff]/u);
  if (half >= 0) {
    const place = [...text.slice(0, half)].length;
    throw new Error(`${name}: character ${place} (the first is 0) is half a surrogate pair, which UTF-8 cannot hold; remove it`);
  }
  const lines = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  return normalization === "nfc" ? lines.normalize("NFC") : lines;
}
