// The characters around the current one, in one line: where the newspaper is in the text.
"use strict";

class Strip {
  constructor(state, colors) {
    Object.assign(this, { state, colors });
    this.frame = byId("strip");
    const draw = oncePerFrame(() => this.draw());
    state.on(["cursor", "trace", "hovered"], draw);
    new ResizeObserver(draw).observe(this.frame);
    this.frame.addEventListener("click", (event) => {
      const box = event.target.closest(".tile");
      if (box) state.set({ cursor: Number(box.dataset.at), hovered: null, story: null });
    });
    this.frame.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const { trace, cursor } = state;
      if (!by || !trace || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      state.set({ cursor: Math.min(Math.max(cursor + by, 0), trace.length - 1), hovered: null, story: null });
    });
  }

  draw() {
    const { trace, cursor } = this.state;
    if (!trace) return;
    const count = Math.max(8, Math.floor(this.frame.clientWidth / parseFloat(getComputedStyle(this.frame).fontSize)));
    const first = Math.max(0, Math.min(cursor - Math.floor(count / 2), trace.length - count));
    const boxes = [];
    for (let t = first; t < Math.min(first + count, trace.length); t++) {
      const box = element("span", glyph(trace.characters[t]), t === cursor ? "tile now" : "tile");
      box.dataset.at = t;
      if (t < trace.readCount) paintSurprisal(box, trace.nats[t], this.colors);
      boxes.push(box);
    }
    this.frame.replaceChildren(...boxes);
  }
}
