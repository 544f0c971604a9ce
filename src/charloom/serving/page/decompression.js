// An archive of `charloom compress` that is chosen, or dropped anywhere on the page, comes back as
// the file that was compressed; the worker reads it (worker/archive.js).
"use strict";

class DecompressionPanel {
  constructor(worker) {
    Object.assign(this, { worker, opened: 0 });
    byId("archive").addEventListener("change", ({ target: { files: [file] } }) => file && this.#open(file));
    addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
    addEventListener("drop", (event) => {
      const [file] = event.dataTransfer.files;
      if (!file) return;
      event.preventDefault();
      this.#open(file);
    });
  }

  async #open(file) {
    const number = ++this.opened;
    const link = byId("archive-file");
    URL.revokeObjectURL(link.href);
    link.hidden = true;
    this.#tell(`${file.name}: …`);
    byId("archive-status").scrollIntoView({ block: "nearest" });
    try {
      const length = await this.worker.ask("startDecompressing", await file.arrayBuffer());
      for (let at = 0; at < length;) {
        at = await this.worker.ask("decompress");
        if (number !== this.opened) return;
        this.#tell(`${file.name}: ${at.toLocaleString("en")} of ${counted(length, "character")}`);
      }
      const content = await this.worker.ask("decompressed");
      if (number !== this.opened) return;
      const name = file.name.replace(/\.loom$/, "") || "decompressed";
      this.#tell(`${file.name}: ${counted(content.length, "byte")}, those that were compressed.`);
      link.href = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
      link.download = link.textContent = name === file.name ? `${name}.txt` : name;
      link.hidden = false;
    } catch (error) {
      if (number === this.opened) this.#tell(`${file.name}: ${error.message}`);
    }
  }

  #tell(text) {
    byId("archive-status").textContent = text;
  }
}
