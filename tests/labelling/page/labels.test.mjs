import assert from "node:assert/strict";
import { test } from "node:test";

import * as sheets from "./labels.js";

const label = (box, name, place = []) => ({ box, name, crowd: false, difficult: false, place });

const PHOTO = {
  width: 100,
  height: 80,
  labels: [label([10, 10, 30, 30], "cat", [0]), label([50, 10, 70, 40], "dog", [1])],
  drafts: [
    { box: [5, 50, 25, 70], name: "dog", score: 0.4, sure: true },
    { box: [40, 50, 60, 70], name: "cat", score: 0.9, sure: true },
    { box: [70, 50, 90, 70], name: "cat", score: 0.6, sure: false },
  ],
};

test("what was read is sent back unchanged, the best draft first", () => {
  const { labels, drafts } = sheets.answerOf(sheets.sheetOf(PHOTO));
  assert.deepEqual(labels, PHOTO.labels);
  assert.deepEqual(drafts.map((draft) => draft.score), [0.9, 0.6, 0.4]);
});

test("drafts are shown as the model proposes, or from a score", () => {
  const sheet = sheets.sheetOf(PHOTO);
  assert.deepEqual(sheets.shownDrafts(sheet, null).map((draft) => draft.score), [0.9, 0.4]);
  assert.deepEqual(sheets.shownDrafts(sheet, 0.6).map((draft) => draft.score), [0.9, 0.6]);
  const all = sheets.acceptAll(sheet, 0.6);
  assert.equal(all.labels.length, 4);
  assert.deepEqual(all.drafts.map((draft) => draft.score), [0.4], "what is hidden is not accepted");
  assert.deepEqual(all.labels[2], { key: 3, ...label([40, 50, 60, 70], "cat") });
});

test("a draft that is put right is a label", () => {
  const sheet = sheets.sheetOf(PHOTO);
  for (const changed of [
    sheets.rename(sheet, 3, "dog"),
    sheets.place(sheet, 3, [41, 50, 60, 70]),
    sheets.toggleCrowd(sheet, 3),
  ]) {
    assert.equal(changed.drafts.length, 2);
    assert.deepEqual(changed.labels[2].place, []);
  }
  assert.equal(sheets.rename(sheet, 3, "cat"), sheet, "its own class changes nothing");
});

test("a moved label keeps its place in the file", () => {
  const sheet = sheets.nudge(sheets.select(sheets.sheetOf(PHOTO), 2), 200, -3);
  assert.deepEqual(sheet.labels[1], { key: 2, ...label([80, 7, 100, 37], "dog", [1]) });
});

test("the one after a deleted box is selected, at the end the one before", () => {
  const sheet = sheets.sheetOf(PHOTO);
  assert.equal(sheets.remove(sheet, 1, null).selected, 2);
  assert.equal(sheets.remove(sheet, 5, null).selected, 3, "key 4 is a draft that is hidden");
  const last = sheets.remove({ ...sheet, drafts: [], labels: sheet.labels.slice(0, 1) }, 1, null);
  assert.equal(last.selected, null);
});

test("selection goes around, over what is shown", () => {
  let sheet = sheets.sheetOf(PHOTO);
  const seen = [];
  for (let i = 0; i < 5; i += 1) {
    sheet = sheets.selectNext(sheet, 1, null);
    seen.push(sheet.selected);
  }
  assert.deepEqual(seen, [1, 2, 3, 5, 1]);
  assert.equal(sheets.selectNext(sheet, -1, null).selected, 5);
  assert.equal(sheets.selectNext({ ...sheet, labels: [], drafts: [] }, 1, null).selected, null);
});

test("copies are new, cut at the edge, and not made twice", () => {
  const sheet = sheets.sheetOf({ ...PHOTO, width: 60, drafts: [] });
  const copied = sheets.copyFrom(sheet, [...PHOTO.labels, label([90, 0, 99, 9], "cat", [2])]);
  assert.deepEqual(copied.labels[2], { key: 3, ...label([50, 10, 60, 40], "dog") });
  assert.equal(copied.labels.length, 3, "one is here already, one lies outside");
  assert.equal(sheets.copyFrom(copied, PHOTO.labels), copied);
});

test("undo and redo are inverse, whatever was done", () => {
  let seed = 1;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const steps = [
    (sheet) => sheets.add(sheet, [random(50), random(40), 60 + random(40), 50 + random(30)], "cat"),
    (sheet) => sheets.acceptAll(sheet, random(10) / 10),
    (sheet) => sheets.remove(sheet, sheet.selected, null),
    (sheet) => sheets.selectNext(sheet, 1, null),
    (sheet) => sheets.nudge(sheet, random(9) - 4, random(9) - 4),
    (sheet) => sheets.stretch(sheet, random(9) - 4, random(9) - 4),
    (sheet) => sheets.toggleCrowd(sheet, sheet.selected),
    (sheet) => sheets.rename(sheet, sheet.selected, random(2) ? "cat" : "dog"),
  ];
  for (let round = 0; round < 50; round += 1) {
    const first = sheets.sheetOf(PHOTO);
    let history = sheets.begin(first);
    for (let i = 0; i < 40; i += 1) history = sheets.change(history, steps[random(steps.length)](history.now));
    const last = history.now;
    const n = history.past.length;
    for (let i = 0; i < n; i += 1) {
      const before = history.now;
      history = sheets.undo(history);
      assert.ok(sheets.sameAnswer(sheets.redo(history).now, before));
    }
    assert.ok(sheets.sameAnswer(history.now, first));
    for (let i = 0; i < n; i += 1) history = sheets.redo(history);
    assert.ok(sheets.sameAnswer(history.now, last));
    const keys = [...last.labels, ...last.drafts].map((item) => item.key);
    assert.equal(new Set(keys).size, keys.length, "no two boxes have one key");
  }
});

test("steps with one tag are one step of undo, and a selection is none", () => {
  let history = sheets.begin(sheets.sheetOf(PHOTO));
  history = sheets.change(history, sheets.select(history.now, 1));
  assert.equal(history.past.length, 0);
  for (let i = 0; i < 3; i += 1) history = sheets.change(history, sheets.nudge(history.now, 1, 0), "arrows");
  assert.equal(history.past.length, 1);
  assert.deepEqual(sheets.undo(history).now.labels[0].box, [10, 10, 30, 30]);
});

test("places follow labels into a file that somebody else has changed", () => {
  const ours = [label([10, 10, 30, 30], "cat", [0]), label([50, 10, 70, 40], "dog", [1]), label([0, 0, 5, 5], "cat")];
  const theirs = [label([51, 10, 71, 40], "dog", [0]), label([10, 10, 30, 30], "dog", [1])];
  assert.deepEqual(sheets.rebased(ours, theirs).map((one) => one.place), [[], [0], []]);
});

test("an answer that a format has rounded is the same one", () => {
  const sent = [label([10.4, 10.6, 30, 30], "cat")];
  assert.ok(sheets.sameLabels(sent, [label([10, 11, 30, 30], "cat", [0])]));
  assert.ok(!sheets.sameLabels(sent, [label([10, 11, 30, 30], "dog", [0])]));
  assert.ok(!sheets.sameLabels(sent, [label([10, 11, 32, 30], "cat", [0])]));
  assert.ok(!sheets.sameLabels(sent, []));
});

test("boxes in words", () => {
  const sheet = sheets.sheetOf(PHOTO);
  assert.equal(sheets.inSpeech(sheet.drafts[0]), "cat, 20 by 20 at 40, 50, draft 0.90");
  assert.equal(sheets.inSpeech({ ...sheet.labels[0], crowd: true }), "cat, 20 by 20 at 10, 10, crowd region");
});

test("drafts that come later are added where nothing is yet", () => {
  const base = sheets.sheetOf(PHOTO);
  const sheet = sheets.remove(base, base.drafts[1].key, null); // one was dropped
  const drafts = [
    { box: [11, 10, 31, 30], name: "dog", score: 0.9, sure: true }, // labelled
    { box: [41, 50, 60, 70], name: "cat", score: 0.9, sure: true }, // drafted
    { box: [70, 50, 90, 71], name: "cat", score: 0.9, sure: true }, // dropped
    { box: [70, 50, 90, 71], name: "dog", score: 0.5, sure: true },
    { box: [2, 2, 8, 8], name: "cat", score: 0.7, sure: true },
  ];
  const fresh = sheets.newDrafts(sheet, base, drafts);
  assert.deepEqual(fresh, drafts.slice(3));
  const more = sheets.withDrafts(sheet, fresh);
  assert.deepEqual(more.labels, sheet.labels);
  assert.deepEqual(more.drafts.map((draft) => draft.score), [0.9, 0.7, 0.5, 0.4]);
  assert.equal(new Set(more.drafts.map((draft) => draft.key)).size, 4);
  assert.equal(sheets.withDrafts(sheet, []), sheet);
});
