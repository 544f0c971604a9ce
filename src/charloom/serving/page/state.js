// What the page shows now: one object that every panel reads, changes and listens to.
"use strict";

class State extends EventTarget {
  trace = null; // the text and what the model made of it: see data.js
  given; // the text as it was given
  cursor = 0; // a character
  hovered = null; // the character under the pointer, if any
  selection = null; // [first, last + 1]
  phase = 0; // of the newspaper
  layer = 0;
  unit = 0;
  quantity = "h_t";
  colorBy = "surprisal"; // or "unit"
  openOn = "newspaper"; // what stands at the top; or "generate"
  story = null; // what the newspaper tells in the place of the model's numbers: see tour.js

  set(changes) {
    const names = Object.keys(changes).filter((name) => this[name] !== changes[name]);
    if (!names.length) return;
    Object.assign(this, changes);
    this.announce(names);
  }

  // Says that these have changed, or that what they hold has.
  announce(names) {
    this.dispatchEvent(new CustomEvent("change", { detail: new Set(names) }));
  }

  // Calls `act` when one of these changes.
  on(names, act) {
    this.addEventListener("change", ({ detail }) => {
      if (names.some((name) => detail.has(name))) act(detail);
    });
  }

  // The character that is looked at.
  get inspected() {
    return this.hovered ?? this.cursor;
  }
}
