// Elements of the page: found, made and drawn.
"use strict";

const byId = (id) => document.getElementById(id);

// An element with text in it; never HTML.
function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A header cell with a button that selects a unit.
function unitHeader(unit, select) {
  const header = element("th");
  header.scope = "row";
  const button = element("button", String(unit));
  button.type = "button";
  button.addEventListener("click", select);
  header.append(button);
  return header;
}

// A function that runs `act` once before the next frame, however often it is called.
function oncePerFrame(act) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      act();
    });
  };
}

// Shows an error above the page, or with null removes it; a request that was stopped is none.
function showError(error) {
  if (error?.name === "AbortError") return;
  const shown = byId("error");
  shown.hidden = !error;
  shown.textContent = error ? String(error.message ?? error) : "";
}

function drawLine(pen, x, y, length) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + length, y);
  pen.stroke();
}

// A rectangle that is seen on any color: a line on a wider one.
function drawFrame(pen, outer, inner, ...rectangle) {
  for (const [color, width] of [[outer, 4], [inner, 2]]) {
    pen.strokeStyle = color;
    pen.lineWidth = width;
    pen.strokeRect(...rectangle);
  }
}

// Fits a canvas to a size in CSS pixels; what is drawn on it is measured in them, too.
function sizedPen(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return pen;
}
