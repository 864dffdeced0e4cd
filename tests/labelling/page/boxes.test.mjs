import assert from "node:assert/strict";
import { test } from "node:test";

import { contains, grown, inWords, iou, largeEnough, moved, resized, spanned } from "./boxes.js";
import { fitted, kept, revealing, toPicture, toScreen, zoomed } from "./viewport.js";

test("two corners in any order are one box, inside the picture", () => {
  for (const [x1, y1, x2, y2] of [[10, 20, 30, 60], [30, 60, 10, 20], [10, 60, 30, 20]])
    assert.deepEqual(spanned(x1, y1, x2, y2, 100, 80), [10, 20, 30, 60]);
  assert.deepEqual(spanned(-5, 70.4, 200, 99, 100, 80), [0, 70, 100, 80]);
});

test("a moved box keeps its size at the edge", () => {
  assert.deepEqual(moved([10, 20, 30, 60], 5, -7, 100, 80), [15, 13, 35, 53]);
  assert.deepEqual(moved([10, 20, 30, 60], -50, 50, 100, 80), [0, 40, 20, 80]);
  assert.deepEqual(moved([0.25, 0.5, 10.25, 9.5], 1, 0, 100, 80), [1.25, 0.5, 11.25, 9.5]);
});

test("only the sides that are pulled change", () => {
  assert.deepEqual(resized([10.5, 20.5, 30.5, 60.5], "e", 40.2, 0, 100, 80), [10.5, 20.5, 40, 60.5]);
  assert.deepEqual(resized([10, 20, 30, 60], "nw", 12, 25, 100, 80), [12, 25, 30, 60]);
  assert.deepEqual(resized([10, 20, 30, 60], "e", 4, 0, 100, 80), [4, 20, 10, 60], "pulled over its opposite");
  assert.deepEqual(resized([10, 20, 30, 60], "e", 10, 0, 100, 80), [10, 20, 30, 60], "never without an area");
  assert.deepEqual(grown([10, 20, 30, 60], -100, 0, 100, 80), [10, 20, 12, 60]);
  assert.deepEqual(grown([10, 20, 30, 60], 0, 100, 100, 80), [10, 20, 30, 80]);
});

test("overlap by hand", () => {
  assert.equal(iou([0, 0, 10, 10], [0, 0, 10, 10]), 1);
  assert.equal(iou([0, 0, 10, 10], [5, 0, 15, 10]), 50 / 150);
  assert.equal(iou([0, 0, 10, 10], [10, 0, 20, 10]), 0);
  assert.equal(iou([0, 0, 0, 0], [0, 0, 0, 0]), 0);
  assert.ok(contains([10, 10, 20, 20], 8, 12, 3) && !contains([10, 10, 20, 20], 8, 12, 1));
  assert.ok(!largeEnough([10, 10, 11, 40]) && largeEnough([10, 10, 12, 12]));
  assert.equal(inWords([30, 40, 150, 120]), "120 by 80 at 30, 40");
});

test("a zoom leaves the point under the pointer where it is", () => {
  const view = fitted(640, 480, 800, 600);
  assert.deepEqual(toScreen(view, 320, 240), [400, 300], "the whole picture lies in the middle");
  for (const [sx, sy] of [[0, 0], [123, 456], [800, 600]]) {
    const before = toPicture(view, sx, sy);
    const after = toPicture(zoomed(view, 1.7, sx, sy, 0.1), sx, sy);
    assert.ok(Math.hypot(before[0] - after[0], before[1] - after[1]) < 1e-9);
  }
});

test("the picture is never lost, and a selected box is brought into view", () => {
  const far = kept({ scale: 2, x: -5000, y: 5000 }, 640, 480, 800, 600);
  const [x, y] = toPicture(far, 400, 300);
  assert.ok(x >= 0 && x <= 640 && y >= 0 && y <= 480, "its middle shows something of it");
  const view = { scale: 4, x: 0, y: 0 };
  const seen = revealing(view, [500, 400, 520, 410], 800, 600);
  const [sx, sy] = toScreen(seen, 520, 410);
  assert.ok(sx <= 800 && sy <= 600);
  assert.equal(revealing(view, [10, 10, 20, 20], 800, 600), view, "one that is in view moves nothing");
});
