/**
 * The list of all photographs. Only the rows in view are elements, and a thumbnail is asked for once its row has stayed
 * in view for a moment; so thousands of photographs are no more work than twenty.
 */

import { addressOf } from "./api.js";
import { counted, make, say } from "./dom.js";

const ROW = 60; // pixels, as in the style sheet
const SPARE = 6; // rows above and below
const REST = 120; // milliseconds until thumbnails are asked for

const WORDS = { open: "open", unfinished: "unfinished", done: "done", locked: "cannot be changed" };

export class PhotoList {
  /** element is the scrolling listbox; tell has open(id) */
  constructor({ element, search, filter, count, tell }) {
    Object.assign(this, { element, search, filter, count, tell });
    this.content = make("div", { class: "rows", role: "presentation" });
    element.append(this.content);
    this.photos = [];
    this.found = [];
    this.rows = new Map(); // position in `found` → row
    this.current = null;
    this.focused = 0;
    this.frame = 0;
    this.rest = 0;
    element.addEventListener("scroll", () => this.later(), { passive: true });
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("click", (event) => this.click(event));
    element.addEventListener("focus", () => this.later());
    search.addEventListener("input", () => this.sift());
    filter.addEventListener("change", () => this.sift());
    new ResizeObserver(() => this.later()).observe(element);
  }

  /** All photographs; where others have come above, what is in view stays where it is. */
  set(photos) {
    const { scrollTop } = this.element;
    const top = this.found[Math.floor(scrollTop / ROW)];
    const focused = this.found[this.focused];
    this.photos = photos;
    this.sift();
    const at = this.found.indexOf(top);
    if (at >= 0) this.element.scrollTop = at * ROW + (scrollTop % ROW);
    const place = this.found.indexOf(focused);
    if (place >= 0) this.focused = place;
    this.draw();
  }

  /** The photographs that the search and the filter let through. */
  sift() {
    const words = this.search.value.trim().toLowerCase();
    const state = this.filter.value;
    this.found = this.photos.filter(
      (photo) => (state === "all" || photo.state === state) && photo.id.toLowerCase().includes(words),
    );
    this.content.style.height = `${this.found.length * ROW}px`;
    say(this.count, counted(this.found.length, "photograph"));
    this.clear();
    this.focused = Math.max(0, this.found.findIndex((photo) => photo.id === this.current));
    this.draw();
  }

  clear() {
    for (const row of this.rows.values()) row.element.remove();
    this.rows.clear();
  }

  /** One photograph has another state or number of boxes. */
  refresh(photo) {
    if (this.filter.value !== "all") {
      this.later();
      this.stale = true;
    }
    for (const row of this.rows.values()) if (row.photo.id === photo.id) this.fill(row);
  }

  select(id) {
    this.current = id;
    if (this.stale) {
      this.stale = false;
      this.sift();
    }
    const at = this.found.findIndex((photo) => photo.id === id);
    if (at >= 0) {
      this.focused = at;
      this.reveal(at);
    }
    this.later();
  }

  reveal(at) {
    const { scrollTop, clientHeight } = this.element;
    if (at * ROW < scrollTop) this.element.scrollTop = at * ROW;
    else if ((at + 1) * ROW > scrollTop + clientHeight) this.element.scrollTop = (at + 1) * ROW - clientHeight;
  }

  later() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { scrollTop, clientHeight } = this.element;
    if (!clientHeight) return;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
    const last = Math.min(this.found.length, Math.ceil((scrollTop + clientHeight) / ROW) + SPARE);
    for (const [at, row] of this.rows) {
      if (at >= first && at < last) continue;
      row.image.removeAttribute("src"); // a thumbnail that has not come yet is not waited for
      row.element.remove();
      this.rows.delete(at);
    }
    for (let at = first; at < last; at += 1) {
      const row = this.rows.get(at) ?? this.row(at);
      row.element.setAttribute("aria-selected", String(row.photo.id === this.current));
      row.element.classList.toggle("focused", at === this.focused);
    }
    this.element.setAttribute("aria-activedescendant", this.rows.has(this.focused) ? `photo-${this.focused}` : "");
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.thumbnails(), REST);
  }

  row(at) {
    const photo = this.found[at];
    const image = make("img", { alt: "", decoding: "async", width: 60, height: 50 });
    const cut = photo.id.lastIndexOf("/");
    const folder = cut < 0 ? null : make("span", { class: "folder", textContent: photo.id.slice(0, cut) });
    const name = make("span", { class: "name" }, photo.id.slice(cut + 1), folder);
    const state = make("span", { class: "state" });
    const element = make("div", { class: "row", role: "option", id: `photo-${at}`, title: photo.id }, image, name, state);
    element.setAttribute("aria-setsize", this.found.length);
    element.setAttribute("aria-posinset", at + 1);
    element.dataset.at = at;
    element.style.transform = `translateY(${at * ROW}px)`;
    const row = { element, photo, image, state };
    this.fill(row);
    this.rows.set(at, row);
    this.content.append(element);
    return row;
  }

  fill({ element, photo, state }) {
    element.dataset.state = photo.state;
    const drafts = photo.state === "open" && photo.drafts ? `, ${counted(photo.drafts, "draft")}` : "";
    const none = photo.state === "done" ? ", nothing here" : drafts;
    say(state, WORDS[photo.state] + (photo.boxes ? `, ${counted(photo.boxes, "box", "boxes")}` : none));
  }

  thumbnails() {
    for (const { image, photo } of this.rows.values())
      if (!image.hasAttribute("src")) image.src = `${addressOf(photo.id)}/thumbnail`;
  }

  click(event) {
    const row = event.target.closest(".row");
    if (row) this.tell.open(this.found[Number(row.dataset.at)].id);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 1);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" || event.key === " ") {
      if (this.found[this.focused]) this.tell.open(this.found[this.focused].id);
    } else if (event.key in steps) {
      this.focused = Math.min(Math.max(this.focused + steps[event.key], 0), this.found.length - 1);
      this.reveal(this.focused);
      this.later();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
