/** The page: reads the session, connects its parts, and asks the server each second what is new. */

import { Away, getSession, getStatus, putPhoto, setLearning } from "./api.js";
import { Canvas } from "./canvas.js";
import { colourOf } from "./colours.js";
import { askClass, askConflict, confirm, showFinish, showHelp, wireClosing } from "./dialogs.js";
import { counted, find, make, say } from "./dom.js";
import { actionOf, belongsTo } from "./keys.js";
import { rebased, shownDrafts } from "./labels.js";
import { PhotoList } from "./list.js";
import { BoxList, ClassList, drawSlider, Learning } from "./panel.js";
import { Photographs } from "./photographs.js";
import { Preferences } from "./preferences.js";
import { Saves } from "./saves.js";
import { Sitting } from "./sitting.js";
import { livingTabs, Unsent } from "./unsent.js";

const EACH = 1000; // milliseconds between two questions for the status
const EACH_HIDDEN = 8000;

/** Says what happened to those who listen: the same words twice are said twice, `after` words not instead of others. */
function said(text, { after = false } = {}) {
  const live = find("live");
  const earlier = after && performance.now() - said.at < 600 ? `${live.textContent} ` : "";
  said.at = performance.now();
  live.textContent = live.textContent === text ? `${text}\u00a0` : earlier + text;
}
said.at = -Infinity;

async function session() {
  for (let wait = 500; ; wait = Math.min(8000, wait * 2)) {
    try {
      const answer = await getSession();
      trouble("");
      return answer;
    } catch (error) {
      trouble(error instanceof Away ? "The server does not answer. Trying again …" : error.message);
      if (!(error instanceof Away) && !error.passing) throw error;
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

function trouble(text) {
  say(find("trouble"), text);
  find("trouble").hidden = !text;
}

async function start() {
  wireClosing();
  const first = await session();
  const page = new Page(first);
  await page.begin();
}

class Page {
  constructor(first) {
    this.session = first;
    this.status = null;
    this.seq = 0;
    this.failures = 0;
    this.conflicts = Promise.resolve();
    this.spaceDown = false;
    this.spaceUsed = false;
    this.preferences = new Preferences(first.key);
    this.shortcuts = this.preferences.get("shortcuts", true);
    this.tab = Math.random().toString(36).slice(2);
    this.saves = new Saves({
      put: putPhoto,
      unsent: new Unsent(window.localStorage, first.key, this.tab),
      tell: {
        changed: () => this.drawSaving(),
        saved: (id, body) => this.saved(id, body),
        conflict: (id, photo) => this.conflict(id, photo),
        refused: (id, error) => trouble(`${id} is not saved: ${error.message}`),
      },
    });
    this.photographs = new Photographs(this.saves);
    this.sitting = new Sitting({
      session: first,
      photographs: this.photographs,
      saves: this.saves,
      tell: {
        shown: (current) => this.shown(current),
        changed: (current, how) => this.changed(current, how),
        marked: (photo) => this.list.refresh(photo),
        met: () => this.met(),
        offered: (n) => this.offered(n),
        said,
        failed: trouble,
        allDone: () => this.finish(),
      },
    });
    this.canvas = new Canvas(find("stage"), {
      colour: (name) => colourOf(this.session.classes.indexOf(name)),
      number: (name) => String(this.session.classes.indexOf(name) + 1),
      tell: {
        select: (key) => this.sitting.select(key),
        draw: (box) => this.drawn(box),
        place: (key, box) => this.sitting.place(key, box),
        armed: (on) => find("draw").setAttribute("aria-pressed", String(on)),
        editable: () => this.sitting.editable,
      },
    });
    this.list = new PhotoList({
      element: find("list"),
      search: find("search"),
      filter: find("filter"),
      count: find("found"),
      tell: { open: (id) => this.openFromList(id) },
    });
    this.classList = new ClassList(find("classes"), { choose: (name) => this.sitting.rename(name) });
    this.boxList = new BoxList(find("boxes"), find("boxes-title"), {
      select: (key) => this.sitting.select(key),
      step: (step) => this.sitting.selectNext(step),
    });
    this.learning = new Learning({
      learning: (action) => setLearning(action).catch((error) => trouble(error.message)),
      open: (id) => this.openFromList(id),
    });
  }

  async begin() {
    const { session: first, preferences, sitting } = this;
    document.title = `${first.title} · masu label`;
    find("title").textContent = first.title;
    find("title").title = first.folder;
    sitting.above = preferences.get("above", null);
    sitting.setOrder(preferences.get("order", first.order ?? "random"));
    find("order").value = sitting.order;
    find("slider").value = sitting.above ?? 0.5;
    this.list.set([...sitting.photos.values()]);
    document.querySelector("[data-action='crowd']").hidden = !sitting.crowds;
    this.wire();
    for (const entry of this.saves.unsent.adopt(await livingTabs(this.tab))) {
      if (!sitting.photos.has(entry.id)) continue;
      this.saves.resume(entry);
      sitting.mark(entry.id, entry.body.state, entry.body.labels.length);
    }
    const wanted = decodeURIComponent(location.hash.replace(/^#photo=/, ""));
    if (!(await sitting.show(wanted))) await this.resume();
    this.poll();
  }

  /** Where one left: what is unfinished, else the next one; where all are done, the first. */
  async resume() {
    const { sitting } = this;
    const inState = (state) => sitting.ids.find((id) => sitting.photos.get(id).state === state);
    const begun = inState("unfinished");
    if (begun && (await sitting.show(begun))) return;
    if (inState("open")) await sitting.next();
    else await sitting.show(sitting.ids[0]);
  }

  // What is on show

  shown(current) {
    const { id, photo, image, history } = current;
    this.canvas.arm(false);
    this.canvas.open(image, history.now, photo.doubts ?? []);
    this.changed(current);
    this.list.select(id);
    window.history.replaceState(null, "", `#photo=${encodeURIComponent(id)}`);
    find("name").textContent = id;
    find("why").textContent = current.why;
    find("why").title = current.why;
    this.place();
    find("stage").setAttribute("aria-label", `The picture ${id}`);
    const note = photo.editable ? "" : photo.why || "This photograph cannot be changed here.";
    say(find("note"), note);
    find("note").hidden = !note;
    const doubts = photo.doubts ?? [];
    find("doubts").hidden = !doubts.length;
    find("doubts-list").replaceChildren(...doubts.map((doubt) => make("li", { textContent: doubt.text })));
    document.documentElement.dataset.shown = id;
    const seen = doubts.length ? ` ${doubts.map((doubt) => doubt.text).join(" ")}` : "";
    said(`${id}, ${find("where").textContent}. ${this.sitting.summary()} ${note}${seen}`, { after: true });
  }

  place() {
    const { ids, current } = this.sitting;
    if (current) find("where").textContent = `${ids.indexOf(current.id) + 1} of ${ids.length}`;
  }

  changed(current, { reveal = false } = {}) {
    if (!current) return;
    const { sitting } = this;
    const { classes } = this.session;
    const sheet = current.history.now;
    this.canvas.update(sheet, sitting.above, { reveal });
    const selected = [...sheet.labels, ...sheet.drafts].find((item) => item.key === sheet.selected);
    this.classList.draw(classes, selected?.name ?? sitting.className, sheet.labels);
    this.boxList.draw(sheet, sitting.above, classes);
    drawSlider(sheet, sitting.above, current.photo.drafts === null);
    const name = selected?.name ?? sitting.className;
    find("class-button").querySelector(".label").textContent = name ?? "Class";
    find("class-button").querySelector(".swatch").style.background = colourOf(classes.indexOf(name));
    find("class-button").setAttribute("aria-label", `Class: ${name ?? "none yet"}`);
    const drafts = shownDrafts(sheet, sitting.above).length;
    find("accept").textContent = drafts ? `Accept ${drafts}` : "Accept";
    find("accept").disabled = !drafts;
    say(find("state"), current.state === "locked" ? "cannot be changed" : current.state);
    find("state").dataset.state = current.state;
    this.drawOffer();
    find("take-back").hidden = current.state !== "done" || !sitting.editable;
  }

  /** Drafts wait for the photograph on show. */
  offered(n) {
    const { hidden } = find("offer");
    this.drawOffer();
    if (n && hidden) said(`${counted(n, "draft")} for this photograph came. V shows them.`, { after: true });
  }

  drawOffer() {
    const n = this.sitting.offered.length;
    find("offer").hidden = !n;
    say(find("offer-text"), `Show ${counted(n, "new draft")}`);
  }

  async openFromList(id) {
    this.closeSheets();
    if (await this.sitting.show(id)) find("stage").focus({ preventScroll: true });
  }

  // What a person does

  wire() {
    document.addEventListener("keydown", (event) => this.keyDown(event));
    document.addEventListener("keyup", (event) => this.keyUp(event));
    document.addEventListener("pointerdown", () => this.sitting.tick(), { capture: true, passive: true });
    document.addEventListener("click", (event) => this.pressed(event));
    find("slider").addEventListener("input", (event) => this.setAbove(Number(event.target.value)));
    find("automatic").addEventListener("click", () => {
      this.setAbove(null);
      find("slider").focus();
    });
    find("order").addEventListener("change", (event) => {
      this.preferences.set("order", event.target.value);
      this.sitting.setOrder(event.target.value);
    });
    find("settle").addEventListener("click", () => this.sitting.settle());
    find("take-back").addEventListener("click", () => this.takeBack());
    find("show-help").addEventListener("click", () => this.help());
    find("show-finish").addEventListener("click", () => this.finish());
    for (const name of ["photographs", "panel"])
      find(`show-${name}`).addEventListener("click", () => this.openSheet(name));
    const flush = () => this.saves.flush();
    addEventListener("pagehide", flush);
    addEventListener("beforeunload", flush);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) flush();
      else this.poll();
    });
    addEventListener("blur", () => this.releaseSpace());
  }

  pressed(event) {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.sheet) this.closeSheets();
    if (!button.dataset.action) return;
    this.act({ action: button.dataset.action });
    if (event.detail > 0 && !document.querySelector("dialog[open]")) find("stage").focus({ preventScroll: true });
  }

  keyDown(event) {
    this.sitting.tick();
    if (document.querySelector("dialog[open]")) return;
    if (event.defaultPrevented || event.isComposing || belongsTo(document.activeElement, event)) return;
    const found = actionOf(event);
    const single = event.key.length === 1 && !event.ctrlKey && !event.metaKey && event.key !== " " && event.key !== "?";
    if (!found || (single && !this.shortcuts)) return;
    if (found.action === "space") {
      event.preventDefault();
      if (!event.repeat) this.pressSpace();
      return;
    }
    if (event.repeat && !["nudge", "stretch", "zoomIn", "zoomOut", "selectNext", "selectPrevious", "undo", "redo"].includes(found.action)) {
      event.preventDefault();
      return;
    }
    if (this.act(found) !== false) event.preventDefault();
  }

  pressSpace() {
    this.spaceDown = true;
    this.spaceUsed = false;
    this.canvas.pan(true);
    find("stage").addEventListener("pointerdown", () => (this.spaceUsed = true), { once: true, capture: true });
  }

  keyUp(event) {
    if (event.key !== " " || !this.spaceDown) return;
    const used = this.spaceUsed;
    this.releaseSpace();
    event.preventDefault();
    if (!used && this.sitting.current && this.sitting.mayEdit()) this.sitting.acceptOne();
  }

  releaseSpace() {
    this.spaceDown = false;
    this.canvas.pan(false);
  }

  /** Does one action; false where there was nothing to do and the browser may do what it does with the key. */
  act({ action, number, dx, dy }) {
    const { sitting, canvas } = this;
    const always = {
      help: () => this.help(),
      previous: () => sitting.step(-1),
      random: () => sitting.random(),
      done: () => sitting.done(),
    };
    if (action in always) return void always[action]();
    if (!sitting.current) return false;
    const actions = {
      accept: () => (canvas.armed ? this.drawInMiddle() : sitting.accept()),
      acceptDrafts: () => sitting.acceptDrafts(),
      nothing: () => sitting.nothing(),
      draw: () => this.arm(),
      selectPrevious: () => sitting.selectNext(-1),
      selectNext: () => sitting.selectNext(1),
      remove: () => sitting.remove(),
      crowd: () => sitting.crowd(),
      copy: () => sitting.copy(),
      showOffered: () => sitting.showOffered(),
      undo: () => sitting.undo(),
      redo: () => sitting.redo(),
      fit: () => canvas.fit(),
      zoomIn: () => canvas.zoom(1.3),
      zoomOut: () => canvas.zoom(1 / 1.3),
      searchClass: () => this.searchClass(),
      class: () => this.chooseClass(number),
      loupe: () => this.loupe(),
      escape: () => this.escape(),
    };
    if (action === "nudge" || action === "stretch") {
      if (canvas.armed) return void this.drawInMiddle();
      return sitting.arrow(dx, dy, action === "stretch") ? undefined : action === "stretch" ? undefined : false;
    }
    return void actions[action]?.();
  }

  arm() {
    if (!this.canvas.armed && !this.sitting.mayEdit()) return;
    this.canvas.arm(!this.canvas.armed);
    said(this.canvas.armed ? "New box: drag, click two corners, or use the arrow keys." : "No new box.");
  }

  drawInMiddle() {
    this.canvas.arm(false);
    this.drawn(this.canvas.middle());
  }

  async drawn(box) {
    const { id } = this.sitting.current;
    if (!this.sitting.mayEdit()) return;
    if (this.sitting.className === null) this.sitting.className = await this.askForClass();
    if (this.sitting.className === null || this.sitting.current?.id !== id) return;
    this.sitting.draw(box, this.sitting.className);
  }

  async askForClass() {
    const name = await askClass(this.session.classes, (classes) => this.setClasses(classes));
    find("stage").focus({ preventScroll: true });
    return name;
  }

  async searchClass() {
    this.closeSheets();
    const { current } = this.sitting;
    const selected = this.sitting.sheet.selected;
    const name = await this.askForClass();
    if (name === null || this.sitting.current !== current) return;
    this.sitting.select(selected);
    this.sitting.rename(name);
  }

  setClasses(classes) {
    this.session.classes = classes;
    this.sitting.className ??= classes[0] ?? null;
    this.changed(this.sitting.current);
  }

  chooseClass(number) {
    const name = this.session.classes[number];
    if (name === undefined) said(`There is no class ${number + 1}.`);
    else this.sitting.rename(name);
  }

  loupe() {
    this.canvas.loupe.always = !this.canvas.loupe.always;
    said(this.canvas.loupe.always ? "Magnifying glass always on." : "Magnifying glass where it helps.");
  }

  escape() {
    if (this.canvas.stop()) this.canvas.redraw();
    if (this.canvas.armed) this.canvas.arm(false);
    else if (document.querySelector(".sheet.open")) this.closeSheets();
    else if (this.sitting.sheet.selected !== null) this.sitting.select(null);
    find("stage").focus({ preventScroll: true });
  }

  setAbove(above) {
    this.sitting.above = above;
    this.preferences.set("above", above);
    this.changed(this.sitting.current);
  }

  async takeBack() {
    const { current } = this.sitting;
    const text = `Take back the answer for ${current.id}? Its label file is moved aside, not deleted.`;
    if ((await confirm(text, "Take it back")) && this.sitting.current === current) this.sitting.takeBack();
  }

  help() {
    showHelp(this.shortcuts, (on) => {
      this.shortcuts = on;
      this.preferences.set("shortcuts", on);
    });
  }

  async finish() {
    const photos = [...this.sitting.photos.values()];
    const done = photos.filter((photo) => photo.state === "done");
    const boxes = done.reduce((sum, photo) => sum + photo.boxes, 0);
    await showFinish(this.session, { photos: photos.length, done: done.length, boxes, waiting: this.saves.waiting });
  }

  openSheet(name) {
    const opens = !find(name).classList.contains("open");
    this.closeSheets();
    find(name).classList.toggle("open", opens);
    find(`show-${name}`).setAttribute("aria-expanded", String(opens));
    if (opens) find(name).querySelector("[data-sheet]").focus();
    if (opens && name === "photographs") this.list.select(this.sitting.current?.id);
  }

  closeSheets() {
    for (const name of ["photographs", "panel"]) {
      find(name).classList.remove("open");
      find(`show-${name}`).setAttribute("aria-expanded", "false");
    }
  }

  // What the server says

  saved(id, body) {
    const written = body.state === "done" || body.state === "open";
    if (written && !this.saves.busy(id)) this.sitting.written(id).catch(() => {});
    if (find("trouble").textContent.startsWith(id)) trouble("");
  }

  drawSaving() {
    const { waiting, trouble: fault } = this.saves;
    if (fault && waiting) {
      const why = fault instanceof Away ? "The server does not answer." : `${fault.message.replace(/\.$/, "")}.`;
      trouble(`${why} Still to be saved: ${counted(waiting, "photograph")}. Nothing is lost, this browser keeps them.`);
      this.told = true;
    } else if (this.told) {
      this.told = false;
      trouble("");
    }
    say(find("saving"), waiting ? "Saving …" : "Saved");
  }

  /** One question after the other, each about a photograph that two people have changed. */
  conflict(id, photo) {
    this.conflicts = this.conflicts.then(async () => {
      const body = this.saves.bodyOf(id);
      if (!body) return;
      const choice = await askConflict(id, body, photo);
      const own = this.sitting.current?.id === id;
      if (choice === "theirs") {
        this.saves.takeTheirs(id, photo);
        if (photo.state !== "unfinished") this.saves.save(id, { state: "dropped", labels: [] }, { now: true });
        this.sitting.mark(id, photo.state, photo.labels.length);
        this.photographs.forget(id);
        if (own) this.sitting.open(photo, this.sitting.current.image);
        return;
      }
      this.saves.keepMine(id, photo, (mine) => ({ ...mine, labels: rebased(mine.labels, photo.labels) }));
      if (own) this.sitting.rebase(photo);
    });
  }

  async poll() {
    clearTimeout(this.timer);
    if (this.polling) return;
    this.polling = true;
    try {
      const status = await getStatus(this.seq);
      if (this.failures) await this.returned();
      this.failures = 0;
      this.seq = status.seq;
      this.heard(status);
    } catch (error) {
      this.failures += 1;
      if (this.failures >= 2 && !this.saves.waiting)
        trouble(error instanceof Away ? "The server does not answer. Trying again …" : error.message);
    } finally {
      this.polling = false;
    }
    const each = document.hidden ? EACH_HIDDEN : EACH;
    this.timer = setTimeout(() => this.poll(), Math.min(8000, each * (1 + this.failures)));
  }

  /** The server is back, perhaps a new one: what it knows of all photographs is asked again. */
  async returned() {
    trouble("");
    this.saves.wake();
    const fresh = await getSession();
    this.session.classes = fresh.classes;
    this.meet(fresh.photos.map((photo, at) => ({ ...photo, at })));
    for (const { id, state, boxes, drafts } of fresh.photos)
      if (this.sitting.photos.has(id) && !this.saves.busy(id)) this.sitting.mark(id, state, boxes, drafts);
  }

  heard(status) {
    this.status = status;
    this.meet(status.changed ?? []);
    for (const change of status.changed ?? []) this.elsewhere(change);
    if (status.classes && String(status.classes) !== String(this.session.classes)) this.setClasses(status.classes);
    this.learning.draw(status);
    const { state, text } = status.learning;
    if (this.learnt && this.learnt !== state && ["ready", "failed"].includes(state)) said(text, { after: true });
    this.learnt = state;
    const { photos, done } = status.counts;
    find("progress").value = photos ? done / photos : 0;
    say(find("counts"), `${done.toLocaleString("en")} of ${photos.toLocaleString("en")} done`);
  }

  /** Takes in those photographs that this page does not know yet. */
  meet(photos) {
    const { sitting } = this;
    const fresh = photos.filter(({ id }) => !sitting.photos.has(id));
    if (!fresh.length) return;
    sitting.meet(fresh);
    said(`${counted(fresh.length, "photograph")} more.`, { after: true });
  }

  met() {
    const { sitting } = this;
    this.list.set([...sitting.photos.values()]);
    this.place();
    if (sitting.current && !sitting.opening) sitting.readAhead();
  }

  /** A photograph that is different on the server. */
  elsewhere({ id, state, boxes, drafts, version, drafted }) {
    const { sitting, saves } = this;
    if (!sitting.photos.has(id) || saves.busy(id)) return;
    const photo = sitting.photos.get(id);
    if (photo.state !== state || photo.boxes !== boxes || photo.drafts !== drafts) sitting.mark(id, state, boxes, drafts);
    const other = version !== saves.versions.get(id);
    const { current } = sitting;
    if (current?.id !== id) {
      if (other || drafted) this.photographs.forget(id);
      return;
    }
    const hasNews = other || (drafted && current.photo.drafts === null && !sitting.touched);
    if (sitting.opening) return;
    if (hasNews) sitting.renew().catch(() => {});
    else if (drafted) sitting.lookForDrafts(this.status.model?.version).catch(() => {});
  }
}

start().catch((error) => trouble(error.message));
