import assert from "node:assert/strict";
import { test } from "node:test";

import { addressOf } from "./api.js";
import { colourOf } from "./colours.js";
import { actionOf } from "./keys.js";

const pressed = (key, held = {}) => actionOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held });

test("the keys that people know from labelImg and CVAT", () => {
  for (const [key, action] of [["d", "done"], ["D", "done"], ["a", "previous"], ["w", "draw"], ["Delete", "remove"], ["Enter", "accept"]])
    assert.deepEqual(pressed(key), { action });
  assert.deepEqual(pressed("3"), { action: "class", number: 2 });
  assert.deepEqual(pressed("0"), { action: "searchClass" });
});

test("undo and redo, also on a Mac", () => {
  assert.deepEqual(pressed("z", { ctrlKey: true }), { action: "undo" });
  assert.deepEqual(pressed("Z", { metaKey: true, shiftKey: true }), { action: "redo" });
  assert.deepEqual(pressed("y", { ctrlKey: true }), { action: "redo" });
});

test("the browser keeps its own keys", () => {
  for (const key of ["d", "c", "f", "r", "w", "n", "1"]) assert.equal(pressed(key, { ctrlKey: true }), null);
  assert.equal(pressed("d", { altKey: true }), null);
  assert.equal(pressed("Tab"), null);
  assert.equal(pressed("F5"), null);
});

test("arrows move, with Alt they stretch, with Shift further", () => {
  assert.deepEqual(pressed("ArrowLeft"), { action: "nudge", dx: -1, dy: 0 });
  assert.deepEqual(pressed("ArrowDown", { altKey: true, shiftKey: true }), { action: "stretch", dx: 0, dy: 10 });
});

test("an id is a path, encoded part by part", () => {
  assert.equal(addressOf("a b/ä#?&<b>.jpg"), "/api/photos/a%20b/%C3%A4%23%3F%26%3Cb%3E.jpg");
});

test("a class has a colour of its own", () => {
  const colours = Array.from({ length: 80 }, (_, at) => colourOf(at));
  assert.equal(new Set(colours).size, 80);
});
