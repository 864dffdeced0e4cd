/** A person's work on one photograph after the other: which one is shown, what has changed, when it is sent. */

import * as sheets from "./labels.js";
import { counted } from "./dom.js";
import { getDrafts, getNext, getPhoto } from "./api.js";

const PAUSE = 1000; // milliseconds; arrow keys within it are one step of undo
const ABSENT = 60_000; // milliseconds without a key or a pointer that still count as work
const clock = () => performance.now();

/** In place of a photograph that cannot be read. */
function blank(photo) {
  Object.assign(photo, { width: 400, height: 300 });
  const image = new Image(400, 300);
  image.alt = "";
  return image;
}

export class Sitting {
  /**
   * tell has shown(current), changed(current, {reveal}), marked(photo), said(text), failed(text), allDone().
   * session is what /api/session gave; photographs reads, saves sends.
   */
  constructor({ session, photographs, saves, tell }) {
    Object.assign(this, { photographs, saves, tell });
    this.classes = session.classes;
    this.photos = new Map(session.photos.map((photo) => [photo.id, photo]));
    this.ids = session.photos.map((photo) => photo.id);
    this.order = session.order ?? "random";
    this.crowds = session.crowds ?? true;
    this.current = null;
    this.opening = null;
    this.above = null;
    this.spent = new Map(); // id → seconds of work
    this.className = this.classes[0] ?? null;
    this.trail = []; // ids in the order in which they were shown
    this.at = -1;
    this.lastLabels = null;
    this.ended = false;
    this.upcoming = null; // {after, order, id: promise}
    this.active = clock();
    this.tags = { at: 0, name: "" };
  }

  // Which photograph

  /** Shows a photograph; the one on show is left first. */
  async show(id, { trail = "push", why = "" } = {}) {
    if (!this.photos.has(id)) return false;
    const begun = clock();
    this.leave();
    this.opening = id;
    const read = this.photographs.get(id);
    let photo;
    let image;
    try {
      photo = await read.photo;
      image = photo.width ? await read.image : blank(photo);
    } catch (error) {
      if (this.opening === id) {
        this.opening = null;
        this.tell.failed(`${id} could not be opened: ${error.message}`);
      }
      return false;
    }
    if (this.opening !== id) return false;
    this.opening = null;
    if (trail === "push" && this.trail[this.at] !== id) {
      this.trail = [...this.trail.slice(0, this.at + 1), id];
      this.at = this.trail.length - 1;
    }
    this.open(photo, image, why);
    performance.measure("masu-label-show", { start: begun, end: clock() });
    this.readAhead();
    return true;
  }

  /** Photographs that have come since, [{id, at, state, boxes, drafts}], each at its place among all. */
  meet(fresh) {
    for (const { id, at, state, boxes, drafts } of [...fresh].sort((a, b) => a.at - b.at)) {
      this.ids.splice(at, 0, id);
      this.photos.set(id, { id, state, boxes, drafts });
    }
    this.photos = new Map(this.ids.map((id) => [id, this.photos.get(id)]));
    this.ended = false;
    this.tell.met();
  }

  open(photo, image, why = "") {
    const waiting = this.saves.bodyOf(photo.id); // what the server has not confirmed is newer than what it says
    const told = waiting && waiting.state !== "open" && waiting.state !== "dropped" ? { ...photo, state: waiting.state, labels: waiting.labels, drafts: waiting.drafts } : photo;
    const sheet = sheets.sheetOf(told);
    this.current = {
      id: photo.id,
      photo: told,
      image,
      base: sheet,
      history: sheets.begin(sheet),
      state: told.state,
      sent: Boolean(waiting),
      why,
    };
    this.active = clock();
    this.tell.shown(this.current);
  }

  /**
   * The photograph on show as the server has it now. Edits that the server has not confirmed stay: whether they fit is
   * decided when they are sent.
   */
  async renew() {
    const { current, saves } = this;
    const { id } = current;
    const before = this.sheet;
    const photo = await getPhoto(id);
    const edited = () => this.sheet.labels !== before.labels || this.sheet.drafts !== before.drafts;
    if (this.current !== current || this.opening || saves.busy(id) || edited()) return;
    const drafted = current.photo.drafts === null && photo.drafts !== null;
    if (photo.version === saves.versions.get(id) && (this.touched || !drafted)) return;
    saves.opened(id, photo.version);
    this.photographs.forget(id);
    this.open(photo, current.image, current.why);
  }

  /** Drafts have come for the photograph on show while somebody works on it: they are told of, and wait. */
  async lookForDrafts(model) {
    const { current } = this;
    if (!this.editable || current.state === "done" || (current.asked && current.asked === model)) return;
    const answer = await getDrafts(current.id);
    if (this.current !== current) return;
    if (answer.model === model) current.asked = model;
    current.offered = answer.drafts;
    this.tell.offered(this.offered.length);
  }

  /** The drafts that wait, those that would be shown. */
  get offered() {
    const { current } = this;
    if (!current?.offered) return [];
    return sheets.newDrafts(this.sheet, current.base, current.offered).filter((draft) => sheets.isShown(draft, this.above));
  }

  showOffered() {
    const { current, offered } = this;
    if (!offered.length) return this.tell.said("No drafts are waiting.");
    const every = sheets.newDrafts(this.sheet, current.base, current.offered);
    current.offered = null;
    current.photo = { ...current.photo, drafts: current.photo.drafts ?? [] };
    return this.change(sheets.withDrafts(this.sheet, every), { text: `${counted(offered.length, "more draft")}.` });
  }

  readAhead() {
    const { id } = this.current;
    this.upcoming = { after: id, order: this.order, id: this.nextId(id) };
    this.upcoming.id.then((next) => this.current?.id === id && this.photographs.ahead(next?.id)).catch(() => {});
    this.photographs.ahead(this.trail[this.at - 1]);
  }

  /** {id, why} of the photograph after this one; an id of null where all are done. */
  async nextId(after) {
    if (this.order !== "list") return getNext(after, this.order);
    const at = this.ids.indexOf(after);
    return { id: this.ids[(at + 1) % this.ids.length], why: "" };
  }

  async next() {
    if (this.at < this.trail.length - 1) return this.step(1);
    const after = this.current?.id ?? null;
    const { upcoming } = this;
    const early = upcoming && upcoming.after === after && upcoming.order === this.order;
    let answer = null;
    try {
      answer = early ? await upcoming.id : await this.nextId(after);
      const other = this.order !== "list" && answer.id !== null && this.photos.get(answer.id)?.state === "done";
      if (other) await this.saves.settled(answer.id); // the server was asked before it had that answer
      if (other || answer.id === null) answer = await this.nextId(after);
    } catch {
      answer = this.openOne(after); // the server is away: what has been read ahead can still be worked on
    }
    if (answer.id === null) return this.end();
    return this.show(answer.id, { why: answer.why ?? "" });
  }

  openOne(after) {
    const from = this.ids.indexOf(after) + 1;
    const around = [...this.ids.slice(from), ...this.ids.slice(0, from)];
    return { id: around.find((id) => id !== after && this.photos.get(id).state !== "done") ?? null };
  }

  /** No photograph is open: that is told once; later one goes through all of them. */
  end() {
    const left = this.ids.filter((id) => this.photos.get(id).state === "unfinished");
    if (left.length && left[0] !== this.current?.id) return this.show(left[0]);
    if (left.length) {
      this.tell.said("This is the last photograph, and it is unfinished.");
      return false;
    }
    if (this.ended) return this.show(this.ids[(this.ids.indexOf(this.current?.id) + 1) % this.ids.length]);
    this.ended = true;
    return this.tell.allDone();
  }

  step(by) {
    const at = this.at + by;
    if (at >= 0 && at < this.trail.length) {
      this.at = at;
      return this.show(this.trail[at], { trail: "keep" });
    }
    if (by > 0) return this.next();
    const place = this.ids.indexOf(this.current?.id) - 1;
    if (place < 0) {
      this.tell.said("This is the first photograph.");
      return false;
    }
    this.trail = [this.ids[place], ...this.trail];
    this.at = 0;
    return this.show(this.ids[place], { trail: "keep" });
  }

  random() {
    const open = this.ids.filter((id) => id !== this.current?.id && this.photos.get(id).state === "open");
    return open.length ? this.show(open[Math.floor(Math.random() * open.length)]) : this.end();
  }

  setOrder(order) {
    this.order = order;
    if (this.current) this.readAhead();
  }

  // What is on it

  get sheet() {
    return this.current?.history.now ?? null;
  }

  get editable() {
    return Boolean(this.current?.photo.editable);
  }

  /** Whether it is different from what it was when it was opened. */
  get edited() {
    return Boolean(this.current) && !sheets.sameAnswer(this.sheet, this.current.base);
  }

  /** Whether a person has worked on it, also where all of that was undone. */
  get touched() {
    return Boolean(this.current?.sent) || this.edited;
  }

  /** Makes `sheet` what is now; what changed is sent. */
  change(sheet, { tag = null, reveal = false, text = "" } = {}) {
    const { current } = this;
    if (!current || sheet === this.sheet) return false;
    const edited = sheet.labels !== this.sheet.labels || sheet.drafts !== this.sheet.drafts;
    if (edited && !this.mayEdit()) return false;
    current.history = sheets.change(current.history, sheet, tag);
    if (edited) this.keep();
    this.tell.changed(current, { reveal });
    if (text) this.tell.said(text);
    return true;
  }

  mayEdit() {
    if (this.editable) return true;
    this.tell.said(this.current?.photo.why || "This photograph cannot be changed here.");
    return false;
  }

  travel(way, nothing) {
    if (!this.current || !this.mayEdit()) return;
    const history = way(this.current.history);
    if (history === this.current.history) {
      this.tell.said(nothing);
      return;
    }
    this.current.history = history;
    this.keep();
    this.tell.changed(this.current, { reveal: true });
    this.tell.said(`${way === sheets.undo ? "Undone" : "Done again"}. ${this.summary()}`);
  }

  undo = () => this.travel(sheets.undo, "There is nothing to undo.");
  redo = () => this.travel(sheets.redo, "There is nothing to do again.");

  summary() {
    const drafts = sheets.shownDrafts(this.sheet, this.above).length;
    const boxes = counted(this.sheet.labels.length, "box", "boxes");
    return drafts ? `${boxes}, ${counted(drafts, "draft")}.` : `${boxes}.`;
  }

  // What is sent

  /** Counts the time of work on this photograph; called at each key and pointer. */
  tick() {
    const now = clock();
    const id = this.current?.id;
    if (id) this.spent.set(id, (this.spent.get(id) ?? 0) + Math.min(now - this.active, ABSENT) / 1000);
    this.active = now;
  }

  send(state, { now = false } = {}) {
    const { current } = this;
    this.tick();
    const { labels, drafts } = sheets.answerOf(this.sheet);
    const looked = current.photo.drafts !== null; // else drafts may still come
    const seconds = Math.round((this.spent.get(current.id) ?? 0) * 10) / 10;
    const body = { state, labels, drafts: looked ? drafts : null, seconds };
    current.sent = true;
    current.state = state === "dropped" ? current.photo.state : state;
    this.mark(current.id, current.state, state === "open" ? 0 : labels.length);
    this.saves.save(current.id, body, { now });
  }

  /** An edit is kept. Where all is as it was before the first one, there is nothing to keep. */
  keep() {
    const { current } = this;
    const back = !this.edited && current.photo.state !== "unfinished";
    this.send(back ? "dropped" : "unfinished");
  }

  /** Own knowledge of a photograph's state, until the server's status says it too. */
  mark(id, state, boxes, drafts = this.photos.get(id).drafts) {
    const photo = this.photos.get(id);
    Object.assign(photo, { state, boxes, drafts });
    this.tell.marked(photo);
  }

  /** Before another photograph is shown. */
  leave() {
    const { current } = this;
    if (!current) return;
    if (this.sheet.labels.length) this.lastLabels = this.sheet.labels;
    if (current.sent) this.photographs.forget(current.id);
  }

  /**
   * The server has written an answer into the label file, where the labels may now stand in other places. Where the
   * photograph is still on show it is read again; edits made meanwhile stay.
   */
  async written(id) {
    const { current } = this;
    this.photographs.forget(id);
    if (current?.id !== id || this.opening) return;
    const before = this.sheet;
    const photo = await this.photographs.get(id).photo;
    if (this.current !== current || this.opening) return;
    if (this.sheet.labels === before.labels && this.sheet.drafts === before.drafts && !this.saves.busy(id)) {
      this.open(photo, current.image);
      return;
    }
    this.rebase(photo);
    this.keep();
  }

  /** The labels on show get the places that they have in the file as it now is; earlier steps are forgotten. */
  rebase(photo) {
    const labels = sheets.rebased(this.sheet.labels, photo.labels);
    this.current.history = sheets.begin({ ...this.sheet, labels });
    this.current.base = sheets.sheetOf(photo);
    this.current.photo = { ...this.current.photo, state: photo.state };
  }

  /** Done where there is something to say about it, and the next one. */
  async done() {
    const { current, sheet } = this;
    if (!current) return this.next();
    const drafts = sheets.shownDrafts(sheet, this.above).length;
    const says = sheet.labels.length > 0 || (this.edited && !drafts);
    const known = current.state === "done" || (current.state === "open" && !this.edited);
    if (this.editable && says && !known) {
      const left = drafts ? ` ${counted(drafts, "draft")} left out.` : "";
      this.tell.said(`Done: ${counted(sheet.labels.length, "box", "boxes")}.${left}`);
      this.send("done", { now: true });
    } else if (this.edited && current.state === "unfinished") this.tell.said(`Left unfinished: ${this.summary()}`);
    return this.next();
  }

  /** The deliberate answer that there is nothing to find on the photograph. */
  async nothing() {
    if (!this.current || !this.mayEdit()) return false;
    if (this.sheet.labels.length) {
      this.tell.said(`There ${this.sheet.labels.length === 1 ? "is a box" : "are boxes"} here. Delete them first.`);
      return false;
    }
    const { current } = this;
    current.history = sheets.change(current.history, sheets.withoutDrafts(this.sheet));
    this.send("done", { now: true });
    this.tell.said("Done: nothing here.");
    return this.next();
  }

  /** The labels that the model doubts are right as they are. */
  async settle() {
    if (!this.current || !this.mayEdit()) return false;
    this.send("done", { now: true });
    this.tell.said("The labels stay as they are.");
    return this.next();
  }

  async takeBack() {
    if (!this.current || !this.mayEdit()) return;
    this.send("open", { now: true });
    this.tell.said("The answer is taken back.");
  }

  // Steps of work

  draw(box, name) {
    const sheet = sheets.add(this.sheet, box, name);
    this.change(sheet, { text: `New box: ${sheets.inSpeech(sheets.labelOf(sheet, sheet.selected))}` });
  }

  place(key, box) {
    this.change(sheets.select(sheets.place(this.sheet, key, box), key));
  }

  select(key) {
    const sheet = sheets.select(this.sheet, key);
    const item = sheets.itemOf(sheet, sheet.selected);
    this.change(sheet, { text: item ? sheets.inSpeech(item) : "Nothing selected." });
  }

  selectNext(step) {
    const sheet = sheets.selectNext(this.sheet, step, this.above);
    const item = sheets.itemOf(sheet, sheet.selected);
    if (!item) this.tell.said("There are no boxes here.");
    else if (!this.change(sheet, { reveal: true, text: sheets.inSpeech(item) })) this.tell.said(sheets.inSpeech(item));
  }

  arrow(dx, dy, stretch) {
    const key = this.sheet?.selected;
    if (key === null || key === undefined) return false;
    const now = clock();
    const name = `${stretch}:${key}`;
    if (now - this.tags.at > PAUSE || this.tags.name !== name) this.tags.tag = `${name}:${now}`;
    Object.assign(this.tags, { at: now, name });
    const sheet = (stretch ? sheets.stretch : sheets.nudge)(this.sheet, dx, dy);
    const text = () => sheets.inSpeech(sheets.itemOf(sheet, key));
    if (!this.change(sheet, { tag: this.tags.tag, reveal: true, text: text() })) this.tell.said("This is the edge.");
    return true;
  }

  rename(name) {
    const { selected } = this.sheet;
    this.className = name;
    if (selected === null) this.tell.said(`New boxes are ${name}.`);
    else this.change(sheets.rename(this.sheet, selected, name), { text: `The box is ${name}.` });
    this.tell.changed(this.current, {});
  }

  crowd() {
    if (!this.crowds) return this.tell.said("Label files of this format cannot say that a box is a crowd.");
    const { selected } = this.sheet;
    if (selected === null) return this.tell.said("Select a box first.");
    const sheet = sheets.toggleCrowd(this.sheet, selected);
    const text = sheets.labelOf(sheet, selected)?.crowd ? "A crowd region." : "One object.";
    return this.change(sheet, { text });
  }

  remove() {
    const { selected } = this.sheet;
    const item = sheets.itemOf(this.sheet, selected);
    if (!item) return this.tell.said("Select a box first.");
    const text = item.score === undefined ? "Box deleted." : "Draft dropped.";
    return this.change(sheets.remove(this.sheet, selected, this.above), { text: `${text} ${this.afterwards(selected)}` });
  }

  /** Where the selection goes once `key` is gone, in words. */
  afterwards(key) {
    const sheet = sheets.remove(this.sheet, key, this.above);
    const item = sheets.itemOf(sheet, sheet.selected);
    return item ? `Selected: ${sheets.inSpeech(item)}` : "No box is left.";
  }

  /** The selected draft becomes a label, and the next draft is selected. */
  acceptOne() {
    const { selected } = this.sheet;
    const draft = sheets.draftOf(this.sheet, selected);
    if (!draft) {
      const [first] = sheets.shownDrafts(this.sheet, this.above);
      if (first) this.select(first.key);
      else this.tell.said("There is no draft to accept.");
      return;
    }
    const shown = sheets.shownDrafts(this.sheet, this.above);
    const following = shown[shown.indexOf(draft) + 1] ?? shown.find((other) => other !== draft) ?? null;
    const sheet = sheets.select(sheets.accept(this.sheet, selected), following?.key ?? selected);
    const then = following ? ` Selected: ${sheets.inSpeech(following)}` : " It was the last draft.";
    this.change(sheet, { reveal: true, text: `Accepted ${draft.name}.${then}` });
  }

  acceptDrafts() {
    const n = sheets.shownDrafts(this.sheet, this.above).length;
    if (!n) return this.tell.said("There is no draft to accept.");
    return this.change(sheets.acceptAll(this.sheet, this.above), { text: `Accepted ${counted(n, "draft")}.` });
  }

  /** Enter: drafts first, then done. */
  accept() {
    if (!this.editable) return this.next();
    if (sheets.shownDrafts(this.sheet, this.above).length) return this.acceptDrafts();
    if (!this.sheet.labels.length && !this.edited && this.current.state !== "done")
      return this.tell.said("No box is here yet. Press N if there is nothing to find, D to go on without an answer.");
    return this.done();
  }

  copy() {
    if (!this.lastLabels) return this.tell.said("There is no photograph before to copy from.");
    const sheet = sheets.copyFrom(this.sheet, this.lastLabels);
    const n = sheet.labels.length - this.sheet.labels.length;
    return n ? this.change(sheet, { text: `Copied ${counted(n, "box", "boxes")}.` }) : this.tell.said("They are here already.");
  }
}
