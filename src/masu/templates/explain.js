"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const stages = JSON.parse(document.getElementById("stages").textContent);
const $ = (id) => document.getElementById(id);
const COLOURS = ["#e69f00", "#56b4e9", "#00c795", "#ff7a2e", "#f0e442", "#e58fc0", "#5aa2ff"];
const MARKS = { object: "#ffffff", final: "#ff8c1a", proposal: "#56b4e9", anchor: "#f0e442", rival: "#ff5fc4" };
const staged = data.photographs.some((p) => p.tables.length > 1);
const classless = data.kind === "proposals";
const NOTHING = { kind: "nothing" };
const MAPS = { score: classless ? "objectness" : "class score", box: "box", off: "off" };
let photo, view, chosen = NOTHING, map = "score";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.onclick = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const percent = (score) => score.toFixed(score < 0.1 ? 3 : 2);
const pixels = (box) => `${Math.round(box[2] - box[0])} × ${Math.round(box[3] - box[1])} px`;
const last = () => photo.tables[photo.tables.length - 1];
const className = (k) => (k < data.names.length ? data.names[k] : "background");

function iou(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const shared = Math.max(w, 0) * Math.max(h, 0);
  return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared) || 0; // 0 / 0: none has an area
}

function levelOf(anchor) {
  let found = 0;
  photo.levels.forEach((level, i) => { if (anchor >= level.first) found = i; });
  return found;
}

function anchorBox(anchor) {
  const level = photo.levels[levelOf(anchor)];
  const place = anchor - level.first, cell = Math.floor(place / level.cell.length);
  const x = (cell % level.grid[1]) * level.steps[1], y = Math.floor(cell / level.grid[1]) * level.steps[0];
  const own = level.cell[place % level.cell.length];
  return [own[0] + x, own[1] + y, own[2] + x, own[3] + y];
}

const times = (n) => ["once", "twice"][n - 1] ?? `${n} times`;

/* ---- what each stage shows: rows of a table, best first ---- */
function views() {
  const rows = (t, keep) => ({ table: t, rows: photo.tables[t].box.map((_, i) => i).filter((i) => keep(photo.tables[t], i)) });
  const first = photo.tables[0];
  const listed = [
    { name: "Photograph", said: `What the network sees: the photograph at ${photo.width} × ${photo.height} px (it was ${photo.given[1]} × ${photo.given[0]}).` },
    { name: first.byClass ? "Class scores" : "Objectness", level: true, said: "The score of the best anchor of each cell: the more orange, the higher." },
  ];
  if (data.labelled) listed.push({ name: "Anchors", anchors: true, said: `Anchors that stand for an object in training (the best ${photo.positive.length}); dashed: low-quality matches, the best of an object but under the threshold.` });
  listed.push(
    { name: "Best of each level", ...rows(0, () => true), said: `${first.count} boxes decoded from the best anchors of each level. Dashed: those that the next filters drop.` },
    { name: "After suppression", ...rows(0, (t, i) => t.rank[i] >= 0), said: "What remains when every box has dropped the weaker ones that overlap it." },
  );
  const t = photo.tables.length - 1;
  if (staged) listed.push({ name: "Proposals", ...rows(0, (t, i) => t.rank[i] >= 0 && t.rank[i] < t.limit), said: `The best ${first.limit} of these go to the next stage.` });
  for (let n = 1; n < t; n += 1) listed.push({ name: `Moved ${times(n)}`, ...rows(n, () => true), said: `${photo.tables[n].count} proposals, each where head ${n} moved it.` });
  if (staged) listed.push({ name: "Class boxes", ...rows(t, () => true), said: `${last().count} pairs of proposal and class score enough; the box is moved once more, for each class its own way or for all alike. Dashed: those that gave way.` });
  listed.push({ name: classless ? "Final proposals" : "Final boxes", table: t, rows: last().kept, said: `${last().kept.length} boxes are the answer, down to the model's own low score; masu detect shows those from ${data.shownFrom}.`, final: true });
  return listed;
}

function colourOf(t, i) {
  const table = photo.tables[t];
  return COLOURS[(table.byClass ? table.group[i] : levelOf(originOf(t, i))) % COLOURS.length];
}

/* where a box is in the end: one that is kept where the boxes around it have voted */
function placeOf(t, i) {
  const table = photo.tables[t];
  return table.voted?.[table.kept.indexOf(i)] ?? table.box[i];
}

function drops(t, i) {
  const table = photo.tables[t];
  return table.rank[i] < 0 || table.rank[i] >= table.limit;
}

/* ---- drawing ---- */
function hint(shown) {
  if (chosen.kind === "nothing") {
    const labelled = data.labelled && !shown.level ? " Dots: labelled objects, red where lost." : "";
    return `Click a box or an object, or choose one from the lists below.${labelled}`;
  }
  const kinds = new Set(marks().map(([, kind]) => kind));
  const words = { final: staged ? "orange: the box of its class" : "orange: the decoded box", proposal: photo.tables.length > 2 ? "blue: the proposal and where it was moved" : "blue: the proposal", anchor: "yellow dashes: the anchor", object: chosen.kind === "object" && photo.objects[chosen.index].stage !== "found" ? "red: the lost object" : "white: the labelled object", rival: "pink: what it gave way to" };
  return `${Object.keys(words).filter((kind) => kinds.has(kind)).map((kind) => words[kind]).join("; ")}. Escape lets go.`.replace(/^./, (letter) => letter.toUpperCase());
}

function rectangle(box, colour, width, dashes, opacity = 1) {
  const made = shape("rect", { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], stroke: colour, "stroke-width": width, opacity });
  if (dashes) made.setAttribute("stroke-dasharray", dashes);
  return made;
}

function outlined(box, colour, width, dashes) {
  const group = shape("g", {});
  group.append(rectangle(box, "#000", width + 1.5), rectangle(box, colour, width, dashes));
  return group;
}

function draw() {
  const picture = $("picture"), shown = views()[view];
  picture.setAttribute("viewBox", `0 0 ${photo.width} ${photo.height}`);
  const laid = shownMap();
  picture.replaceChildren(shape("image", { class: laid ? "grey" : "", href: photo.picture, width: photo.width, height: photo.height }));
  picture.setAttribute("aria-label", `${photo.name}, stage ${shown.name}${laid ? `, with the map of the chosen box's ${MAPS[map]}` : ""}`);
  $("level-label").hidden = !shown.level;
  $("best-label").hidden = !shown.rows?.length;
  if (shown.level) {
    const level = photo.levels[$("level").value];
    const [h, w] = photo.canvas;
    picture.append(shape("rect", { width: photo.width, height: photo.height, style: "fill:#000;opacity:.45" }));
    picture.append(shape("image", { class: "heat", href: level.heat, x: -level.steps[1] / 2, y: -level.steps[0] / 2, width: w, height: h, preserveAspectRatio: "none" }));
  }
  $("hint").textContent = hint(shown);
  if (laid) picture.append(overlay(laid), rectangle(laid.window, "#fff", 1, "1 4"));
  if (photo.maps) sayMap(shown);
  const quiet = chosen.kind === "nothing" ? 1 : laid ? 0.15 : 0.4;
  if (shown.anchors) photo.positive.forEach(([box, , restored]) => picture.append(rectangle(box, restored ? "#f0e442" : "#00c795", 1.5, restored ? "5 3" : "", quiet)));
  if (shown.rows) {
    const best = Number($("best").value);
    $("best-said").textContent = `${best} of ${shown.rows.length}`;
    for (const i of shown.rows.slice(0, best).reverse()) {
      const box = placeOf(shown.table, i);
      picture.append(rectangle(box, colourOf(shown.table, i), 2, drops(shown.table, i) ? "3 4" : "", quiet));
    }
  }
  if (!shown.level) photo.objects.forEach((o) => picture.append(rectangle(o.box, o.stage === "found" ? "#fff" : "#ff5533", 1.5, "2 3", quiet)));
  const lost = chosen.kind === "object" && photo.objects[chosen.index].stage !== "found";
  for (const [box, kind] of marks()) {
    const own = kind === "object";
    picture.append(outlined(box, own && lost ? "#ff5a4d" : MARKS[kind], kind === "anchor" ? 2 : laid ? 1.5 : own ? 4 : 3, kind === "anchor" ? "6 4" : ""));
  }
}

/* ---- saliency ---- */
function mapOf(target) {
  if (target.kind === "nothing" || !photo.maps) return undefined;
  if (target.kind === "object") return photo.maps[photo.objects[target.index].detection];
  return target.table === photo.tables.length - 1 ? photo.maps[last().kept.indexOf(target.index)] : undefined;
}

function shownMap() {
  return views()[view].level ? undefined : mapOf(chosen)?.[map];
}

function overlay({ window: [x, y, right, bottom], picture }) {
  return shape("image", { class: "map", href: picture, x, y, width: right - x, height: bottom - y, preserveAspectRatio: "none", opacity: $("opacity").value / 100 });
}

function sayMap(shown) {
  const maps = mapOf(chosen), made = photo.maps.length;
  $("opacity-said").textContent = `${$("opacity").value} %`;
  $("map-said").textContent = shown.level ? "No map over the scores of a level."
    : !made ? "There is no final box."
    : !maps ? `Choose one of the ${made < last().kept.length ? `best ${made} ` : ""}final boxes to see what it rests on.`
    : map !== "off" && !maps[map] ? `No pixel of the window speaks for the ${MAPS[map]}.`
    : `With the window painted over, ${maps.left ? `a score of ${percent(maps.left)} is left` : "nothing is found"} on this box${maps.elsewhere ? ": what it rests on lies elsewhere, and the map says little" : ""}.`;
}

/* ---- following a box back ---- */
/* the candidate of an earlier stage that a candidate of stage t came from */
const before = (t, i) => photo.tables[t - 1].kept[photo.tables[t].row[i]];

function originOf(t, i) {
  while (t > 0) { i = before(t, i); t -= 1; }
  return photo.tables[0].row[i];
}

/* per stage the candidate: back to the anchor, and on as far as the way is one */
function chain(t, i) {
  const at = new Array(photo.tables.length).fill(undefined);
  at[t] = i;
  for (let n = t; n > 0; n -= 1) at[n - 1] = before(n, at[n]);
  for (let n = t; n + 1 < photo.tables.length; n += 1) {
    const rank = photo.tables[n].kept.indexOf(at[n]), next = photo.tables[n + 1];
    const followers = rank < 0 ? [] : next.row.map((row, j) => j).filter((j) => next.row[j] === rank);
    if (rank < 0 || next.byClass || followers.length !== 1) return { at, roi: rank < 0 ? undefined : { table: n + 1, row: rank }, anchor: originOf(0, at[0]) };
    at[n + 1] = followers[0];
  }
  return { at, anchor: originOf(0, at[0]) };
}

function ofObject(o) {
  if (o.detection !== null) return chain(photo.tables.length - 1, last().kept[o.detection]);
  const first = photo.tables[0];
  const rows = first.row.map((row, i) => i).filter((i) => first.row[i] === o.anchor);
  const own = rows.find((i) => !first.byClass || className(first.group[i]) === o.name) ?? rows[0] ?? -1;
  if (own < 0) return { at: [], anchor: o.anchor, decoded: o.decoded };
  const found = chain(0, own);
  if (found.roi) {
    const table = photo.tables[found.roi.table];
    const ofClass = table.row.map((row, i) => i).filter((i) => table.row[i] === found.roi.row && className(table.group[i]) === o.name);
    if (ofClass.length) return chain(found.roi.table, ofClass[0]);
  }
  return found;
}

function marks() {
  if (chosen.kind === "nothing") return [];
  const ofMap = shownMap() ? ([, kind]) => kind === "final" || kind === "object" : () => true;
  return chainMarks().filter(ofMap);
}

function chainMarks() {
  const list = [], object = chosen.kind === "object" ? photo.objects[chosen.index] : null;
  const found = object ? ofObject(object) : chain(chosen.table, chosen.index);
  list.push([anchorBox(found.anchor), "anchor"]);
  if (found.decoded) list.push([found.decoded, "proposal"]);
  found.at.forEach((i, t) => { if (i !== undefined) list.push([placeOf(t, i), t === photo.tables.length - 1 ? "final" : "proposal"]); });
  if (object) {
    list.push([object.box, "object"]);
    if (object.by) list.push([object.by, "rival"]);
  } else {
    const by = photo.tables[chosen.table].by[chosen.index];
    if (by >= 0) list.push([photo.tables[chosen.table].box[by], "rival"]);
  }
  return list;
}

function jump(words, target) {
  return element("button", { type: "button", class: "jump", onclick: () => { choose(target); $("detail").focus(); } }, words);
}

function step(kind, title, ...content) {
  return element("li", { style: `--mark:${MARKS[kind]}` }, element("b", {}, title), ...content);
}

function crop(box) {
  const canvas = element("canvas", { width: 168, height: 168, role: "img", "aria-label": "What the box holds" });
  const image = new Image();
  image.onload = () => canvas.getContext("2d").drawImage(image, box[0], box[1], Math.max(box[2] - box[0], 1), Math.max(box[3] - box[1], 1), 0, 0, 168, 168);
  image.src = photo.picture;
  return canvas;
}

function fate(t, i) {
  const table = photo.tables[t], what = t === photo.tables.length - 1 ? "final boxes" : "proposals";
  if (table.small[i]) return [element("p", {}, "Too small a box: dropped.")];
  if (!table.suppresses) return [element("p", {}, "Handed on to the next stage.")];
  if (table.by[i] >= 0) {
    const by = table.by[i];
    const words = `a better box (${percent(table.score[by])}, IoU ${iou(table.box[i], table.box[by]).toFixed(2)})`;
    return [element("p", {}, "Gave way to ", jump(words, { kind: "box", table: t, index: by }))];
  }
  if (table.rank[i] >= table.limit) return [element("p", {}, `Number ${table.rank[i] + 1}: beyond the ${table.limit} ${what} kept.`)];
  const weaker = table.by.map((by, j) => j).filter((j) => table.by[j] === i);
  const said = [element("p", {}, `Number ${table.rank[i] + 1} of ${table.kept.length} ${what}; ${weaker.length} ${weaker.length === 1 ? "box" : "boxes"} gave way to it.`)];
  if (table.voted) said.push(element("p", {}, `The boxes around it voted it to where it is, at IoU ${iou(placeOf(t, i), table.box[i]).toFixed(2)} with what was decoded.`));
  const buttons = weaker.slice(0, 6).map((j) => jump(`${percent(table.score[j])}, IoU ${iou(table.box[i], table.box[j]).toFixed(2)}`, { kind: "box", table: t, index: j }));
  return buttons.length ? [...said, element("p", {}, ...buttons, weaker.length > 6 ? `and ${weaker.length - 6} more` : "")] : said;
}

/* what a stage with classes says of one of the boxes that it starts from */
function roiStep(t, row) {
  const table = photo.tables[t];
  const bars = (table.classes?.[row] ?? []).map(([k, score]) => element("div", { class: "bar" }, element("span", {}, className(k)), element("i", { style: `width:${Math.max(100 * score, 0.5)}%` }), element("span", {}, percent(score))));
  return step("proposal", `RoI of proposal ${row + 1}`, crop(table.started[row]), ...bars);
}

function steps(found, object) {
  const listed = [], first = photo.tables[0], top = photo.tables.length - 1;
  const near = (box) => (object ? [element("p", {}, `IoU ${iou(box, object.box).toFixed(2)} with the object.`)] : []);
  if (found.roi) listed.push(roiStep(found.roi.table, found.roi.row));
  for (let t = top; t > 0; t -= 1) {
    const i = found.at[t], table = photo.tables[t];
    if (i === undefined) continue;
    const title = table.byClass ? `${className(table.group[i])} ${percent(table.score[i])}` : `Proposal ${table.row[i] + 1}, moved ${times(t)}`;
    const own = table.byClass ? [] : [element("p", {}, `${pixels(table.box[i])}, at IoU ${iou(table.box[i], table.started[table.row[i]]).toFixed(2)} with the box before.`)];
    listed.push(step(t === top ? "final" : "proposal", title, ...own, ...near(placeOf(t, i)), ...fate(t, i)));
    if (table.byClass) listed.push(roiStep(t, table.row[i]));
  }
  if (found.at[0] !== undefined) {
    const i = found.at[0], score = percent(first.score[i]);
    const title = first.byClass ? `${className(first.group[i])} ${score}` : `Decoded box, objectness ${score}`;
    listed.push(step(staged ? "proposal" : "final", title, element("p", {}, pixels(placeOf(0, i))), ...near(placeOf(0, i)), ...fate(0, i)));
  } else if (found.decoded) {
    listed.push(step("proposal", "Decoded box", element("p", {}, `${pixels(found.decoded)}; not among the best of its level.`), ...near(found.decoded)));
  }
  const level = levelOf(found.anchor), box = anchorBox(found.anchor);
  const moved = found.at[0] === undefined ? "" : `, which the head moved to a box at IoU ${iou(box, first.box[found.at[0]]).toFixed(2)} with it`;
  listed.push(step("anchor", `Anchor ${found.anchor}, level ${level + 1}`, element("p", {}, `${pixels(box)} on a grid of ${photo.levels[level].steps[0]} px${moved}.`), ...near(box)));
  return element("ol", {}, ...listed);
}

function detail() {
  const card = $("detail");
  if (chosen.kind === "nothing") {
    card.replaceChildren(element("h2", {}, "Nothing chosen"), element("p", { class: "soft" }, "A chosen box is followed back: final box, RoI, proposal, anchor. A lost object says which stage lost it."));
    return;
  }
  if (chosen.kind === "box") {
    const table = photo.tables[chosen.table];
    card.replaceChildren(element("h2", {}, `Box ${pixels(placeOf(chosen.table, chosen.index))}`), steps(chain(chosen.table, chosen.index)));
    return;
  }
  const o = photo.objects[chosen.index];
  const words = o.stage === "found" ? `Found: ${stages.found}` : `Lost at ${o.stage}: ${stages[o.stage]}`;
  const said = [element("p", {}, `${words}.`)];
  if (o.instead) said.push(element("p", {}, `${o.instead} wins.`));
  const other = photo.objects.findIndex((x) => x.number === o.byObject);
  if (other >= 0) said.push(element("p", {}, "That box belongs to ", jump(`object ${o.byObject}, ${photo.objects[other].name}`, { kind: "object", index: other })));
  else if (o.by) said.push(element("p", {}, "That box belongs to no labelled object."));
  const trained = { positive: "anchors stand for it", restored: "only its best anchor stands for it (low-quality match)", ignored: "its anchors take no part", background: "no anchor stands for it" };
  said.push(element("p", { class: "soft" }, `Best anchor at IoU ${o.anchorIou}, best decoded box at ${o.boxIou}; in training ${trained[o.label]}.`));
  card.replaceChildren(element("h2", {}, `Object ${o.number}: ${o.name}, ${pixels(o.box)}`), ...said, steps(ofObject(o), o));
}

/* the fate of an object in one sentence */
function story(o) {
  const who = `${o.name[0].toUpperCase()}${o.name.slice(1)} (object ${o.number})`;
  if (o.stage === "found") return `${who} was found with score ${percent(o.score)}.`;
  const rival = photo.objects.find((x) => x.number === o.byObject);
  const why = o.instead ? `, ${o.instead} wins` : rival ? `, the box of object ${rival.number}, ${rival.name}, stands in its place` : "";
  const far = o.score !== null ? `; its best score was ${percent(o.score)}` : `; the best box of the head overlaps it by IoU ${o.boxIou}`;
  return `${who} was lost: ${stages[o.stage]}${why}${far}.`;
}

function tell() {
  const lost = photo.objects.filter((o) => o.stage !== "found").length;
  $("story").textContent = chosen.kind === "object" ? story(photo.objects[chosen.index])
    : !data.labelled ? `${last().kept.length} final boxes.`
    : lost ? `${lost} of ${photo.objects.length} objects of this photograph were lost.` : "Every object of this photograph was found.";
}

/* ---- choosing ---- */
function choose(target) {
  chosen = target;
  tell();
  for (const button of document.querySelectorAll(".list button")) {
    button.setAttribute("aria-pressed", String(button.dataset.kind === target.kind && Number(button.dataset.index) === target.index && (target.kind === "object" || target.table === photo.tables.length - 1)));
  }
  detail();
  draw();
}

function radios(holder, legend, words, picked, change) {
  const group = element("fieldset", {}, element("legend", {}, legend));
  words.forEach((word, i) => {
    const input = element("input", { type: "radio", name: holder, value: i });
    input.checked = i === picked;
    input.onchange = () => change(i);
    group.append(element("label", {}, input, word));
  });
  $(holder).replaceChildren(group);
}

function show(i) {
  view = i;
  const listed = views(), rows = listed[view].rows;
  $("said").replaceChildren(element("b", {}, `${listed[i].name}.`), ` ${listed[i].said}`);
  $("stage").value = i;
  $("stage").setAttribute("aria-valuetext", `${i + 1} of ${listed.length}: ${listed[i].name}`);
  [...$("ticks").children].forEach((tick, j) => (i === j ? tick.setAttribute("aria-current", "step") : tick.removeAttribute("aria-current")));
  if (rows) {
    $("best").max = Math.max(rows.length, 1);
    $("best").value = listed[view].final ? rows.filter((r) => last().score[r] >= (data.shown[last().group[r]] ?? 0.5)).length || Math.min(rows.length, 20) : Math.min(rows.length, 50);
  }
  draw();
}

function open(index) {
  chosen = NOTHING;
  photo = data.photographs[index];
  const listed = views();
  $("stage").max = listed.length - 1;
  document.querySelector(".stages").style.setProperty("--stages", listed.length);
  $("ticks").replaceChildren(...listed.map((v, i) => element("button", { type: "button", tabindex: "-1", onclick: () => show(i) }, v.name)));
  $("level").replaceChildren(...photo.levels.map((level, i) => element("option", { value: i }, `${i + 1}: every ${level.steps[0]} px, best ${percent(level.best)}`)));
  $("level").value = photo.levels.reduce((best, level, i) => (level.best > photo.levels[best].best ? i : best), 0);
  $("objects-part").hidden = !data.labelled;
  $("objects").replaceChildren(...photo.objects.map((o, i) => element("li", {}, element("button", { type: "button", "data-kind": "object", "data-index": i, "aria-pressed": "false", class: o.stage === "found" ? "" : "lost", onclick: () => choose({ kind: "object", index: i }) }, `${o.number} ${o.name} `, element("small", {}, o.stage === "found" ? `found ${percent(o.score)}` : `lost at ${o.stage}`)))));
  const t = photo.tables.length - 1, kept = last().kept.slice(0, 100);
  $("finals-title").textContent = `Final boxes${last().kept.length > 100 ? ", the best 100" : ""}`;
  $("finals").replaceChildren(...kept.map((i) => element("li", {}, element("button", { type: "button", "data-kind": "box", "data-index": i, "aria-pressed": "false", onclick: () => choose({ kind: "box", table: t, index: i }) }, `${classless ? "" : className(last().group[i]) + " "}${percent(last().score[i])}`))));
  const heads = ["level", "grid", "one anchor every", "anchor sizes", "anchors", "best score", ...(data.labelled ? ["object", "ignored", "background"] : [])];
  const cells = (level, i) => [`${level.grid[1]} × ${level.grid[0]}`, `${level.steps[0]} px`, data.sizes[i].map((s) => `${Number(s.toPrecision(3))}`).join(", "), level.anchors, percent(level.best), ...(level.labels || [])];
  $("levels").replaceChildren(
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...photo.levels.map((level, i) => element("tr", {}, element("th", { scope: "row" }, `${i + 1}`), ...cells(level, i).map((cell) => element("td", {}, `${cell}`))))),
  );
  show(listed.length - 1);
  const first = photo.objects.findIndex((o) => o.stage !== "found");
  choose(first >= 0 ? { kind: "object", index: first } : NOTHING);
}

if ($("map")) {
  radios("map", "Map of the", Object.values(MAPS), 0, (i) => { map = Object.keys(MAPS)[i]; draw(); });
  $("opacity").oninput = draw;
}
$("stage").oninput = () => show(Number($("stage").value));
$("level").onchange = draw;
$("best").oninput = draw;
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") choose(NOTHING);
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const elsewhere = event.target.closest?.("input, select, .wide") || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey;
  if (step && !elsewhere) show(Math.min(Math.max(view + step, 0), views().length - 1));
});
$("picture").onclick = (event) => {
  const frame = $("picture").getBoundingClientRect();
  const x = ((event.clientX - frame.left) / frame.width) * photo.width, y = ((event.clientY - frame.top) / frame.height) * photo.height;
  const inside = (box) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3];
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  const shown = views()[view], under = [];
  for (const i of (shown.rows || []).slice(0, Number($("best").value))) under.push([placeOf(shown.table, i), { kind: "box", table: shown.table, index: i }]);
  photo.objects.forEach((o, i) => { if (!shown.rows || o.stage !== "found") under.push([o.box, { kind: "object", index: i }]); });
  const hit = under.filter(([box]) => inside(box)).sort((a, b) => area(a[0]) - area(b[0]))[0];
  choose(hit ? hit[1] : NOTHING);
};
if (data.photographs.length > 1) {
  radios("photographs", "Photograph", data.photographs.map((p) => `${p.name}${data.labelled ? `, ${p.objects.filter((o) => o.stage !== "found").length} lost` : ""}`), 0, open);
}
open(0);
