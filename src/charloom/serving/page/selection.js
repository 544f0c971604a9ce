// Units that are active in the selection and not elsewhere, and where else they are active.
//
// Their difference is that of the mean in the selection and the mean elsewhere, in standard
// deviations (of both parts together). A unit is active where its value is past the middle
// between the two means.
"use strict";

const UNITS_SHOWN = 8;
const PLACES_SHOWN = 8;
const MOST_COMPARED = 2 ** 22; // numbers, which is what the server sends at a time

class SelectionPanel {
  constructor(state, data) {
    Object.assign(this, { state, data });
    let pause = 0;
    state.on(["selection", "quantity", "layer", "trace"], () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.#compare().catch(showError), 120);
    });
  }

  async #compare() {
    const { trace, selection, layer, quantity } = this.state;
    const key = `${selection} ${layer} ${quantity}`;
    this.key = key;
    byId("selection-units").hidden = byId("places-title").hidden = true;
    byId("places").replaceChildren();
    const obstacle = this.#obstacle();
    if (obstacle) {
      byId("selection-note").textContent = obstacle;
      return;
    }
    const [start, stop] = selection;
    const [inside, totals] = await Promise.all([
      this.data.values(layer, [quantity], start, stop),
      this.data.totals(layer, quantity),
    ]);
    if (this.key !== key || this.state.trace !== trace) return;
    const found = compared(trace, inside, totals, stop - start).slice(0, UNITS_SHOWN);
    const quoted = excerpt(trace, start, Math.min(stop, start + 40)) + (stop - start > 40 ? "…" : "");
    byId("selection-note").replaceChildren(
      `The units of layer ${layer + 1} whose `,
      quantityLabel(trace.cell.quantities[quantity]), " in ", element("q", quoted), " differs most from elsewhere:");
    byId("selection-units").hidden = false;
    byId("selection-units").tBodies[0].replaceChildren(...found.map((unit) => this.#row(unit)));
    await this.#showPlaces(found[0], key);
  }

  // Why there is nothing to compare, if so.
  #obstacle() {
    const { trace, selection } = this.state;
    if (!trace?.done || !selection) return "Select some of the text to find the units that are active there and not elsewhere.";
    const length = selection[1] - selection[0];
    if (trace.length - length < 2) return "All of the text is selected: nothing is left to compare it with.";
    if (length * trace.units > MOST_COMPARED) return "The selection is too long to compare; select less.";
    return "";
  }

  #row(found) {
    const row = element("tr");
    row.dataset.unit = found.unit;
    row.append(
      unitHeader(found.unit, () => this.#showPlaces(found, this.key).catch(showError)),
      element("td", number(found.inside, 2)),
      element("td", number(found.outside, 2)),
      element("td", number(found.difference, 1)));
    return row;
  }

  // Selects a unit, and lists where else it is active.
  async #showPlaces(found, key) {
    const { trace, layer, quantity, selection } = this.state;
    this.state.set({ unit: found.unit });
    const values = await this.data.values(layer, [quantity], 0, trace.length, found.unit);
    if (this.key !== key) return;
    for (const row of byId("selection-units").tBodies[0].rows) row.classList.toggle("selected", Number(row.dataset.unit) === found.unit);
    const places = activePlaces(values, found).filter(([start, stop]) => stop <= selection[0] || start >= selection[1]);
    const title = byId("places-title");
    title.hidden = false;
    title.textContent = places.length
      ? `Unit ${found.unit} is active in ${counted(places.length, "other place")}`
      : `Unit ${found.unit} is active nowhere else`;
    byId("places").replaceChildren(...places.slice(0, PLACES_SHOWN).map(([start, stop]) => this.#place(trace, start, stop)));
  }

  #place(trace, start, stop) {
    const item = element("li");
    item.dataset.start = start;
    item.dataset.stop = stop;
    const button = element("button");
    button.type = "button";
    const end = Math.min(stop, start + 24);
    button.append(excerpt(trace, start - 12, start), element("mark", excerpt(trace, start, end)), excerpt(trace, end, end + 12));
    button.addEventListener("click", () => this.state.set({ cursor: start, hovered: null }));
    item.append(button);
    return item;
  }
}

// Every unit with its two means, those that differ most first.
function compared(trace, inside, totals, length) {
  const { units } = trace;
  const rest = trace.length - length;
  const found = [];
  for (let u = 0; u < units; u++) {
    let [sum, squares] = [0, 0];
    for (let t = 0; t < length; t++) {
      const value = inside[t * units + u];
      sum += value;
      squares += value * value;
    }
    const mean = sum / length;
    const other = (totals[u] - sum) / rest;
    const variance = (totals[units + u] - length * mean * mean - rest * other * other) / trace.length;
    const difference = (mean - other) / Math.sqrt(Math.max(variance, 1e-12));
    found.push({ unit: u, inside: mean, outside: other, difference });
  }
  return found.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference));
}

// [start, stop] of every place where the unit is active, the most active first.
function activePlaces(values, { inside, outside }) {
  const middle = (inside + outside) / 2;
  const sign = Math.sign(inside - outside);
  const activity = (t) => (values[t] - middle) * sign;
  const places = [];
  for (let t = 0; t < values.length; t++) {
    if (activity(t) <= 0) continue;
    const start = t;
    let most = 0;
    for (; t < values.length && activity(t) > 0; t++) most = Math.max(most, activity(t));
    places.push([start, t, most]);
  }
  return places.sort((a, b) => b[2] - a[2]);
}
