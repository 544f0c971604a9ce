// Units that are active in a phrase and not elsewhere, and where else in the text they are.
//
// "Apart" is the difference between the mean in the phrase and the mean elsewhere, in
// standard deviations (of both parts together). A unit is active where its value is past the
// middle between the two means.
"use strict";

const FOUND = 8;
const PLACES = 8;

class Phrase {
  constructor(view, source) {
    Object.assign(this, { view, source });
    let waiting = 0;
    view.on(["selection", "quantity", "layer", "passage"], () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.#search().catch(complain), 120);
    });
  }

  async #search() {
    const { passage, selection, layer, quantity } = this.view;
    const key = `${selection} ${layer} ${quantity}`;
    this.key = key;
    byId("found").hidden = byId("places-title").hidden = true;
    byId("places").replaceChildren();
    const note = byId("phrase-note");
    if (!passage?.done || !selection) {
      note.textContent = "Select a phrase in the text to find the units that are active in it and not elsewhere.";
      return;
    }
    const [from, to] = selection;
    const outside = passage.length - (to - from);
    if (outside < 2) return void (note.textContent = "The phrase is the whole text: there is no elsewhere to compare it with.");
    if ((to - from) * passage.units > 2 ** 22) return void (note.textContent = "This phrase is too long to compare; select a shorter one.");
    const [inside, totals] = await Promise.all([
      this.source.values(layer, [quantity], from, to),
      this.source.totals(layer, quantity),
    ]);
    if (this.key !== key || this.view.passage !== passage) return;
    this.units = compared(passage, inside, totals, to - from).slice(0, FOUND);
    note.replaceChildren(
      "In ", element("q", around(passage, from, Math.min(to, from + 40)) + (to - from > 40 ? "…" : "")),
      `, of the ${passage.units} units of layer ${layer + 1}, by ${quantity.replace("_t", "")}:`);
    byId("found").hidden = false;
    byId("found").tBodies[0].replaceChildren(...this.units.map((found) => this.#row(found)));
    await this.#elsewhere(this.units[0], key);
  }

  #row(found) {
    const row = element("tr");
    row.dataset.unit = found.unit;
    const head = element("th");
    head.scope = "row";
    const pick = element("button", String(found.unit));
    pick.type = "button";
    pick.addEventListener("click", () => this.#elsewhere(found, this.key).catch(complain));
    head.append(pick);
    row.append(head, ...[found.inside, found.outside].map((mean) => element("td", number(mean, 2))), element("td", number(found.apart, 1)));
    return row;
  }

  async #elsewhere(found, key) {
    const { passage, layer, quantity, selection } = this.view;
    this.view.set({ unit: found.unit });
    const values = await this.source.values(layer, [quantity], 0, passage.length, found.unit);
    if (this.key !== key) return;
    for (const row of byId("found").tBodies[0].rows) row.classList.toggle("chosen", Number(row.dataset.unit) === found.unit);
    const runs = activeRuns(values, found).filter(([start, stop]) => stop <= selection[0] || start >= selection[1]);
    const title = byId("places-title");
    title.hidden = false;
    title.textContent = runs.length
      ? `Unit ${found.unit} is active in ${runs.length} other ${runs.length === 1 ? "place" : "places"}`
      : `Unit ${found.unit} is active nowhere else`;
    byId("places").replaceChildren(...runs.slice(0, PLACES).map(([start, stop]) => this.#place(passage, start, stop)));
  }

  #place(passage, start, stop) {
    const item = element("li");
    const button = element("button");
    button.type = "button";
    const end = Math.min(stop, start + 24);
    button.append(around(passage, start - 12, start), element("mark", around(passage, start, end)), around(passage, end, end + 12));
    button.addEventListener("click", () => this.view.set({ cursor: start, pointed: null }));
    item.dataset.from = start;
    item.dataset.to = stop;
    item.append(button);
    return item;
  }
}

// Every unit with its two means, the furthest apart first.
function compared(passage, inside, totals, length) {
  const { units } = passage;
  const rest = passage.length - length;
  const result = [];
  for (let u = 0; u < units; u++) {
    let [sum, squares] = [0, 0];
    for (let t = 0; t < length; t++) {
      const value = inside[t * units + u];
      sum += value;
      squares += value * value;
    }
    const allSquares = totals[units + u];
    const mean = sum / length;
    const other = (totals[u] - sum) / rest;
    const spread = (squares - length * mean * mean + (allSquares - squares) - rest * other * other) / passage.length;
    const apart = (mean - other) / Math.sqrt(Math.max(spread, 1e-12));
    result.push({ unit: u, inside: mean, outside: other, apart });
  }
  return result.sort((a, b) => Math.abs(b.apart) - Math.abs(a.apart));
}

// [start, stop] of every stretch where the unit is active, the strongest first.
function activeRuns(values, { inside, outside }) {
  const middle = (inside + outside) / 2;
  const sign = Math.sign(inside - outside);
  const strength = (t) => (values[t] - middle) * sign;
  const runs = [];
  for (let t = 0; t < values.length; t++) {
    if (strength(t) <= 0) continue;
    const start = t;
    let most = 0;
    for (; t < values.length && strength(t) > 0; t++) most = Math.max(most, strength(t));
    runs.push([start, t, most]);
  }
  return runs.sort((a, b) => b[2] - a[2]);
}
