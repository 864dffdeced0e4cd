/** AP50 against the number of labelled photographs, with the interval of each. */

import { makeSvg } from "./dom.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [260, 134, 30, 8, 22, 22];

/** An SVG of points [{labels, ap50, low, high}], null for fewer than two that were measured. */
export function curveOf(points) {
  const known = points.filter((point) => typeof point.ap50 === "number");
  if (known.length < 2) return null;
  const [first, last] = [known[0], known[known.length - 1]];
  const span = Math.max(1, last.labels - first.labels);
  const x = (labels) => LEFT + ((labels - first.labels) / span) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value) * (HEIGHT - TOP - BOTTOM);
  const path = (list) => list.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");
  const svg = makeSvg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "curve" });
  svg.setAttribute(
    "aria-label",
    `AP50 was ${first.ap50.toFixed(2)} with ${first.labels} photographs and is ${last.ap50.toFixed(2)} with ${last.labels}.`,
  );
  for (const value of [0, 0.5, 1]) {
    svg.append(makeSvg("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    svg.append(text(LEFT - 6, y(value) + 4, "end", String(value)));
  }
  const banded = known.filter((point) => typeof point.low === "number" && typeof point.high === "number");
  const band = [
    ...banded.map((point) => [x(point.labels), y(point.high)]),
    ...banded.reverse().map((point) => [x(point.labels), y(point.low)]),
  ];
  if (band.length) svg.append(makeSvg("polygon", { points: path(band) }));
  svg.append(makeSvg("polyline", { points: path(known.map((point) => [x(point.labels), y(point.ap50)])) }));
  for (const point of known) svg.append(makeSvg("circle", { cx: x(point.labels), cy: y(point.ap50), r: 3 }));
  svg.append(text(0, 11, "start", "AP50"));
  svg.append(text(LEFT, HEIGHT - 6, "start", String(first.labels)));
  svg.append(text(WIDTH - RIGHT, HEIGHT - 6, "end", `${last.labels} photographs`));
  return svg;
}

function text(x, y, anchor, words) {
  const element = makeSvg("text", { x, y, "text-anchor": anchor });
  element.textContent = words;
  return element;
}
