/** Beside the picture: classes, drafts, the boxes as a list, and what the model has learnt. */

import { colourOf } from "./colours.js";
import { curveOf } from "./curve.js";
import { counted, find, make, say } from "./dom.js";
import { inSpeech, shownDrafts, shownItems } from "./labels.js";

/** Chooses the class of the selected box, or of new boxes. */
export class ClassList {
  constructor(element, tell) {
    Object.assign(this, { element, tell });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) tell.choose(button.dataset.name);
    });
  }

  draw(classes, current, labels) {
    const number = new Map();
    for (const label of labels) number.set(label.name, (number.get(label.name) ?? 0) + 1);
    const text = JSON.stringify([classes, current, [...number]]);
    if (text === this.text) return;
    this.text = text;
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    this.element.replaceChildren(...classes.map((name, at) => make("li", {}, this.button(name, at, current, number))));
    if (focused !== null)
      [...this.element.querySelectorAll("button")].find((button) => button.dataset.name === focused)?.focus();
  }

  button(name, at, current, number) {
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colourOf(at);
    const many = number.get(name) ?? 0;
    const button = make(
      "button",
      { type: "button", "aria-pressed": String(name === current) },
      make("kbd", { textContent: at < 9 ? String(at + 1) : "" }),
      swatch,
      make("span", { class: "name", textContent: name }),
      make("span", { class: "many", textContent: many ? String(many) : "", "aria-label": many ? counted(many, "box", "boxes") : "" }),
    );
    button.dataset.name = name;
    if (at < 9) button.setAttribute("aria-keyshortcuts", String(at + 1));
    return button;
  }
}

/** The boxes of the photograph as a list, for those who do not see or do not point. */
export class BoxList {
  constructor(element, heading, tell) {
    Object.assign(this, { element, heading, tell });
    element.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) tell.select(Number(option.dataset.key));
    });
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      tell.step(step);
    });
  }

  draw(sheet, above, classes) {
    const items = shownItems(sheet, above);
    const same = this.classes === classes && items.length === this.items?.length && items.every((item, i) => item === this.items[i]);
    Object.assign(this, { items, classes });
    if (!same) this.fill(items, classes);
    const was = this.element.querySelector("[aria-selected=true]");
    const option = items.some((item) => item.key === sheet.selected) ? find(`box-${sheet.selected}`) : null;
    if (was !== option) was?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    if (option) this.element.setAttribute("aria-activedescendant", option.id);
    else this.element.removeAttribute("aria-activedescendant");
    if (option) this.reveal(option);
    const drafts = shownDrafts(sheet, above).length;
    const parts = [counted(sheet.labels.length, "box", "boxes")];
    if (drafts) parts.push(counted(drafts, "draft"));
    say(this.heading, parts.join(", "));
  }

  fill(items, classes) {
    const options = items.map((item) => {
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = colourOf(classes.indexOf(item.name));
      const option = make(
        "li",
        { role: "option", id: `box-${item.key}`, class: item.score === undefined ? "label" : "draft" },
        swatch,
        make("span", { textContent: inSpeech(item) }),
      );
      option.setAttribute("aria-selected", "false");
      option.dataset.key = item.key;
      return option;
    });
    this.element.replaceChildren(...options);
    this.element.hidden = !items.length;
  }

  /** Scrolls the list, and not the page around it. */
  reveal(option) {
    const [top, bottom] = [option.offsetTop, option.offsetTop + option.offsetHeight];
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.element.scrollTop = bottom - clientHeight;
  }
}

/** How many drafts the slider lets through. */
export function drawSlider(sheet, above, loading) {
  find("drafts").hidden = false;
  const all = sheet.drafts.length;
  const shown = shownDrafts(sheet, above).length;
  const score = above === null ? "automatic" : above.toFixed(2);
  say(find("score"), score);
  find("slider").setAttribute("aria-valuetext", `${score}, ${shown} of ${counted(all, "draft")}`);
  find("automatic").hidden = above === null;
  const words = loading ? "No drafts for this photograph yet." : all ? `${shown} of ${counted(all, "draft")} shown.` : "No drafts left here.";
  say(find("shown-drafts"), words);
}

const lastTen = ({ last, boxes }) => {
  if (!last?.length) return "";
  const edits = last.reduce((sum, n) => sum + n, 0);
  const many = last.length === 1 ? "The last photograph" : last.length === 10 ? "The last ten" : `The last ${last.length}`;
  return `${many} needed ${counted(edits, "correction")} for ${counted(boxes, "box", "boxes")}.`;
};

const known = (model) => {
  if (!model) return "";
  const start = `The model knows ${counted(model.labels, "photograph")}`;
  if (typeof model.ap50 !== "number") return `${start}.`;
  const interval = model.interval ? ` (${model.interval[0].toFixed(2)}–${model.interval[1].toFixed(2)})` : "";
  return `${start}: AP50 ${model.ap50.toFixed(2)}${interval} on ${model.held} held-back ${model.held === 1 ? "one" : "ones"}.`;
};

/** What the model does and what it reaches. */
export class Learning {
  constructor(tell) {
    this.tell = tell;
    find("learn-now").addEventListener("click", () => tell.learning("now"));
    find("learn-pause").addEventListener("click", () => tell.learning(this.off ? "go" : "pause"));
    find("doubtful").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) tell.open(button.dataset.id);
    });
  }

  draw(status) {
    const { learning, model, curve = [], corrections = {}, doubtful = [] } = status;
    this.off = learning.state === "off";
    say(find("learning"), learning.text);
    find("learning").dataset.state = learning.state;
    say(find("learning-short"), learning.text);
    const bar = find("learning-progress");
    bar.hidden = typeof learning.progress !== "number";
    if (!bar.hidden) bar.value = learning.progress;
    say(find("model"), known(model));
    say(find("corrections"), lastTen(corrections));
    say(find("learn-pause"), this.off ? "Go on learning" : "Pause learning");
    const text = JSON.stringify([curve, doubtful]);
    if (text === this.text) return;
    this.text = text;
    const drawn = curveOf(curve);
    find("curve").replaceChildren(...(drawn ? [drawn] : []));
    find("second-look").hidden = !doubtful.length;
    find("doubtful").replaceChildren(...doubtful.slice(0, 50).map(doubtRow));
  }
}

function doubtRow({ id, text }) {
  const button = make(
    "button",
    { type: "button" },
    make("span", { class: "name", textContent: id }),
    make("span", { class: "why", textContent: text }),
  );
  button.dataset.id = id;
  return make("li", {}, button);
}
