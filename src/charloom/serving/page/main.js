// Puts the page together: the parts, the desk that says what is looked at, the theme.
"use strict";

const stored = byId("data");
const source = stored ? new FileSource(JSON.parse(stored.textContent)) : new ServerSource();
const view = new View();
const colours = new Colours();
const text = new TextView(view, source, colours);
const weave = new Weave(view, source, colours);
const newspaper = new Newspaper(view, source, colours);
new Weighed(view);
new Phrase(view, source);

const FIRST_LOOK = 24; // a character with something before it

async function readText(given) {
  complain(null);
  let known = null;
  try {
    await source.read(given, (passage) => {
      if (passage !== known) begin((known = passage));
      byId("progress").textContent = passage.done ? "" : `${passage.read.toLocaleString("en")} of ${passage.length.toLocaleString("en")} characters read`;
      if (passage.done) finished(passage);
      else text.repaint(0, passage.read);
    });
  } catch (error) {
    complain(error);
    byId("progress").textContent = "";
  }
}

function begin(passage) {
  makeDesk(passage);
  text.forget();
  const quantity = passage.quantities.includes(view.quantity) ? view.quantity : "h_t";
  const layer = view.passage ? Math.min(view.layer, passage.layers - 1) : passage.layers - 1;
  const cursor = Math.min(FIRST_LOOK, passage.length - 1);
  view.set({ passage, cursor, pointed: null, selection: null, quantity, layer });
  text.layOut();
}

function finished(passage) {
  const total = passage.nats.reduce((sum, nats) => sum + nats, 0);
  byId("foot").textContent = `${passage.length.toLocaleString("en")} characters, ${(total / Math.LN2 / passage.length).toFixed(2)} bits each.`;
  if (passage.cut) byId("foot").textContent += " They are the beginning of a longer text, as much as one file holds.";
  byId("given").value = passage.cells.join("");
  weave.forget();
  text.recolour();
  view.dispatchEvent(new CustomEvent("change", { detail: new Set(["cursor", "passage"]) }));
  document.body.dataset.ready = passage.length;
}

function makeDesk(passage) {
  byId("model").textContent = passage.model.replace(/^Model\(|\)$/g, "");
  const layers = Array.from({ length: passage.layers }, (_, n) => new Option(String(n + 1), String(n)));
  byId("layer").replaceChildren(...layers);
  byId("unit").max = passage.units - 1;
  const choices = passage.quantities.map((quantity) => {
    const label = element("label");
    const input = element("input");
    Object.assign(input, { type: "radio", name: "quantity", value: quantity });
    input.addEventListener("change", () => view.set({ quantity }));
    label.append(input, element("span", quantity.replace("_t", "")));
    label.title = MEANINGS[quantity];
    return label;
  });
  byId("quantities").replaceChildren(byId("quantities").querySelector("legend"), ...choices);
}

const MEANINGS = {
  f_t: "forget gate: the share of the article that is kept",
  fC_t: "what is kept of the article: f × C of the character before",
  i_t: "input gate: how much of the news is written in",
  g_t: "the news: what could be written in",
  gi_t: "what is written in: i × g",
  C_t: "cell state, the article: fC + gi",
  o_t: "output gate: how much of the article is shown",
  h_t: "hidden state, the headline: o × tanh C",
};

function showDesk() {
  byId("layer").value = String(view.layer);
  byId("unit").value = String(view.unit);
  for (const input of document.querySelectorAll("input[name=quantity]")) input.checked = input.value === view.quantity;
  for (const input of document.querySelectorAll("input[name=shade]")) input.checked = input.value === view.shade;
  const { quantity, passage } = view;
  const [low, high] = endsOf(quantity);
  byId("map-note").textContent = `Curves: the unit's gates f, i, o above, its states g, C, h below, drawn as the lines over the numbers. Map: ${quantity.replace("_t", "")}, ${MEANINGS[quantity]}. From ${low} to ${high} in 256 steps. ${passage ? exactness(passage) : ""}`;
}

// What the numbers are worth: a file of a long text has them rounded.
function exactness({ digits, off }) {
  if (digits === 3) return "The numbers above are exact.";
  const most = Object.entries(off).map(([name, far]) => `${name.replace("_t", "")} ${far.toPrecision(2)}`);
  return `This file holds numbers in 256 steps; they are off by at most ${most.join(", ")}.`;
}

byId("layer").addEventListener("change", (event) => view.set({ layer: Number(event.target.value) }));
byId("unit").addEventListener("input", (event) => {
  const unit = Number(event.target.value);
  if (Number.isInteger(unit) && unit >= 0 && unit < (view.passage?.units ?? 0)) view.set({ unit });
});
for (const input of document.querySelectorAll("input[name=shade]")) {
  input.addEventListener("change", () => view.set({ shade: input.value }));
}
view.on(["layer", "unit", "quantity", "shade", "passage"], showDesk);
view.on(["cursor"], () => view.passage && text.height && text.show(view.cursor));

// The theme: as the system has it, or as chosen; remembered where that is allowed.
const THEMES = { "": "as the system", light: "light", dark: "dark" };

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = `Theme: ${THEMES[theme]}`;
  repaintAll();
}

function repaintAll() {
  colours.refresh();
  text.recolour();
  weave.recolour();
  newspaper.draw();
}

byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const theme = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % 3];
  try {
    localStorage.setItem("charloom-theme", theme);
  } catch {
    // a page that may not remember is still a page
  }
  setTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaintAll);
try {
  setTheme(localStorage.getItem("charloom-theme") ?? "");
} catch {
  setTheme("");
}

if (ServerSource.live && source instanceof ServerSource) {
  new Writing(view, source, colours, readText);
  byId("other").hidden = false;
  byId("read").addEventListener("submit", (event) => {
    event.preventDefault();
    readText(byId("given").value);
  });
}
source.start().then(({ text: first }) => readText(first)).catch(complain);
