// The picture of the cell on the page, in a layout that fits; it is an SVG of the page itself.
"use strict";

const NARROW = 520; // pixels

class CellPanel {
  constructor(colors) {
    this.colors = colors;
    this.frame = byId("cell");
    pictures.add({
      id: "cell-tools",
      name: "cell",
      size: () => this.#size,
      paint: (pen) => this.#picture(pen).draw(),
    });
  }

  get layout() {
    return this.frame.clientWidth < NARROW ? "narrow" : "wide";
  }

  get #size() {
    return cellLayout(this.layout, this.cell).size;
  }

  draw(cell, given) {
    Object.assign(this, { cell, given });
    const pen = new SvgPen(...this.#size);
    const picture = this.#picture(pen);
    picture.draw();
    pen.root.setAttribute("role", "img");
    pen.root.setAttribute("aria-label", picture.description);
    this.frame.replaceChildren(pen.root);
  }

  #picture(pen) {
    return new CellPicture(pen, this.colors, this.layout, this.cell, this.given);
  }
}
