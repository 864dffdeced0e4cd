// The page of `masu serve`: a photograph or the camera, and what a model finds in it.

import { models, predict } from "./api.js";
import { Boxes, summary } from "./boxes.js";
import { Camera } from "./camera.js";
import { colourOf } from "./colours.js";

const LEAST = 0.05; // the smallest score that is asked for; the slider chooses among these

const at = (id) => document.getElementById(id);
const boxes = new Boxes(at("boxes"));
const camera = new Camera(at("film"));

let served = [];
let found = null; // what the server said of the picture
let chosen = null; // the threshold; null: the model's own
let picture = null; // the file that is shown
let asked = 0;

const model = () => served.find((one) => one.name === at("model").value);
const least = (detection) => chosen ?? model().thresholds[detection.name];

function trouble(text) {
  at("trouble").textContent = text ?? "";
  at("trouble").hidden = !text;
}

function row(one, index) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.style.background = colourOf(one.label);
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = one.name;
  button.append(swatch, name, one.score.toFixed(2));
  const [x1, y1, x2, y2] = one.box.map(Math.round);
  button.title = `${x2 - x1} by ${y2 - y1} at ${x1}, ${y1}`;
  const follow = (on) => boxes.follow(on ? index : pressed());
  button.addEventListener("mouseenter", () => follow(true));
  button.addEventListener("mouseleave", () => follow(false));
  button.addEventListener("focus", () => follow(true));
  button.addEventListener("blur", () => follow(false));
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    at("found").querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", "false"));
    button.setAttribute("aria-pressed", String(on));
    follow(on);
  });
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function pressed() {
  const rows = [...at("found").querySelectorAll("button")];
  const index = rows.findIndex((one) => one.getAttribute("aria-pressed") === "true");
  return index < 0 ? null : index;
}

function show() {
  at("own").hidden = chosen === null;
  const values = Object.values(model()?.thresholds ?? {});
  const same = values.every((value) => value === values[0]);
  at("score").textContent = chosen === null ? (same ? values[0]?.toFixed(2) : "by class") : chosen.toFixed(2);
  at("threshold").value = chosen ?? Math.min(...values);
  if (!found) return;
  const shown = found.detections.filter((one) => one.score >= least(one));
  boxes.followed = null;
  boxes.show(found, shown);
  at("found").replaceChildren(...shown.map(row));
  at("found-title").textContent = summary(shown);
  document.documentElement.dataset.shown = String(shown.length);
}

async function ask(file) {
  const turn = ++asked;
  const begun = performance.now();
  const said = await predict(file, model().name, LEAST);
  if (turn !== asked) return;
  found = said;
  at("took").textContent = `${found.width} by ${found.height} pixels, ${Math.round(performance.now() - begun)} ms`;
  show();
}

function clear() {
  found = null;
  boxes.show({ width: 1, height: 1 }, []);
  at("found").replaceChildren();
  at("found-title").textContent = "Looking …";
  at("took").textContent = "";
}

function onStage(element) {
  at("empty").hidden = true;
  at("picture").hidden = false;
  at("stage").classList.add("full");
  for (const id of ["photograph", "film"]) at(id).hidden = at(id) !== element;
}

async function look(file) {
  stopCamera();
  trouble();
  clear();
  picture = file;
  const image = at("photograph");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.alt = file.name ?? "The photograph";
  onStage(image);
  try {
    await ask(file);
    at("live").textContent = summary(boxes.shown);
  } catch (error) {
    at("found-title").textContent = "Nothing yet";
    trouble(error.message);
  }
}

function stopCamera() {
  asked += 1;
  camera.stop();
  at("camera").setAttribute("aria-pressed", "false");
  at("camera").textContent = "Use the camera";
}

async function film() {
  if (camera.on) {
    stopCamera();
    return;
  }
  trouble();
  try {
    await camera.start();
    picture = null;
    clear();
    onStage(at("film"));
    at("camera").setAttribute("aria-pressed", "true");
    at("camera").textContent = "Stop the camera";
    while (camera.on) await ask(await camera.frame());
  } catch (error) {
    stopCamera();
    trouble(error.message);
  }
}

at("file").addEventListener("change", (event) => {
  if (event.target.files[0]) look(event.target.files[0]);
  event.target.value = "";
});
at("camera").addEventListener("click", film);
at("threshold").addEventListener("input", (event) => {
  chosen = Number(event.target.value);
  show();
});
at("threshold").addEventListener("change", () => {
  if (found) at("live").textContent = summary(boxes.shown);
});
at("own").addEventListener("click", () => {
  chosen = null;
  show();
  at("threshold").focus();
});
at("model").addEventListener("change", () => {
  chosen = null;
  at("version").textContent = model().version;
  show();
  if (picture) look(picture);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    at("stage").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) look(event.dataTransfer.files[0]);
  });
}
addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (file) look(file);
});

try {
  served = await models();
  at("model").replaceChildren(...served.map((one) => new Option(one.name, one.name)));
  at("model-field").hidden = served.length < 2;
  at("version").textContent = model().version;
  show();
  document.documentElement.dataset.ready = "";
} catch (error) {
  trouble(error.message);
}
