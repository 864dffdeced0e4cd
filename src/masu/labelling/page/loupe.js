/** A magnifying glass in the corner that is farthest from the pointer. */

import { make } from "./dom.js";
import { toPicture } from "./viewport.js";

const SIZE = 150; // screen pixels
const TIMES = 4; // larger than on the screen

export class Loupe {
  constructor() {
    this.element = make("canvas", { class: "loupe", width: SIZE, height: SIZE, hidden: true });
    this.element.setAttribute("aria-hidden", "true");
    this.always = false;
  }

  /** What is under the pointer of a Canvas; null hides the loupe. */
  show(canvas) {
    this.element.hidden = !canvas;
    if (!canvas) return;
    const { view, image, sheet, pointer } = canvas;
    const [x, y] = toPicture(view, ...pointer);
    const field = SIZE / view.scale / TIMES; // pixels of the photograph
    const dense = image.naturalWidth / sheet.width; // the server may send fewer pixels than the photograph has
    const paper = this.element.getContext("2d");
    paper.imageSmoothingEnabled = view.scale * TIMES < 4;
    paper.fillStyle = "#222";
    paper.fillRect(0, 0, SIZE, SIZE);
    const [left, top] = [(x - field / 2) * dense, (y - field / 2) * dense];
    paper.drawImage(image, left, top, field * dense, field * dense, 0, 0, SIZE, SIZE);
    const box = canvas.preview?.box;
    if (box) {
      const k = SIZE / field;
      paper.strokeStyle = "#fff";
      paper.strokeRect((box[0] - x) * k + SIZE / 2, (box[1] - y) * k + SIZE / 2, (box[2] - box[0]) * k, (box[3] - box[1]) * k);
    }
    for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
      paper.strokeStyle = colour;
      paper.lineWidth = width;
      paper.beginPath();
      paper.moveTo(SIZE / 2, SIZE / 2 - 14);
      paper.lineTo(SIZE / 2, SIZE / 2 + 14);
      paper.moveTo(SIZE / 2 - 14, SIZE / 2);
      paper.lineTo(SIZE / 2 + 14, SIZE / 2);
      paper.stroke();
    }
    const right = pointer[0] < canvas.across / 2;
    const low = pointer[1] < canvas.deep / 2;
    this.element.style.left = right ? `${canvas.across - SIZE - 10}px` : "10px";
    this.element.style.top = low ? `${canvas.deep - SIZE - 10}px` : "10px";
  }
}
