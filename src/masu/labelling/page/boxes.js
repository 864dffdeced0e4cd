/** Boxes as numbers: [x1, y1, x2, y2] in pixels of the upright photograph. Pure functions, no browser needed. */

export const SMALLEST = 2; // pixels; below it a drag was a click

const between = (value, low, high) => Math.min(Math.max(value, low), high);

/** The box between two corners in any order, on whole pixels and inside a picture of width × height. */
export function spanned(x1, y1, x2, y2, width, height) {
  const xs = [x1, x2].map((x) => between(Math.round(x), 0, width)).sort((a, b) => a - b);
  const ys = [y1, y2].map((y) => between(Math.round(y), 0, height)).sort((a, b) => a - b);
  return [xs[0], ys[0], xs[1], ys[1]];
}

export const widthOf = (box) => box[2] - box[0];
export const heightOf = (box) => box[3] - box[1];
export const areaOf = (box) => Math.max(0, widthOf(box)) * Math.max(0, heightOf(box));

export const largeEnough = (box) => widthOf(box) >= SMALLEST && heightOf(box) >= SMALLEST;

/** The box moved by (dx, dy); it keeps its size and stops at the picture's edge. */
export function moved(box, dx, dy, width, height) {
  const x = between(dx, Math.min(0, -box[0]), Math.max(0, width - box[2]));
  const y = between(dy, Math.min(0, -box[1]), Math.max(0, height - box[3]));
  return [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
}

/**
 * The box with the sides that `handle` names ("n", "se", …) put through (x, y).
 * Sides that are not named stay exactly where they are; a side pulled over its opposite turns the box inside out.
 */
export function resized(box, handle, x, y, width, height) {
  let [x1, y1, x2, y2] = box;
  const px = between(Math.round(x), 0, width);
  const py = between(Math.round(y), 0, height);
  if (handle.includes("w")) x1 = px;
  if (handle.includes("e")) x2 = px;
  if (handle.includes("n")) y1 = py;
  if (handle.includes("s")) y2 = py;
  const box2 = [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
  return largeEnough(box2) ? box2 : box;
}

/** The box with its right and bottom sides moved by (dx, dy): what Alt and an arrow do. */
export function grown(box, dx, dy, width, height) {
  const x2 = dx ? between(box[2] + dx, box[0] + SMALLEST, width) : box[2];
  const y2 = dy ? between(box[3] + dy, box[1] + SMALLEST, height) : box[3];
  return [box[0], box[1], x2, y2];
}

/** Intersection over union of two boxes, 0 where both are empty. */
export function iou(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  return (w * h) / (areaOf(a) + areaOf(b) - w * h);
}

export const contains = (box, x, y, slack = 0) =>
  x >= box[0] - slack && x <= box[2] + slack && y >= box[1] - slack && y <= box[3] + slack;

/** "120 by 80 at 30, 40": width, height and the upper left corner in whole pixels. */
export function inWords(box) {
  const [x, y, w, h] = [box[0], box[1], widthOf(box), heightOf(box)].map(Math.round);
  return `${w} by ${h} at ${x}, ${y}`;
}
