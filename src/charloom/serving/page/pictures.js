// Saving pictures: each as PNG, twice as fine as on the screen, or as SVG, by the same drawing.
"use strict";

const FINENESS = 2; // pixels of a PNG for one of the page

// A picture is {id, name, size, paint}: the element that its buttons are put into, its name,
// its [width, height], and a function that draws it with a pen (pens.js).
const pictures = {
  all: new Map(),

  add(picture) {
    this.all.set(picture.name, picture);
    for (const format of ["PNG", "SVG"]) {
      const button = element("button", format);
      button.type = "button";
      button.title = `Save the picture as ${format}`;
      button.setAttribute("aria-label", `Save the ${picture.name.replaceAll("-", " ")} as ${format}`);
      button.addEventListener("click", () => this.save(picture, format).catch(showError));
      byId(picture.id).append(button);
    }
  },

  async save(picture, format) {
    const blob = format === "SVG" ? this.asSvg(picture) : await this.asPng(picture);
    const link = element("a");
    link.href = URL.createObjectURL(blob);
    link.download = `charloom-${picture.name}.${format.toLowerCase()}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  },

  asSvg({ size, paint }) {
    const pen = new SvgPen(...size(), { forSaving: true });
    paint(pen);
    return new Blob([new XMLSerializer().serializeToString(pen.root)], { type: "image/svg+xml" });
  },

  asPng({ size, paint }) {
    const [width, height] = size();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.round(width * FINENESS), Math.round(height * FINENESS)];
    const pen = canvas.getContext("2d");
    pen.scale(FINENESS, FINENESS);
    paint(pen);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the browser could not make the picture"))), "image/png");
    });
  },
};
