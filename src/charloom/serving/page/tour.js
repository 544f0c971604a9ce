// A guided tour of eight steps: the sentences about France and the bank robbery of the post, and
// then the same in this model. Left and right go through it, Escape ends it.
"use strict";

// The robbery in numbers: an article of three, made by hand as in the tutorial.
const ROBBERY = (() => {
  const before = [1, 0, 1];
  const [f_t, i_t, o_t] = [[0.02, 0.9, 0.99], [0.1, 0.98, 0.05], [0.9, 0.95, 0.1]];
  const g_t = [-0.3, 0.95, 0.6];
  const fC_t = f_t.map((f, n) => f * before[n]);
  const gi_t = i_t.map((i, n) => i * g_t[n]);
  const C_t = fC_t.map((kept, n) => kept + gi_t[n]);
  const h_t = o_t.map((o, n) => o * Math.tanh(C_t[n]));
  const values = { before, f_t, fC_t, i_t, g_t, gi_t, C_t, o_t, h_t };
  return {
    cell: CELLS.lstm,
    values,
    flow: CELLS.lstm.newspaper.flow(values),
    names: ["X1 did it", "Z1 did it", "it was Y1"],
    unit: 0,
    read: "I2",
    readLabel: "x, the new fact",
    dateline: "The robbery, as an article of three numbers · input I2: it was not the gang X1, but Z1",
    headlines: ["H1: Y1 robbed by X1", "H2: Y1 robbed by Z1"],
    told: [
      "Statement C1: a gang named X1 stole money from the cashiers of bank Y1.",
      "X1 is struck out: a gang stole money from the cashiers of bank Y1.",
      "Statement C2: a gang named Z1 stole money from the cashiers of bank Y1.",
      "Statement C2 gets its headline: the output gate lets the gang in, and hardly the bank.",
    ],
  };
})();

const NEAR = "I live in France and I speak ";
const FAR =
  "I worked in India for many years. Now I live in France, in a small house by the sea, and the language of my neighbors is ";
const CORRECTION = "The Fox robbed the bank. No, it was not the Fox, it was the Crow.";

// A step has a title and a text; it reads a text, at a character from its end or at one of its
// words, or tells the robbery; and it says which phase of the newspaper is shown.
const TOUR = [
  {
    title: "Near: the clue stands before the gap",
    text: `“${NEAR}…” What comes next? The clue, France, has only just been read. Below is what this model expects next: it knows the texts that it was trained on, and nothing else of the world.`,
    reads: NEAR,
    phase: 3,
  },
  {
    title: "Far: the clue has to be remembered",
    text: `“${FAR}…” The clue is now far back, and another country is in the way. Who reads one character at a time can fill the gap only with something kept from then. A plain RNN rewrites all that it remembers with every character, and loses the clue; an LSTM has an article that stays as it is unless a gate changes it.`,
    reads: FAR,
    phase: 3,
  },
  {
    title: "The article and the headline",
    text: "You write for a newspaper: a bank has been robbed. The article has the facts (the cell state C), here three numbers: how sure it is that X1 did it, that Z1 did it, that it was bank Y1. The headline above it (the hidden state h) says what matters most.",
    story: { unit: 0 },
    phase: 0,
  },
  {
    title: "The forget gate strikes out",
    text: "A new fact arrives: it was not X1. The article runs through the cell on a wire, and the forget gate f is a switch on this wire. At 1 it is closed and all flows on; at 0 it is open and nothing passes. For X1 it is nearly open: 0.02 × 1 leaves 0.02.",
    story: { unit: 0 },
    phase: 1,
  },
  {
    title: "The input gate writes in",
    text: "The candidate g is all that could be written, useful or not. The input gate i is the switch that lets in what is useful, Z1: 0.98 × 0.95 is added to the article, and statement C1 has become C2.",
    story: { unit: 1 },
    phase: 2,
  },
  {
    title: "The output gate chooses the headline",
    text: "A headline is short. tanh brings the number of the article between −1 and 1, and the output gate o lets through what matters now. The new headline is H2.",
    story: { unit: 1 },
    phase: 3,
  },
  {
    title: "The same in this model",
    text: "Here the numbers are the model’s own: it reads a correction, one character at a time. Nobody set these gates. Each has weights and a bias of its own, found in training, and all read the same two things: the new character and all headlines before. Go on with Next or Play in the newspaper, and choose another unit above the cell.",
    reads: CORRECTION,
    at: "not",
    phase: 0,
  },
  {
    title: "Your turn",
    text: "Type a text and let the model read it. Look for a place that surprised it (strong color), see what it had expected there, and which units changed their article. Further down: the whole text, a map of all units, and text that the model generates.",
    focus: "new-text",
  },
];

class Tour {
  step = null;

  constructor(state, read) {
    Object.assign(this, { state, read });
    byId("start-tour").textContent = `Take the tour: ${TOUR.length} steps`;
    byId("start-tour").addEventListener("click", () => this.go(0));
    byId("tour-back").addEventListener("click", () => this.go(this.step - 1));
    byId("tour-next").addEventListener("click", () => this.go(this.step + 1));
    byId("tour-end").addEventListener("click", () => this.end());
    byId("tour").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const act = {
        ArrowRight: () => this.step < TOUR.length - 1 && this.go(this.step + 1),
        ArrowLeft: () => this.step > 0 && this.go(this.step - 1),
        Escape: () => this.end(),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  async go(step) {
    const { title, text, story, phase, reads, at, focus } = TOUR[step];
    const { state } = this;
    this.step = step;
    byId("tour").hidden = false;
    document.body.classList.toggle("touring", step < TOUR.length - 1); // where there is little room
    byId("tour").dataset.step = step + 1;
    byId("tour-count").replaceChildren(`Step ${step + 1} of ${TOUR.length}`, element("span", " · ← and → on the keyboard, Esc to end", "keys"));
    byId("tour-title").textContent = title;
    byId("tour-text").textContent = text + this.#otherCell(story);
    byId("tour-back").disabled = step === 0;
    byId("tour-next").disabled = step === TOUR.length - 1;
    byId("tour").focus();
    state.set({ story: story ? { ...ROBBERY, ...story } : null, phase: phase ?? state.phase });
    if (reads) {
      if (state.given !== reads) await this.read(reads);
      if (this.step !== step || state.given !== reads) return;
      state.set({ cursor: at ? reads.indexOf(at) : reads.length - 1, phase, hovered: null });
    }
    if (focus) byId(focus).scrollIntoView({ block: "nearest" });
  }

  // The story is that of an LSTM; another cell has other gates.
  #otherCell(story) {
    const { trace } = this.state;
    return story && trace && trace.cell !== CELLS.lstm ? " (The newspaper of the story is an LSTM; this model has another cell, which the next steps show.)" : "";
  }

  end() {
    this.step = null;
    byId("tour").hidden = true;
    document.body.classList.remove("touring");
    this.state.set({ story: null });
    this.state.announce(["story"]);
    byId("start-tour").focus();
  }
}
