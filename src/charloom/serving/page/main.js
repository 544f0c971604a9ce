// Puts the page together: the data, the panels, the controls and the theme.
"use strict";

const pageWorker = new PageWorker();
const data = new Source(byId("first") ? new LocalData(pageWorker, JSON.parse(byId("first").textContent)) : new ServerData());
const state = new State();
const colors = new Colors();
const text = new TextPanel(state, data, colors);
const heatmap = new HeatmapPanel(state, data, colors);
const newspaper = new NewspaperPanel(state, data, colors);
const strip = new Strip(state, colors);
const units = new NamedUnits(state, data);
const tour = new Tour(state, readText);
const link = new Permalink(state, newspaper, tour);
new AlternativesPanel(state, colors);
new SelectionPanel(state, data);
const generation = new GenerationPanel(state, data, colors, readText);
const training = new TrainingPanel(data, pageWorker, colors, readText);
new DecompressionPanel(pageWorker);

const FIRST_CURSOR = 24; // a character with some text before it
let first = {}; // what the page opens with: serving/first_view.py

async function readText(given) {
  showError(null);
  try {
    await data.read(given, (trace) => {
      if (trace !== state.trace) begin(trace, given);
      byId("progress").textContent = trace.done ? "" : `${trace.readCount.toLocaleString("en")} of ${counted(trace.length, "character")} read`;
      if (trace.done) finish(trace);
      else text.repaint(0, trace.readCount);
    });
    if (units.source && units.source !== data.source) await units.open(() => false); // of another model
  } catch (error) {
    showError(error);
    byId("progress").textContent = "";
  }
}

function begin(trace, given) {
  makeControls(trace);
  text.clear();
  const quantity = trace.quantities.includes(state.quantity) ? state.quantity : "h_t";
  const layer = state.trace ? Math.min(state.layer, trace.layers - 1) : trace.layers - 1;
  const unit = Math.min(state.unit, trace.units - 1);
  const cursor = Math.min(FIRST_CURSOR, trace.length - 1);
  state.set({ trace, given, cursor, unit, phase: 0, hovered: null, selection: null, story: null, quantity, layer });
  text.layout();
}

function finish(trace) {
  const nats = trace.nats.reduce((sum, value) => sum + value, 0);
  byId("total").textContent = `${counted(trace.length, "character")}; mean surprisal ${inBits(nats / trace.length).toFixed(2)} bits.`;
  const isFirst = state.given === first.text;
  byId("origin").hidden = !(isFirst && first.generated);
  if (isFirst && first.cut) byId("total").textContent += " This is the beginning of a longer text, as much as is shown at a time.";
  byId("new-text").value = state.given;
  heatmap.clear();
  text.recolor();
  state.announce(["cursor", "trace"]);
  document.body.dataset.ready = trace.length;
}

function makeControls(trace) {
  byId("model").textContent = trace.model.replace(/^Model\(|\)$/g, "");
  byId("layer").replaceChildren(...Array.from({ length: trace.layers }, (_, n) => new Option(String(n + 1), String(n))));
  byId("unit").max = trace.units - 1;
  const choices = trace.quantities.map((name) => {
    const quantity = trace.cell.quantities[name];
    const label = element("label");
    const input = element("input");
    Object.assign(input, { type: "radio", name: "quantity", value: name });
    input.addEventListener("change", () => state.set({ quantity: name }));
    label.append(input, quantityLabel(quantity, { short: true }));
    label.title = quantity.meaning;
    return label;
  });
  byId("quantities").replaceChildren(byId("quantities").querySelector("legend"), ...choices);
}

function showControls() {
  byId("layer").value = String(state.layer);
  byId("unit").value = String(state.unit);
  for (const input of document.querySelectorAll("input[name=quantity]")) input.checked = input.value === state.quantity;
  for (const input of document.querySelectorAll("input[name=color-by]")) input.checked = input.value === state.colorBy;
  if (!state.trace) return;
  byId("color-help").replaceChildren(...colorHelp(state));
  byId("map-note").replaceChildren(...mapNote(state.trace, state.quantity));
}

function colorHelp({ colorBy, trace, quantity, unit, layer }) {
  if (colorBy === "surprisal") return ["The more surprising a character was to the model, the stronger its color."];
  return ["The color of a character is the ", quantityLabel(trace.cell.quantities[quantity]), ` of unit ${unit} in layer ${layer + 1}.`];
}

// What the curves and the map show.
function mapNote(trace, quantity) {
  const { scale, meaning } = trace.cell.quantities[quantity];
  const unbounded = Object.values(trace.cell.quantities).filter((other) => other.scale === UNBOUNDED);
  return [
    "Curves: the values of the selected unit, each with the line that is drawn over its number below. ",
    "Map: a row for each unit, colored by its ",
    quantityLabel(trace.cell.quantities[quantity]),
    ` (${meaning}), from ${scale.low} to ${scale.high}. `,
    unbounded.length ? `Values x without bounds (${unbounded.map(({ symbol }) => symbol).join(", ")}) are drawn as x / (1 + |x|). ` : "",
  ];
}

byId("layer").addEventListener("change", (event) => state.set({ layer: Number(event.target.value) }));
byId("unit").addEventListener("input", (event) => {
  const unit = Number(event.target.value);
  if (Number.isInteger(unit) && unit >= 0 && unit < (state.trace?.units ?? 0)) state.set({ unit });
});
for (const input of document.querySelectorAll("input[name=color-by]")) {
  input.addEventListener("change", () => state.set({ colorBy: input.value }));
}
state.on(["layer", "unit", "quantity", "colorBy", "trace"], showControls);
state.on(["cursor"], () => state.trace && text.height && text.show(state.cursor));

// The theme: the system's or the chosen one, which is remembered where the browser allows it.
const THEMES = ["", "light", "dark"];

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = `Theme: ${theme || "system"}`;
  redrawAll();
}

function redrawAll() {
  colors.refresh();
  text.recolor();
  heatmap.recolor();
  newspaper.draw();
  strip.draw();
  generation.recolor();
  training.recolor();
}

byId("theme").addEventListener("click", () => {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "") + 1) % 3];
  try {
    localStorage.setItem("charloom-theme", theme);
  } catch {
    // the theme holds until the page is closed
  }
  setTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
try {
  setTheme(localStorage.getItem("charloom-theme") ?? "");
} catch {
  setTheme("");
}

// On paper the page is light, and has all of a text that is not too long.
let screenTheme = "";
addEventListener("beforeprint", () => {
  screenTheme = document.documentElement.dataset.theme ?? "";
  setTheme("light");
  text.fitToPaper(true);
});
addEventListener("afterprint", () => {
  setTheme(screenTheme);
  text.fitToPaper(false);
});

byId("read-form").addEventListener("submit", (event) => {
  event.preventDefault();
  readText(byId("new-text").value);
});

// The page as it opens: a text, the place in it that a link names, a unit that has a name.
async function open() {
  first = await data.start();
  const { opened } = link;
  showOnTop(first.open_on);
  showOnTop(opened.open);
  await readText(opened.text ?? first.text);
  if (!state.trace?.done) return;
  link.apply(opened);
  await units.open(() => opened.unit !== undefined || state.unit !== 0);
  if (opened.tour) await openTour(opened.tour);
  document.body.dataset.opened = ""; // nothing changes by itself from here on
}

async function openTour(given) {
  if (/^[1-8]$/.test(given)) await tour.go(Number(given) - 1);
}

function showOnTop(given) {
  if (["newspaper", "generate"].includes(given)) state.set({ openOn: given });
}

// The address may have been written anew in the meantime, as Permalink does after each change.
addEventListener("hashchange", async ({ newURL }) => {
  const { open: onTop, text: linked, tour: step, ...place } = Permalink.parse(new URL(newURL).hash);
  showOnTop(onTop);
  if (linked !== undefined && linked !== state.given) await readText(linked);
  if (state.trace?.done) link.apply(place);
  if (step) await openTour(step);
});
open().catch(showError);
