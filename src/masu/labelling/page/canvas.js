/**
 * The picture with its boxes, and what a mouse, a finger or a pen does to them. Boxes are drawn over the picture in
 * screen pixels, so their lines are sharp at any zoom.
 */

import { areaOf, contains, heightOf, largeEnough, moved, resized, spanned, widthOf } from "./boxes.js";
import { make, makeSvg } from "./dom.js";
import { shownItems } from "./labels.js";
import { Loupe } from "./loupe.js";
import { fitted, kept, panned, revealing, toPicture, toScreen, zoomed } from "./viewport.js";

const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const CLICK = 4; // screen pixels that a pointer may shake
const ROOM_FOR_NAME = 46; // screen pixels of width
const ROOM_FOR_NUMBER = 24; // of width and height; on a smaller box it would hide the object

export class Canvas {
  /**
   * colour(name) → css colour, number(name) → the class's number for small boxes; tell has
   *   select(key|null), draw(box), place(key, box), armed(boolean), editable() → boolean
   */
  constructor(element, { colour, number, tell }) {
    Object.assign(this, { element, colour, number, tell });
    this.picture = make("div", { class: "picture" });
    this.svg = makeSvg("svg", { class: "boxes", "aria-hidden": "true" });
    this.svg.append(hatch());
    this.shapes = makeSvg("g");
    this.guides = makeSvg("g", { class: "guides" });
    this.svg.append(this.shapes, this.guides);
    this.names = make("div", { class: "moving" });
    const field = make("div", { class: "names", "aria-hidden": "true" }, this.names);
    this.elements = new Map(); // key → {sign, shape, chip}, drawn again only where the sign is another one
    this.loupe = new Loupe();
    element.append(this.picture, this.svg, field, this.loupe.element);
    this.view = { scale: 1, x: 0, y: 0 };
    this.sheet = null;
    this.above = null;
    this.doubts = [];
    this.armed = false;
    this.panning = false;
    this.corner = null; // the first corner of a box drawn by two clicks
    this.pointers = new Map();
    this.gesture = null;
    this.preview = null;
    this.pointer = null;
    this.frame = 0;
    this.wholeInView = true;
    for (const [name, act] of [
      ["pointerdown", this.down],
      ["pointermove", this.move],
      ["pointerup", this.up],
      ["pointercancel", this.cancel],
      ["pointerleave", this.leave],
    ])
      element.addEventListener(name, (event) => act.call(this, event));
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(() => this.refit()).observe(element);
  }

  get across() {
    return this.element.clientWidth;
  }

  get deep() {
    return this.element.clientHeight;
  }

  /** Another photograph: its pixels, its size, and the whole of it in view. */
  open(image, sheet, doubts) {
    this.stop();
    image.style.width = `${sheet.width}px`;
    image.style.height = `${sheet.height}px`;
    this.picture.replaceChildren(image);
    this.image = image;
    this.doubts = doubts;
    this.sheet = sheet;
    this.corner = null;
    this.fit();
    this.draw();
  }

  /** The same photograph with other boxes. */
  update(sheet, above, { reveal = false } = {}) {
    this.sheet = sheet;
    this.above = above;
    const item = reveal && shownItems(sheet, above).find((other) => other.key === sheet.selected);
    if (item) this.look(revealing(this.view, item.box, this.across, this.deep));
    this.redraw();
  }

  fit() {
    if (!this.sheet) return;
    this.view = fitted(this.sheet.width, this.sheet.height, this.across, this.deep);
    this.wholeInView = true;
    this.redraw();
  }

  refit() {
    if (this.wholeInView) this.fit();
    else this.look(this.view);
  }

  zoom(factor, sx = this.across / 2, sy = this.deep / 2) {
    if (!this.sheet) return;
    const whole = fitted(this.sheet.width, this.sheet.height, this.across, this.deep);
    this.look(zoomed(this.view, factor, sx, sy, whole.scale * 0.5));
  }

  look(view) {
    if (!this.sheet) return;
    if (view !== this.view) this.wholeInView = false;
    this.view = kept(view, this.sheet.width, this.sheet.height, this.across, this.deep);
    this.redraw();
  }

  /** The next drag draws a box, wherever it starts. */
  arm(on) {
    if (on === this.armed) return;
    this.armed = on;
    this.corner = null;
    this.element.classList.toggle("armed", on);
    this.tell.armed(on);
    this.redraw();
  }

  /** The next drags move the picture (the space bar is down). */
  pan(on) {
    this.panning = on;
    this.element.classList.toggle("panning", on);
  }

  /** A box of a fifth of what is in view, in its middle: where a box drawn by keyboard begins. */
  middle() {
    const [x, y] = toPicture(this.view, this.across / 2, this.deep / 2);
    const { width, height } = this.sheet;
    const half = Math.max(4, Math.min(this.across, this.deep) / this.view.scale / 10);
    const cx = Math.min(Math.max(x, half), width - half);
    const cy = Math.min(Math.max(y, half), height - half);
    return spanned(cx - half, cy - half, cx + half, cy + half, width, height);
  }

  at(event) {
    const frame = this.element.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  down(event) {
    if (!this.sheet || event.target.closest("button")) return;
    this.element.focus({ preventScroll: true });
    const [sx, sy] = this.at(event);
    this.pointers.set(event.pointerId, [sx, sy]);
    try {
      this.element.setPointerCapture(event.pointerId);
    } catch {
      return; // the pointer has left meanwhile
    }
    event.preventDefault();
    if (this.pointers.size === 2) {
      this.stop();
      this.gesture = { kind: "pinch" };
      return;
    }
    if (this.pointers.size > 2 || this.gesture) return;
    const touch = event.pointerType === "touch";
    if (event.button === 1 || this.panning) this.gesture = { kind: "pan", used: true };
    else if (event.button === 0) this.gesture = this.begun(sx, sy, touch);
    if (this.gesture) Object.assign(this.gesture, { id: event.pointerId, from: [sx, sy], last: [sx, sy], touch });
    this.pointer = [sx, sy];
    this.redraw();
  }

  /** What a pointer that goes down here will do. */
  begun(sx, sy, touch) {
    const [x, y] = toPicture(this.view, sx, sy);
    const editable = this.tell.editable();
    if (this.armed && editable) return { kind: "draw", start: this.corner ?? [x, y], second: this.corner !== null };
    const selected = this.selected();
    const handle = editable && selected ? this.handleAt(selected.box, sx, sy, touch) : null;
    if (handle) return { kind: "resize", key: selected.key, box: selected.box, handle };
    const item = this.itemAt(x, y, touch);
    const movable = editable && (!touch || item?.key === selected?.key); // a finger also pans a picture full of boxes
    if (item) return { kind: movable ? "move" : "pan", key: item.key, box: item.box, start: [x, y] };
    if (touch || !editable) return { kind: "pan" };
    return { kind: "draw", start: [x, y], second: false };
  }

  move(event) {
    const [sx, sy] = this.at(event);
    this.pointer = event.pointerType === "touch" && !this.gesture ? null : [sx, sy];
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.redraw();
      return;
    }
    if (this.gesture?.kind === "pinch") {
      this.pinch(event.pointerId, sx, sy);
      return;
    }
    this.pointers.set(event.pointerId, [sx, sy]);
    const gesture = this.gesture;
    if (!gesture || gesture.id !== event.pointerId) return;
    if (Math.hypot(sx - gesture.from[0], sy - gesture.from[1]) >= CLICK) gesture.moved = true;
    if (gesture.moved || gesture.second) this.follow(gesture, sx, sy);
    this.redraw();
  }

  follow(gesture, sx, sy) {
    const [x, y] = toPicture(this.view, sx, sy);
    const { width, height } = this.sheet;
    if (gesture.kind === "pan") {
      const [lx, ly] = gesture.last;
      this.look(panned(this.view, sx - lx, sy - ly));
    } else if (gesture.kind === "draw") {
      this.preview = { key: null, box: spanned(...gesture.start, x, y, width, height) };
    } else if (gesture.kind === "resize") {
      this.preview = { key: gesture.key, box: resized(gesture.box, gesture.handle, x, y, width, height) };
    } else if (gesture.kind === "move") {
      const [dx, dy] = [Math.round(x - gesture.start[0]), Math.round(y - gesture.start[1])];
      this.preview = { key: gesture.key, box: moved(gesture.box, dx, dy, width, height) };
    }
    gesture.last = [sx, sy];
  }

  pinch(id, sx, sy) {
    const others = [...this.pointers].filter(([other]) => other !== id);
    const [ox, oy] = others[0]?.[1] ?? [sx, sy];
    const [lx, ly] = this.pointers.get(id);
    const was = Math.hypot(lx - ox, ly - oy);
    const is = Math.hypot(sx - ox, sy - oy);
    this.pointers.set(id, [sx, sy]);
    this.look(panned(this.view, (sx - lx) / 2, (sy - ly) / 2));
    if (was > 10) this.zoom(is / was, (sx + ox) / 2, (sy + oy) / 2);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const gesture = this.gesture;
    if (gesture?.kind === "pinch") {
      if (!this.pointers.size) this.gesture = null;
      return;
    }
    if (!gesture || gesture.id !== event.pointerId) return;
    const [sx, sy] = this.at(event);
    if (gesture.moved || gesture.second) this.follow(gesture, sx, sy);
    const preview = this.preview;
    this.stop();
    if (event.pointerType === "touch") this.pointer = null;
    if (gesture.kind === "draw") this.drawn(gesture, preview, sx, sy);
    else if (gesture.moved) preview && this.tell.place(preview.key, preview.box);
    else if (gesture.key !== undefined) this.tell.select(this.another(gesture.key, sx, sy, gesture.touch));
    else if (!gesture.used) this.tell.select(null);
    this.redraw();
  }

  drawn(gesture, preview, sx, sy) {
    if (preview && largeEnough(preview.box)) {
      this.arm(false);
      this.corner = null;
      this.tell.draw(preview.box);
    } else if (this.armed) this.corner = toPicture(this.view, sx, sy);
    else this.tell.select(null);
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.stop();
    this.redraw();
  }

  leave() {
    if (!this.gesture) this.pointer = null;
    this.redraw();
  }

  /** Ends a drag without its effect; true where there was one. */
  stop() {
    const was = this.gesture !== null || this.corner !== null;
    this.gesture = null;
    this.preview = null;
    return was;
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const strength = event.ctrlKey ? 0.01 : 0.0018;
    this.zoom(Math.exp(-event.deltaY * lines * strength), ...this.at(event));
  }

  selected() {
    return shownItems(this.sheet, this.above).find((item) => item.key === this.sheet.selected) ?? null;
  }

  /** The selected item where the point is in it, else the smallest one there. */
  itemAt(x, y, touch) {
    const slack = (touch ? 12 : 3) / this.view.scale;
    const here = shownItems(this.sheet, this.above).filter((item) => contains(item.box, x, y, slack));
    here.sort((a, b) => areaOf(a.box) - areaOf(b.box));
    return here.find((item) => item.key === this.sheet.selected) ?? here[0] ?? null;
  }

  /** A click on the selected item takes the next larger one below it, so that covered boxes can be reached. */
  another(key, sx, sy, touch) {
    const [x, y] = toPicture(this.view, sx, sy);
    const slack = (touch ? 12 : 3) / this.view.scale;
    const here = shownItems(this.sheet, this.above).filter((item) => contains(item.box, x, y, slack));
    here.sort((a, b) => areaOf(a.box) - areaOf(b.box));
    const at = here.findIndex((item) => item.key === this.sheet.selected);
    return at < 0 || !here.length ? key : here[(at + 1) % here.length].key;
  }

  /** Screen position of each handle. Those of a small box stand outside it, so that it can still be moved. */
  handlesOf(box) {
    const [x1, y1] = toScreen(this.view, box[0], box[1]);
    const [x2, y2] = toScreen(this.view, box[2], box[3]);
    const outX = x2 - x1 < 36 ? 9 : 0;
    const outY = y2 - y1 < 36 ? 9 : 0;
    const across = { w: x1 - outX, e: x2 + outX };
    const down = { n: y1 - outY, s: y2 + outY };
    const narrow = { n: x2 - x1 < 36, s: x2 - x1 < 36, w: y2 - y1 < 36, e: y2 - y1 < 36 };
    return HANDLES.filter((name) => !narrow[name]).map((name) => {
      const x = across[name.slice(-1)] ?? (x1 + x2) / 2;
      const y = down[name[0]] ?? (y1 + y2) / 2;
      return { name, x, y };
    });
  }

  handleAt(box, sx, sy, touch) {
    const reach = touch ? 22 : 8;
    const near = this.handlesOf(box)
      .map((handle) => ({ ...handle, far: Math.hypot(handle.x - sx, handle.y - sy) }))
      .sort((a, b) => a.far - b.far)[0];
    return near && near.far <= reach ? near.name : null;
  }

  redraw() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.sheet) return;
    const { scale, x, y } = this.view;
    this.picture.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.picture.classList.toggle("pixels", scale >= 4);
    this.shapes.setAttribute("transform", `translate(${x} ${y})`);
    this.names.style.transform = `translate(${x}px, ${y}px)`;
    const before = this.elements;
    this.elements = new Map();
    const shapes = [];
    const names = [];
    const hovered = this.gesture || this.armed || !this.pointer ? null : this.hovered();
    for (const item of shownItems(this.sheet, this.above)) {
      const box = this.preview?.key === item.key ? this.preview.box : item.box;
      const selected = item.key === this.sheet.selected;
      const one = this.once(before.get(item.key), item, box, selected, item.key === hovered);
      this.elements.set(item.key, one);
      shapes.push(one.shape);
      names.push(one.chip);
    }
    for (const doubt of this.doubts) {
      shapes.push(this.rectangle(doubt.box, "doubt"));
      names.push(this.chip(doubt.box, `? ${doubt.kind}`, "chip doubt", null, true));
    }
    const selected = this.selected();
    if (selected && this.tell.editable()) shapes.push(...this.handles(selected));
    const fresh = this.preview?.key === null ? this.preview.box : this.begunBox();
    if (fresh) shapes.push(this.rectangle(fresh, "new"));
    const sized = this.preview && this.gesture?.kind !== "move" ? this.preview.box : fresh;
    if (sized) names.push(this.chip(sized, `${Math.round(widthOf(sized))} × ${Math.round(heightOf(sized))}`, "chip size", null, true));
    arrange(this.shapes, shapes);
    arrange(this.names, names);
    this.drawGuides();
    if (!this.gesture) this.element.style.cursor = this.cursor(selected);
  }

  hovered() {
    const item = this.itemAt(...toPicture(this.view, ...this.pointer), false);
    return item?.key ?? null;
  }

  cursor(selected) {
    if (this.panning) return "grab";
    if (this.armed || !this.pointer) return "crosshair";
    const handle = selected && this.handleAt(selected.box, ...this.pointer, false);
    if (handle) return `${handle}-resize`;
    return this.hovered() === null ? "crosshair" : "move";
  }

  /** The box between the first corner that was clicked and the pointer. */
  begunBox() {
    if (!this.corner || this.gesture || !this.pointer) return null;
    return spanned(...this.corner, ...toPicture(this.view, ...this.pointer), this.sheet.width, this.sheet.height);
  }

  /** An item's elements, those of before where they would look the same. */
  once(before, item, box, selected, hovered) {
    const looks = [box, this.view.scale, selected, hovered, item.name, item.crowd, item.score, this.number(item.name)];
    const sign = looks.join("|");
    if (before?.sign === sign) return before;
    return { sign, shape: this.shape(item, box, selected, hovered), chip: this.name(item, box, selected || hovered) };
  }

  shape(item, box, selected, hovered) {
    const kind = item.score === undefined ? "label" : "draft";
    const group = makeSvg("g", { class: `${kind}${selected ? " selected" : ""}${hovered ? " hovered" : ""}` });
    const colour = this.colour(item.name);
    group.append(this.rectangle(box, "casing"), this.rectangle(box, "line", colour));
    if (item.crowd) group.append(this.rectangle(box, "crowd"));
    if (selected) group.append(this.rectangle(box, "tint", null, colour));
    return group;
  }

  rectangle(box, kind, stroke = null, fill = null) {
    const rectangle = makeSvg("rect", {
      class: kind,
      x: box[0] * this.view.scale,
      y: box[1] * this.view.scale,
      width: Math.max(1, widthOf(box) * this.view.scale),
      height: Math.max(1, heightOf(box) * this.view.scale),
    });
    if (stroke) rectangle.style.stroke = stroke;
    if (fill) rectangle.style.fill = fill;
    return rectangle;
  }

  handles(item) {
    const box = this.preview?.key === item.key ? this.preview.box : item.box;
    const half = this.gesture?.touch ? 7 : 5;
    const [left, top] = [this.view.x + half, this.view.y + half];
    return this.handlesOf(box).map(({ x, y }) =>
      makeSvg("rect", { class: "handle", x: x - left, y: y - top, width: 2 * half, height: 2 * half }),
    );
  }

  name(item, box, whole) {
    const [across, deep] = [widthOf(box) * this.view.scale, heightOf(box) * this.view.scale];
    const room = across >= ROOM_FOR_NAME;
    const hidden = !whole && Math.min(across, deep) < ROOM_FOR_NUMBER;
    const score = item.score === undefined ? "" : ` ${item.score.toFixed(2)}`;
    const crowd = item.crowd ? " (crowd)" : "";
    const text = whole || room ? `${item.name}${score}${crowd}` : this.number(item.name);
    const kind = `chip ${item.score === undefined ? "label" : "draft"}${whole ? " front" : ""}${hidden ? " small" : ""}`;
    return this.chip(box, text, kind, this.colour(item.name), false);
  }

  chip(box, text, kind, colour, below) {
    const chip = make("span", { class: kind, textContent: text });
    const [x, y] = [box[0] * this.view.scale, (below ? box[3] : box[1]) * this.view.scale];
    const top = below || y < 18 ? y : y - 17;
    chip.style.transform = `translate(${Math.round(x)}px, ${Math.round(top)}px)`;
    if (colour) chip.style.setProperty("--class", colour);
    return chip;
  }

  drawGuides() {
    const lines = [];
    const aiming = this.armed || (this.gesture && ["draw", "resize"].includes(this.gesture.kind));
    if (aiming && this.pointer) {
      const [x, y] = this.pointer;
      for (const [x1, y1, x2, y2] of [
        [0, y, this.across, y],
        [x, 0, x, this.deep],
      ])
        for (const kind of ["casing", "hair"]) lines.push(makeSvg("line", { class: kind, x1, y1, x2, y2 }));
    }
    this.guides.replaceChildren(...lines);
    const wanted = aiming && this.pointer && this.image && (this.loupe.always || this.needsLoupe());
    this.loupe.show(wanted ? this : null);
  }

  /** A finger hides what it points at, and a reduced picture hides pixels. */
  needsLoupe() {
    return Boolean(this.gesture?.touch) || this.view.scale < 1;
  }
}

/** Makes `children` the children of an element, and touches nothing where they are already. */
function arrange(element, children) {
  const same = element.childNodes.length === children.length && children.every((child, i) => element.childNodes[i] === child);
  if (!same) element.replaceChildren(...children);
}

function hatch() {
  const lines = makeSvg("path", { d: "M0 10 L10 0 M-2 2 L2 -2 M8 12 L12 8" });
  const pattern = makeSvg("pattern", { id: "hatch", width: 10, height: 10, patternUnits: "userSpaceOnUse" }, lines);
  return makeSvg("defs", {}, pattern);
}
