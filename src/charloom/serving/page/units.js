// The units that seem to follow something with a name. The page opens on the first of them, and
// offers the others; where there is none, it says so and takes the strongest candidate.
"use strict";

class NamedUnits {
  constructor(state, data) {
    Object.assign(this, { state, data });
    this.found = [];
    this.source = null; // whose units they are
    byId("named").addEventListener("change", (event) => {
      const one = this.found[Number(event.target.value)];
      if (one) state.set({ layer: one.layer, unit: one.unit, quantity: one.quantity, story: null });
    });
    state.on(["unit", "layer", "trace"], () => this.#show());
  }

  // Opens on the best unit, unless `isChosen` says that somebody chose another meanwhile.
  async open(isChosen) {
    this.source = this.data.source;
    this.found = await this.data.units();
    const { trace } = this.state;
    const best = this.found[0] ?? (await this.#liveliest());
    if (!isChosen()) this.state.set({ layer: best.layer, unit: best.unit, quantity: best.quantity });
    this.#show();
  }

  // Where no label can be searched for: the unit of the top layer whose headline moves most.
  async #liveliest() {
    const { trace } = this.state;
    const layer = trace.layers - 1;
    const totals = await this.data.totals(layer, "h_t");
    const variance = (u) => totals[trace.units + u] / trace.length - (totals[u] / trace.length) ** 2;
    const order = Array.from({ length: trace.units }, (_, u) => u).sort((a, b) => variance(b) - variance(a));
    return { layer, unit: order[0], quantity: "h_t" };
  }

  #show() {
    const { trace, unit, layer } = this.state;
    if (!trace) return;
    const at = this.found.findIndex((one) => one.unit === unit && one.layer === layer);
    const named = this.found.filter((one, n) => one.named || n === at || n === 0);
    const options = named.map((one) => new Option(`${one.unit}, layer ${one.layer + 1}: ${followed(one)}`, String(this.found.indexOf(one))));
    if (at < 0) options.unshift(new Option(`${unit}, layer ${layer + 1}`, ""));
    byId("named").replaceChildren(...options);
    byId("named").value = at < 0 ? "" : String(at);
    byId("named-note").textContent = this.#note(at);
  }

  #note(at) {
    const one = this.found[at];
    if (one?.named) return `This unit seems to follow something that has a name, “${one.label}”: its ${one.quantity === "C_t" ? "article" : "headline"} has a correlation of ${number(one.score * one.sign, 2)} with it, on text that was not searched; charloom units tests such claims in full.`;
    if (this.found.some((other) => other.named)) return "";
    return "In this model no unit was found that follows something with a name; it opens on the strongest.";
  }
}

function followed({ label, named }) {
  return named ? label : `${label}?`;
}
