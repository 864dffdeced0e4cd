import assert from "node:assert/strict";
import { test } from "node:test";

import { Away, Refused } from "./api.js";
import { rebased } from "./labels.js";
import { Saves } from "./saves.js";
import { Unsent } from "./unsent.js";

const label = (x, place = []) => ({ box: [x, 0, x + 10, 10], name: "cat", crowd: false, difficult: false, place });
const answer = (...xs) => ({ state: "unfinished", labels: xs.map((x) => label(x)), drafts: [] });
const turn = (ms = 0) => new Promise((done) => setTimeout(done, ms));

/** Behaves like localStorage. */
class Storage {
  setItem(key, value) {
    this[key] = value;
  }
  getItem(key) {
    return this[key] ?? null;
  }
  removeItem(key) {
    delete this[key];
  }
}

/** One photograph on a server that keeps versions, as masu's does. */
class Server {
  constructor() {
    Object.assign(this, { version: 1, photo: { state: "open", labels: [] }, asked: [], flying: 0, most: 0 });
    Object.assign(this, { away: false, loses: false, wait: 0 });
  }

  put = async (id, body) => {
    this.asked.push(body);
    this.most = Math.max(this.most, (this.flying += 1));
    await turn(this.wait);
    this.flying -= 1;
    if (this.away) throw new Away("refused");
    if (body.version !== String(this.version)) throw new Refused(409, { photo: { ...this.photo, version: String(this.version) } });
    this.change(body);
    if (this.loses) throw new Away("lost");
    return { version: String(this.version), state: body.state };
  };

  change({ state, labels }) {
    this.version += 1;
    this.photo = { state, labels };
  }
}

function begin() {
  const server = new Server();
  const storage = new Storage();
  const heard = [];
  const tell = {
    changed() {},
    saved: (id, body) => heard.push(["saved", body.labels.length]),
    conflict: (id, photo) => heard.push(["conflict", photo]),
    refused: (id, error) => heard.push(["refused", error.message]),
  };
  const unsent = new Unsent(storage, "photos", "one");
  const saves = new Saves({ put: server.put, unsent, tell, rest: 5 });
  saves.opened("a", "1");
  return { server, storage, heard, saves };
}

test("a burst of edits is one request, and nothing is kept once it is confirmed", async () => {
  const { server, storage, heard, saves } = begin();
  for (const n of [1, 2, 3]) saves.save("a", answer(...Array(n).keys()));
  assert.equal(Object.keys(storage).length, 1);
  await turn(30);
  assert.equal(server.asked.length, 1);
  assert.deepEqual(heard, [["saved", 3]]);
  assert.equal(Object.keys(storage).length, 0);
  assert.equal(saves.waiting, 0);
});

test("one request at a time, the newest last", async () => {
  const { server, saves } = begin();
  server.wait = 20;
  for (let n = 1; n <= 8; n += 1) {
    saves.save("a", answer(...Array(n).keys()), { now: true });
    await turn(7);
  }
  await saves.settled("a");
  assert.equal(server.most, 1);
  assert.equal(server.photo.labels.length, 8);
  assert.ok(server.asked.length < 8, "what was overtaken is not sent");
});

test("a server that is away gets it when it is back", async () => {
  const { server, storage, saves } = begin();
  server.away = true;
  saves.save("a", answer(1), { now: true });
  await turn(10);
  saves.save("a", answer(1, 2), { now: true });
  await turn(10);
  assert.ok(saves.trouble);
  assert.deepEqual(JSON.parse(Object.values(storage)[0]).body, answer(1, 2));
  server.away = false;
  saves.wake();
  await turn(10);
  assert.equal(server.photo.labels.length, 2);
  assert.equal(saves.trouble, null);
});

test("a confirmation that was lost is no conflict with oneself", async () => {
  const { server, heard, saves } = begin();
  server.loses = true;
  saves.save("a", answer(1), { now: true });
  await turn(10);
  server.loses = false;
  saves.save("a", answer(1, 2), { now: true });
  saves.wake();
  await turn(10);
  await saves.settled("a");
  assert.ok(heard.every(([what]) => what === "saved"), "the newer answer is sent with the version that was lost");
  assert.equal(server.photo.labels.length, 2);
});

test("somebody else's change is asked about, and nothing is sent meanwhile", async () => {
  for (const mine of [true, false]) {
    const { server, storage, heard, saves } = begin();
    server.change({ state: "done", labels: [label(70, [0])] });
    saves.save("a", answer(1), { now: true });
    await turn(10);
    const [what, photo] = heard.pop();
    assert.equal(what, "conflict");
    saves.save("a", answer(1, 2), { now: true });
    await turn(10);
    assert.equal(server.asked.length, 1);
    if (mine) saves.keepMine("a", photo, (body) => ({ ...body, labels: rebased(body.labels, photo.labels) }));
    else saves.takeTheirs("a", photo);
    await turn(20);
    assert.equal(server.photo.labels.length, mine ? 2 : 1);
    assert.equal(Object.keys(storage).length, 0);
    assert.equal(saves.versions.get("a"), mine ? "3" : "2");
  }
});

test("what is refused is told once, and the next edit is tried", async () => {
  const { server, heard, saves } = begin();
  const put = server.put;
  saves.put = async () => {
    throw new Refused(400, { error: { code: "WRONG", message: "label 1, box: wanted x1 < x2" } });
  };
  saves.save("a", answer(1), { now: true });
  await turn(10);
  assert.deepEqual(heard, [["refused", "label 1, box: wanted x1 < x2"]]);
  saves.put = put;
  saves.save("a", answer(2), { now: true });
  await turn(10);
  assert.equal(server.photo.labels[0].box[0], 2);
});

test("a page takes over what a closed one left, and leaves alone what an open one keeps", () => {
  const storage = new Storage();
  new Unsent(storage, "photos", "closed").keep("a", answer(1), "1");
  new Unsent(storage, "photos", "open").keep("a", answer(2), "1");
  new Unsent(storage, "others", "closed").keep("b", answer(3), "1");
  storage.setItem("masu-label:photos:closed:c", "no JSON");
  const mine = new Unsent(storage, "photos", "new");
  const left = mine.adopt(new Set(["open"]));
  assert.deepEqual(left.map((entry) => [entry.id, entry.body.labels[0].box[0]]), [["a", 1]]);
  assert.equal(mine.adopt(new Set(["open", "new"])).length, 0);
  mine.drop("a");
  assert.equal(JSON.parse(storage.getItem("masu-label:photos:open:a")).body.labels[0].box[0], 2);
});
