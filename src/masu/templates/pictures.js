"use strict";
/* Pictures of a page: enlarged, one after the other by the arrow keys; sorted and filtered. */

function made(tag, attributes = {}, ...children) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
    else one.setAttribute(name, value);
  }
  one.append(...children);
  return one;
}

/* A dialog for one of `count` pictures. paint(number, stage, side) fills it; closed(number) is told where it ended. */
const viewer = (() => {
  let count = 0, at = 0, paint, closed;
  const stage = made("div", { class: "stage", tabindex: "0", role: "group", "aria-label": "Picture" });
  const side = made("div", { class: "side", "aria-live": "polite" });
  const where = made("span", { class: "soft" });
  const zoom = made("button", { type: "button", "aria-pressed": "false", onclick: () => magnify(!stage.classList.contains("zoomed")) }, "Zoom", made("kbd", {}, "Z"));
  const back = made("button", { type: "button", onclick: () => show(at - 1) }, "Back", made("kbd", {}, "←"));
  const next = made("button", { type: "button", onclick: () => show(at + 1) }, "Next", made("kbd", {}, "→"));
  const close = made("button", { type: "button", onclick: () => dialog.close() }, "Close", made("kbd", {}, "Esc"));
  const dialog = made("dialog", { class: "viewer", "aria-label": "Picture, enlarged" }, made("div", { class: "top" }, back, next, where, zoom, close), stage, side);
  const keys = { ArrowLeft: () => show(at - 1), ArrowRight: () => show(at + 1), Home: () => show(0), End: () => show(count - 1), z: () => zoom.click() };
  dialog.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea") || event.ctrlKey || event.altKey || event.metaKey;
    const scrolled = stage.classList.contains("zoomed") && event.target === stage && event.key.startsWith("Arrow");
    if (typing || scrolled || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  dialog.addEventListener("close", () => { stage.replaceChildren(); closed?.(at); });

  function magnify(larger) {
    stage.classList.toggle("zoomed", larger);
    zoom.setAttribute("aria-pressed", String(larger));
  }

  function show(number) {
    if (number < 0 || number >= count) return;
    at = number;
    magnify(false);
    back.disabled = at === 0;
    next.disabled = at === count - 1;
    where.textContent = `${at + 1} of ${count}`;
    paint(at, stage, side);
  }

  return {
    keys,
    next: () => show(at + 1),
    again: () => paint(at, stage, side),
    open(many, number, painted, ended) {
      [count, paint, closed] = [many, painted, ended];
      if (!dialog.isConnected) (document.querySelector("main") || document.body).append(dialog);
      dialog.showModal();
      show(number);
      stage.focus();
    },
  };
})();

for (const gallery of document.querySelectorAll(".gallery")) {
  const figures = [...gallery.querySelectorAll("figure")];
  const part = gallery.closest("section");
  const sort = part.querySelector("select.sort"), filter = part.querySelector("select.filter"), said = part.querySelector(".shown");
  const sift = () => {
    const key = sort?.value, has = filter?.value;
    const value = (figure) => Number(figure.dataset[key]);
    const order = !key ? figures : key === "name" ? figures.toSorted((a, b) => a.dataset.name.localeCompare(b.dataset.name)) : figures.toSorted((a, b) => value(b) - value(a));
    for (const figure of order) figure.hidden = Boolean(has) && !figure.dataset.has.split(" ").includes(has);
    gallery.append(...order);
    if (said) said.textContent = `${order.filter((figure) => !figure.hidden).length} of ${figures.length} shown`;
  };
  sort?.addEventListener("change", sift);
  filter?.addEventListener("change", sift);
}

document.addEventListener("click", (event) => {
  const opened = event.target.closest("button.enlarge:not(.open)");
  if (!opened) return;
  const all = [...document.querySelectorAll("button.enlarge")].filter((button) => button.offsetParent);
  viewer.open(
    all.length,
    all.indexOf(opened),
    (number, stage, side) => {
      stage.replaceChildren(...[...all[number].children].map((child) => child.cloneNode(true)));
      side.replaceChildren(made("p", {}, ...[...(all[number].closest("figure").querySelector("figcaption")?.childNodes ?? [])].map((child) => child.cloneNode(true))));
    },
    (number) => all[number].focus(),
  );
});
