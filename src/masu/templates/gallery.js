"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const PART = 120; // photographs that are added at a time
const SMALLEST = 2; // pixels of the photograph; below it a drag was a click
const { names, photos, colours } = data;
const KEY = `masu detect ${data.key}`;

/* what a person said of a photograph: {looked, wrong: [numbers of boxes], added: [[x1, y1, x2, y2, label]], least} */
let said = {};
try { said = JSON.parse(localStorage.getItem(KEY)) || {}; } catch { /* a browser that keeps nothing */ }
let threshold = null; // null: that of each class
let listed = [], drawn = 0, drawing = false, chosenClass = 0;

const least = (label) => threshold ?? data.thresholds[label];
const onlyClass = () => Number($("class").value);
/* x1, y1, x2, y2, score, label, whether the run's own threshold is reached */
const reaches = (box, limit) => (limit === null ? box[6] === 1 : box[4] >= limit);
const foundBoxes = (photo) => photo.boxes.map((box, i) => [box, i]).filter(([box]) => reaches(box, threshold));
const shownBoxes = (photo) => foundBoxes(photo).filter(([box]) => onlyClass() < 0 || box[5] === onlyClass());
const of = (photo) => said[photo.file] ?? { wrong: [], added: [] };
const score = (value) => value.toFixed(2);
const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

function keep(photo, change) {
  said[photo.file] = { ...of(photo), ...change };
  try { localStorage.setItem(KEY, JSON.stringify(said)); } catch { /* kept until the page is closed */ }
  saving();
}

function shape(tag, attributes, ...children) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...children);
  return one;
}

function mark(box, kind, colour) {
  const at = { x: box[0], y: box[1], width: Math.max(box[2] - box[0], 0), height: Math.max(box[3] - box[1], 0) };
  return shape("g", { class: `mark ${kind}`, style: `--mark:${colour}` }, shape("rect", { class: "casing", ...at }), shape("rect", { class: "line", ...at }));
}

function chip(box, photo, words, kind, colour) {
  const x = (100 * box[0]) / photo.width, right = (100 * box[2]) / photo.width, y = (100 * box[1]) / photo.height;
  const across = x <= 50 ? `left:${Math.max(x, 0)}%` : `right:${Math.max(100 - right, 0)}%`;
  return made("span", { class: `chip ${kind}`, style: `--mark:${colour};${across};${y < 8 ? `top:${Math.max(y, 0)}%` : `bottom:${100 - y}%`}`, "aria-hidden": "true" }, words);
}

function marksOf(photo, boxes) {
  const own = of(photo);
  const found = boxes.map(([box, i]) => mark(box, own.wrong.includes(i) ? "found wrong" : "found", colours[box[5]]));
  return [...found.reverse(), ...own.added.map((box) => mark(box, "added", colours[box[4]]))];
}

/* ---- cards ---- */
function inWords(photo) {
  const shown = shownBoxes(photo);
  const each = shown.slice(0, 8).map(([box]) => `${names[box[5]]} ${score(box[4])}`).join(", ");
  return `${photo.name}: ${counted(shown.length, "box", "boxes")}${each ? ` (${each}${shown.length > 8 ? ", …" : ""})` : ""}`;
}

const cards = new WeakMap();
const near = new IntersectionObserver((entries) => entries.forEach((entry) => {
  entry.target.near = entry.isIntersecting;
  if (entry.isIntersecting) overlay(entry.target);
}), { rootMargin: "600px" });

function card(photo) {
  const image = made("img", { src: photo.small, alt: photo.name, loading: "lazy", decoding: "async" });
  const frame = made("span", { class: "frame", style: `--w:${photo.width};--h:${photo.height}` }, image, shape("svg", { viewBox: `0 0 ${photo.width} ${photo.height}`, preserveAspectRatio: "none", "aria-hidden": "true" }));
  const item = made("li", {}, made("figure", {}, made("button", { type: "button", class: "enlarge open", onclick: () => enlarge(listed.indexOf(photo)) }, frame), made("figcaption", {}, made("b", {}, photo.name), made("span", {}))));
  cards.set(item, photo);
  near.observe(item);
  return item;
}

function overlay(item) {
  const photo = cards.get(item), state = `${threshold} ${onlyClass()} ${JSON.stringify(said[photo.file] ?? "")}`;
  if (item.dataset.state === state) return;
  item.dataset.state = state;
  item.querySelector("svg").replaceChildren(...marksOf(photo, shownBoxes(photo)));
  item.querySelector("img").alt = inWords(photo);
  item.querySelector("figure").classList.toggle("looked", Boolean(of(photo).looked));
  item.querySelector("figcaption span").textContent = `${counted(shownBoxes(photo).length, "box", "boxes")}${of(photo).looked ? " ✓" : ""}`;
}

const sorts = {
  score: (a) => -Math.max(0, ...shownBoxes(a).map(([box]) => box[4])),
  unsure: (a) => Math.min(1, ...a.boxes.map((box) => Math.abs(box[4] - least(box[5])))),
  many: (a) => -shownBoxes(a).length,
  few: (a) => shownBoxes(a).length,
};
const filters = {
  with: (a) => shownBoxes(a).length > 0,
  without: (a) => shownBoxes(a).length === 0,
  looked: (a) => Boolean(of(a).looked),
  unlooked: (a) => !of(a).looked,
};

function list() {
  const wanted = $("search").value.trim().toLowerCase(), filter = filters[$("filter").value], key = sorts[$("sort").value];
  listed = photos.filter((photo) => (!filter || filter(photo)) && photo.file.toLowerCase().includes(wanted));
  if (key) {
    const values = new Map(listed.map((photo) => [photo, key(photo)]));
    listed.sort((a, b) => values.get(a) - values.get(b));
  }
  drawn = 0;
  $("gallery").replaceChildren();
  more();
}

function more() {
  const next = listed.slice(drawn, drawn + PART);
  $("gallery").append(...next.map(card));
  drawn += next.length;
  $("more").hidden = drawn >= listed.length;
  $("shown").textContent = listed.length === photos.length ? "" : `${listed.length} of ${counted(photos.length, "photograph")}`;
}

function count() {
  const counts = new Array(names.length).fill(0);
  let full = 0;
  for (const photo of photos) {
    let any = false;
    for (const box of photo.boxes) if (reaches(box, threshold)) { counts[box[5]] += 1; any = true; }
    full += any;
  }
  const all = counts.reduce((sum, one) => sum + one, 0);
  $("summary").textContent = `${counted(all, "object")} in ${full} of ${counted(photos.length, "photograph")}`;
  const most = counts.map((many, label) => [many, names[label]]).filter(([many]) => many).sort((a, b) => b[0] - a[0]);
  $("per-class").textContent = most.slice(0, 12).map(([many, name]) => `${name} ${many}`).join(" · ") + (most.length > 12 ? " …" : "");
  const own = new Set(data.thresholds);
  $("threshold-said").textContent = threshold !== null ? score(threshold) : own.size === 1 ? score(data.thresholds[0]) : "one per class";
  $("own").hidden = threshold === null;
}

let due = 0;
function changed() {
  cancelAnimationFrame(due);
  due = requestAnimationFrame(() => {
    count();
    if ($("sort").value !== "given" || ["with", "without"].includes($("filter").value)) list();
    else for (const item of $("gallery").children) if (item.near) overlay(item);
  });
}

/* ---- one photograph, enlarged ---- */
function enlarge(number) {
  viewer.open(listed.length, number, show, (at) => {
    draw(false);
    while (drawn <= at) more();
    for (const item of $("gallery").children) if (item.near) overlay(item);
    $("gallery").children[at]?.querySelector("button").focus();
  });
}

let photo = null;
function show(number, stage, side) {
  const other = listed[number] !== photo || !stage.firstChild;
  photo = listed[number];
  if (other) {
    const image = made("img", { src: photo.source ?? photo.small, alt: inWords(photo), draggable: "false", onerror: () => { if (image.src !== new URL(photo.small, location.href).href) image.src = photo.small; } });
    stage.replaceChildren(made("span", { class: "frame", style: `--w:${photo.width};--h:${photo.height}` }, image, shape("svg", { viewBox: `0 0 ${photo.width} ${photo.height}`, preserveAspectRatio: "none", "aria-hidden": "true" })));
    stage.firstChild.addEventListener("pointerdown", pointed);
  }
  const own = of(photo), frame = stage.firstChild;
  const found = foundBoxes(photo);
  frame.querySelector("svg").replaceChildren(...marksOf(photo, found));
  frame.querySelectorAll(".chip").forEach((one) => one.remove());
  frame.append(
    ...found.toReversed().map(([box, i]) => chip(box, photo, `${names[box[5]]} ${score(box[4])}`, own.wrong.includes(i) ? "wrong" : "", colours[box[5]])),
    ...own.added.map((box) => chip(box, photo, names[box[4]], "", colours[box[4]])),
  );
  const wrong = (i) => own.wrong.includes(i);
  const list = made("ul", { id: "boxes", "aria-label": "Boxes" },
    ...found.map(([box, i]) => made("li", {}, made("button", { type: "button", "aria-pressed": String(wrong(i)), class: wrong(i) ? "wrong" : "", title: "Wrong, or right after all", onclick: () => flip(i) }, made("span", { class: "swatch", style: `--mark:${colours[box[5]]}` }), `${names[box[5]]} ${score(box[4])}${wrong(i) ? ", wrong" : ""}`))),
    ...own.added.map((box, i) => made("li", {}, made("button", { type: "button", title: "Take it away again", onclick: () => keepAdded(own.added.toSpliced(i, 1)) }, made("span", { class: "swatch", style: `--mark:${colours[box[4]]}` }), `${names[box[4]]}, drawn ✕`))),
  );
  const classes = made("select", { onchange: (event) => { chosenClass = Number(event.target.value); } }, ...names.map((name, label) => made("option", { value: label, ...(label === chosenClass ? { selected: "" } : {}) }, name)));
  const focus = document.activeElement?.closest?.("#boxes button") ? [...side.querySelectorAll("#boxes button")].indexOf(document.activeElement) : -1;
  side.replaceChildren(
    made("p", {}, made("b", {}, photo.name), ` ${counted(found.length, "box", "boxes")}${own.looked ? "; looked at" : ""}`),
    list,
    made("div", { class: "row" },
      made("button", { type: "button", class: "strong", onclick: right }, "Right, next", made("kbd", {}, "Enter")),
      made("button", { type: "button", id: "draw", "aria-pressed": String(drawing), onclick: () => draw(!drawing) }, "Draw what is missing", made("kbd", {}, "W")),
      made("label", {}, "as ", classes)),
  );
  if (focus >= 0) side.querySelectorAll("#boxes button")[focus]?.focus();
}

function flip(i) {
  const { wrong } = of(photo);
  keep(photo, { wrong: wrong.includes(i) ? wrong.filter((one) => one !== i) : [...wrong, i], looked: true, threshold });
  viewer.again();
}

function keepAdded(added) {
  keep(photo, { added, looked: true, threshold });
  viewer.again();
}

function right() {
  keep(photo, { looked: true, threshold });
  viewer.again();
  viewer.next();
}

function draw(on) {
  drawing = on;
  document.querySelector(".viewer")?.classList.toggle("drawing", on);
  document.getElementById("draw")?.setAttribute("aria-pressed", String(on));
}

function pointed(event) {
  const frame = event.currentTarget, from = frame.getBoundingClientRect();
  const at = (e) => [[e.clientX - from.left, from.width, photo.width], [e.clientY - from.top, from.height, photo.height]].map(([place, of, side]) => Math.min(Math.max(Math.round((place / of) * side), 0), side));
  const [x, y] = at(event);
  if (!drawing) {
    const area = ([box]) => (box[2] - box[0]) * (box[3] - box[1]);
    const hit = foundBoxes(photo).filter(([box]) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3]).sort((a, b) => area(a) - area(b))[0];
    if (hit) flip(hit[1]);
    return;
  }
  event.preventDefault();
  frame.setPointerCapture(event.pointerId);
  let box = [x, y, x, y], shape_ = null;
  const move = (e) => {
    const [a, b] = at(e);
    box = [Math.min(x, a), Math.min(y, b), Math.max(x, a), Math.max(y, b)];
    shape_?.remove();
    frame.querySelector("svg").append((shape_ = mark(box, "drawn", "#fff")));
  };
  const end = () => {
    frame.removeEventListener("pointermove", move);
    shape_?.remove();
    if (box[2] - box[0] < SMALLEST || box[3] - box[1] < SMALLEST) return;
    draw(false);
    keepAdded([...of(photo).added, [...box, chosenClass]]);
  };
  frame.addEventListener("pointermove", move);
  frame.addEventListener("pointerup", end, { once: true });
  frame.addEventListener("pointercancel", () => { box = [0, 0, 0, 0]; end(); }, { once: true });
}

Object.assign(viewer.keys, { w: () => draw(!drawing) });
document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest?.("button, input, select");
  if (event.key === "Enter" && !elsewhere && document.querySelector(".viewer[open]")) right();
});

/* ---- labels ---- */
function labels() {
  const images = photos.filter((one) => of(one).looked), annotations = [];
  images.forEach((one, number) => {
    const own = of(one), limit = own.threshold ?? null;
    const kept = one.boxes.filter((box, i) => reaches(box, limit) && !own.wrong.includes(i));
    for (const box of [...kept.map((one_) => [...one_.slice(0, 4), one_[5]]), ...own.added]) {
      const [x, y, w, h] = [box[0], box[1], box[2] - box[0], box[3] - box[1]].map((value) => Math.round(value * 10) / 10);
      annotations.push({ id: annotations.length + 1, image_id: number + 1, category_id: box[4] + 1, bbox: [x, y, w, h], area: Math.round(w * h * 100) / 100, iscrowd: 0 });
    }
  });
  return {
    info: { image_folder: data.root },
    images: images.map((one, number) => ({ id: number + 1, file_name: one.file, width: one.width, height: one.height })),
    categories: names.map((name, label) => ({ id: label + 1, name })),
    annotations,
  };
}

function saving() {
  const many = photos.filter((one) => of(one).looked).length;
  $("save").disabled = $("forget").disabled = !many;
  $("save").textContent = many ? `Save labels of ${counted(many, "photograph")}` : "Save labels";
}

const quoted = (path) => `'${path.replaceAll("'", "'\\''")}'`;
$("save").onclick = () => {
  const file = labels();
  const address = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" }));
  made("a", { href: address, download: "labels.coco.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  $("saved").textContent = `${counted(file.annotations.length, "box", "boxes")} in ${counted(file.images.length, "photograph")} saved.`;
  const read = `labels.coco.json --images ${quoted(data.root)}`;
  $("command").textContent = `masu train ${read} --out runs/corrected\nmasu convert ${read} labelled --to labelme`;
  $("after").hidden = false;
};
$("forget").onclick = () => {
  said = {};
  try { localStorage.removeItem(KEY); } catch { /* nothing was kept */ }
  $("saved").textContent = "";
  $("after").hidden = true;
  saving();
  list();
};

names.forEach((name, label) => $("class").append(made("option", { value: label }, name)));
$("threshold").min = data.lowest;
$("threshold").value = Math.min(...data.thresholds);
$("threshold").oninput = () => { threshold = Number($("threshold").value); changed(); };
$("own").onclick = () => { threshold = null; $("threshold").value = Math.min(...data.thresholds); changed(); };
for (const id of ["sort", "filter", "class", "search"]) $(id).oninput = list;
$("more").querySelector("button").onclick = more;
new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) more(); }, { rootMargin: "900px" }).observe($("more"));
count();
saving();
list();
