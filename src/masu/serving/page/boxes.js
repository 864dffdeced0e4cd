// Boxes over a picture, as SVG in the picture's own pixels; letters keep their size on the screen.

import { colourOf } from "./colours.js";

const SVG = "http://www.w3.org/2000/svg";
const LETTERS = 13; // pixels of the screen

function made(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export class Boxes {
  constructor(svg) {
    this.svg = svg;
    this.shown = [];
    this.followed = null;
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  show(size, detections) {
    this.size = size;
    this.shown = detections;
    this.draw();
  }

  follow(index) {
    this.followed = index;
    this.svg.querySelectorAll("g").forEach((group) => {
      group.classList.toggle("followed", Number(group.dataset.index) === index);
    });
  }

  draw() {
    if (!this.size) return;
    const { width, height } = this.size;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const scale = width / Math.max(this.svg.clientWidth, 1);
    const groups = this.shown.map((one, index) => this.group(one, index, scale));
    this.svg.replaceChildren(...groups.reverse()); // the best score lies on top
    this.follow(this.followed);
    this.svg.setAttribute("aria-label", summary(this.shown));
  }

  group(one, index, scale) {
    const [x1, y1, x2, y2] = one.box;
    const frame = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
    const name = `${one.name} ${one.score.toFixed(2)}`;
    const high = (LETTERS + 5) * scale;
    const wide = Math.min((name.length * 0.6 * LETTERS + 8) * scale, this.size.width);
    const left = Math.max(0, Math.min(x1, this.size.width - wide));
    const top = y1 >= high ? y1 - high : y1;
    const text = made("text", {
      x: left + 4 * scale,
      y: top + high - 5 * scale,
      "font-size": LETTERS * scale,
    });
    text.textContent = name;
    const group = made(
      "g",
      { "data-index": index },
      made("rect", { ...frame, class: "casing" }),
      made("rect", { ...frame, class: "line", stroke: colourOf(one.label) }),
    );
    const ground = made("rect", { x: left, y: top, width: wide, height: high, class: "ground" });
    ground.style.fill = colourOf(one.label);
    group.append(ground, text);
    return group;
  }
}

export function summary(detections) {
  if (!detections.length) return "Nothing found";
  const counts = new Map();
  for (const one of detections) counts.set(one.name, (counts.get(one.name) ?? 0) + 1);
  const many = detections.length === 1 ? "1 object" : `${detections.length} objects`;
  return `${many}: ${[...counts].map(([name, count]) => `${count} ${name}`).join(", ")}`;
}
