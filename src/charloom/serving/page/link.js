// What is looked at, in the address: a link to it opens the page on the same text, character,
// unit and quantity.
//
//   #open=newspaper&at=25&layer=2&unit=17&quantity=C_t&phase=3&text=One+bright+morning
//
// With open=generate the page has the form that generates texts at its top.
//
// Numbers are those that the page shows. A text that is too long for a link is left out of it;
// such a link opens the place in the text with which the page opens.
"use strict";

const MOST_LINKED = 2000; // characters

class Permalink {
  constructor(state, newspaper, tour) {
    Object.assign(this, { state, newspaper, tour });
    this.opened = Permalink.parse(location.hash);
    let pause = 0;
    const later = () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.write(), 250); // browsers refuse more than some a second
    };
    state.on(["cursor", "layer", "unit", "quantity", "colorBy", "phase", "trace", "story", "openOn"], later);
    byId("copy-link").addEventListener("click", () => this.#copy());
  }

  // The parts of a fragment, as text; what it does not have is undefined.
  static parse(hash) {
    return Object.fromEntries(new URLSearchParams(hash.slice(1)));
  }

  // Shows what a link says, as far as there is such a thing here.
  apply({ at, layer, unit, quantity, phase, color }) {
    const { state } = this;
    const { trace } = state;
    const changes = {};
    const within = (text, first, count) => {
      const value = /^\d{1,9}$/.test(text ?? "") ? Number(text) - first : -1;
      return value >= 0 && value < count ? value : undefined;
    };
    const set = (name, value) => {
      if (value !== undefined) changes[name] = value;
    };
    set("cursor", within(at, 1, trace.length));
    set("layer", within(layer, 1, trace.layers));
    set("unit", within(unit, 0, trace.units));
    set("quantity", trace.quantities.includes(quantity) ? quantity : undefined);
    set("colorBy", color === "unit" ? "unit" : undefined);
    set("phase", within(phase, 1, STAGES.length));
    state.set({ ...changes, hovered: null });
  }

  #fragment() {
    const { cursor, layer, unit, quantity, colorBy, given, openOn } = this.state;
    const parts = { open: openOn, at: cursor + 1, layer: layer + 1, unit, quantity, phase: this.newspaper.step + 1 };
    if (colorBy === "unit") parts.color = colorBy;
    if (this.tour.step !== null) parts.tour = this.tour.step + 1;
    else if (given.length <= MOST_LINKED) parts.text = given;
    return `#${new URLSearchParams(parts)}`;
  }

  write() {
    if (!this.state.trace?.done) return;
    try {
      history.replaceState(null, "", this.#fragment());
    } catch {
      // a browser that keeps the address of a file as it is: the link can be copied still
    }
  }

  async #copy() {
    this.write();
    const { given } = this.state;
    const long = given.length > MOST_LINKED ? ` Its text is too long for a link (${MOST_LINKED.toLocaleString("en")} characters at most), so the link opens the same place of the first text.` : "";
    const link = location.href.split("#")[0] + this.#fragment();
    try {
      await navigator.clipboard.writeText(link);
      byId("progress").textContent = `The link is copied.${long}`;
    } catch {
      byId("progress").textContent = `The browser does not let a page copy; the link is in the address bar.${long}`;
    }
  }
}
