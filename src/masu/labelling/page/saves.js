/**
 * The queue of answers. For each photograph one request at a time, the newest answer last; what the server did not
 * confirm is asked again until it is, and kept in the browser meanwhile.
 */

import { Away, Refused } from "./api.js";
import { sameLabels } from "./labels.js";

const REST = 250; // milliseconds between an edit and its request, so that a burst of edits is one
const LONGEST_WAIT = 8000; // milliseconds between two tries
const MOST_LOST = 4;

export class Saves {
  /**
   * put(id, body, keepalive) sends; unsent keeps; tell has
   *   changed()               how many wait, or whether the server answers, is different
   *   saved(id, body, answer) the server has it
   *   conflict(id, photo)     somebody else has changed it; `keepMine` or `takeTheirs` decides
   *   refused(id, error)      the server will not take this answer; the next edit tries again
   */
  constructor({ put, unsent, tell, rest = REST }) {
    Object.assign(this, { put, unsent, tell, rest });
    this.entries = new Map(); // id → {body, flying, lost, timer, tries, held, waiting}; lost: those sent that have perhaps arrived
    this.versions = new Map();
    this.trouble = null;
  }

  /** The photograph has been read from the server with this version. */
  opened(id, version) {
    if (!this.entries.has(id)) this.versions.set(id, version);
  }

  busy = (id) => this.entries.has(id);
  bodyOf = (id) => this.entries.get(id)?.body ?? this.entries.get(id)?.flying ?? null;
  get waiting() {
    return this.entries.size;
  }

  /** Takes an answer; `now` sends it without waiting for more edits. */
  save(id, body, { now = false } = {}) {
    const entry = this.entries.get(id) ?? { flying: null, lost: [], timer: null, tries: 0, held: false, waiting: [] };
    entry.body = body;
    if (entry.held === "refused") entry.held = false;
    this.entries.set(id, entry);
    this.unsent.keep(id, body, this.versions.get(id), this.uncertain(entry));
    this.schedule(id, now ? 0 : this.rest);
    this.tell.changed();
  }

  /** An answer that an earlier page could not send. */
  resume({ id, body, version, lost }) {
    if (this.entries.has(id)) return;
    this.versions.set(id, version);
    this.save(id, body);
    this.entries.get(id).lost = lost ?? [];
    this.schedule(id, 0);
  }

  /** Resolves once the server has everything of this photograph, or cannot be reached, or has refused it. */
  settled(id) {
    const entry = this.entries.get(id);
    if (!entry || entry.held || this.trouble) return Promise.resolve();
    if (!entry.flying) this.schedule(id, 0);
    return new Promise((done) => entry.waiting.push(done));
  }

  /** Sends at once whatever can be sent, in requests that outlive the page. */
  flush() {
    for (const id of [...this.entries.keys()]) this.send(id, true);
  }

  /** The server answers again: what waits is tried now. */
  wake() {
    if (!this.trouble) return;
    for (const [id, entry] of this.entries) if (!entry.flying && !entry.held) this.schedule(id, 0);
  }

  /** Decides a conflict for the answer of this page, made to fit what is there now. */
  keepMine(id, photo, refit) {
    const entry = this.entries.get(id);
    if (!entry) return;
    this.versions.set(id, photo.version);
    entry.held = false;
    this.save(id, refit(entry.body));
  }

  /** Decides a conflict for the answer that the server has. */
  takeTheirs(id, photo) {
    this.finish(id);
    this.versions.set(id, photo.version);
    this.tell.changed();
  }

  schedule(id, delay) {
    const entry = this.entries.get(id);
    if (entry.flying || entry.held) return; // after the flight, or the decision, the newest goes
    clearTimeout(entry.timer);
    if (delay === 0) this.send(id);
    else entry.timer = setTimeout(() => this.send(id), delay);
  }

  async send(id, keepalive = false) {
    const entry = this.entries.get(id);
    if (!entry?.body || entry.flying || entry.held) return;
    clearTimeout(entry.timer);
    entry.flying = entry.body;
    entry.body = null;
    try {
      const answer = await this.put(id, { ...entry.flying, version: this.versions.get(id) }, keepalive);
      this.trouble = null;
      this.confirmed(id, entry, answer);
    } catch (error) {
      this.failed(id, entry, error);
    }
    this.tell.changed();
  }

  confirmed(id, entry, answer) {
    const sent = entry.flying;
    entry.flying = null;
    entry.lost = [];
    entry.tries = 0;
    this.versions.set(id, answer.version);
    if (entry.body) {
      this.unsent.keep(id, entry.body, answer.version);
      this.schedule(id, 0);
    } else this.finish(id);
    this.tell.saved(id, sent, answer);
  }

  failed(id, entry, error) {
    const sent = entry.flying;
    entry.flying = null;
    const photo = error instanceof Refused && error.status === 409 ? error.answer.photo : null;
    if (photo && isAnswer(sent, photo)) {
      this.confirmed(id, Object.assign(entry, { flying: sent }), { version: photo.version, state: photo.state });
      return; // our own answer, whose confirmation was lost on its way
    }
    entry.body ??= sent;
    const passing = error instanceof Away || (error instanceof Refused && error.passing);
    this.trouble = passing ? error : null;
    if (photo && entry.lost.some((body) => isAnswer(body, photo))) {
      entry.lost = [];
      this.versions.set(id, photo.version); // an earlier answer of our own had arrived
      this.schedule(id, 0);
    } else if (photo) {
      this.hold(entry, "conflict");
      this.tell.conflict(id, photo);
    } else if (passing) {
      entry.lost = [...entry.lost, sent].slice(-MOST_LOST);
      this.release(entry);
      entry.tries += 1;
      this.schedule(id, Math.min(LONGEST_WAIT, 500 * 2 ** entry.tries));
    } else {
      this.hold(entry, "refused");
      this.tell.refused(id, error);
    }
  }

  uncertain = ({ lost, flying }) => (flying ? [...lost, flying] : lost);

  hold(entry, why) {
    entry.held = why;
    this.release(entry);
  }

  release(entry) {
    for (const done of entry.waiting.splice(0)) done();
  }

  finish(id) {
    const entry = this.entries.get(id);
    this.entries.delete(id);
    this.unsent.drop(id);
    if (entry) {
      clearTimeout(entry.timer);
      this.release(entry);
    }
  }
}

/** Whether a photograph is as `body` says it. */
const isAnswer = (body, photo) =>
  photo.state === body.state && (body.state === "open" || sameLabels(body.labels, photo.labels));
