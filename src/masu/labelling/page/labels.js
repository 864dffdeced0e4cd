/**
 * What is on one photograph while a person works on it: a sheet. Pure functions: a sheet in, a sheet out, the same one
 * where nothing changed. No browser needed.
 *
 * Sheet: {width, height, labels, drafts, selected, next}
 *   labels  [{key, box, name, crowd, difficult, place}]
 *   drafts  [{key, box, name, score, sure}], the best first; sure: the model shows it of its own accord
 *   selected  a key or null; next  the first key that is free
 * History: {past: [sheet], now: sheet, future: [sheet], tag}
 */

import { grown, inWords, iou, moved } from "./boxes.js";

const STANDS = 0.8; // IoU from which two drafts are of the same object
const NEAR = 0.5; // IoU from which a draft is of an object that is labelled
const USUAL = 0.5; // the score of a draft that is shown where the model says nothing else

/** The sheet of a photograph as the server describes it. */
export function sheetOf(photo) {
  let next = 1;
  const labels = (photo.labels ?? []).map((label) => ({
    key: next++,
    box: [...label.box],
    name: label.name,
    crowd: Boolean(label.crowd),
    difficult: Boolean(label.difficult),
    place: label.place ?? [],
  }));
  const drafts = (photo.drafts ?? [])
    .map((draft) => ({ box: [...draft.box], name: draft.name, score: draft.score, sure: draft.sure ?? draft.score >= USUAL }))
    .sort((a, b) => b.score - a.score)
    .map((draft) => ({ key: next++, ...draft }));
  return { width: photo.width, height: photo.height, labels, drafts, selected: null, next };
}

/** Labels and drafts as the server takes them: without the keys of the page. */
export function answerOf(sheet) {
  const bare = ({ key, ...rest }) => rest;
  return { labels: sheet.labels.map(bare), drafts: sheet.drafts.map(bare) };
}

export const labelOf = (sheet, key) => sheet.labels.find((label) => label.key === key) ?? null;
export const draftOf = (sheet, key) => sheet.drafts.find((draft) => draft.key === key) ?? null;
export const itemOf = (sheet, key) => labelOf(sheet, key) ?? draftOf(sheet, key);
/** Whether a draft is shown; `above` is a score, or null for what the model holds right for each class. */
export const isShown = (draft, above) => (above === null ? draft.sure : draft.score >= above);
export const shownDrafts = (sheet, above) => sheet.drafts.filter((draft) => isShown(draft, above));
export const shownItems = (sheet, above) => [...sheet.labels, ...shownDrafts(sheet, above)];

export function select(sheet, key) {
  const wanted = key !== null && itemOf(sheet, key) ? key : null;
  return wanted === sheet.selected ? sheet : { ...sheet, selected: wanted };
}

/** Selects the item `step` places on, in the order of the list, around its end. */
export function selectNext(sheet, step, above) {
  const keys = shownItems(sheet, above).map((item) => item.key);
  if (!keys.length) return select(sheet, null);
  const at = keys.indexOf(sheet.selected);
  if (at < 0) return select(sheet, step > 0 ? keys[0] : keys[keys.length - 1]);
  return select(sheet, keys[(at + step + keys.length) % keys.length]);
}

/** A new label, selected. */
export function add(sheet, box, name) {
  const label = { key: sheet.next, box, name, crowd: false, difficult: false, place: [] };
  return { ...sheet, labels: [...sheet.labels, label], selected: label.key, next: sheet.next + 1 };
}

const asLabel = (draft) => ({
  key: draft.key,
  box: draft.box,
  name: draft.name,
  crowd: false,
  difficult: false,
  place: [],
});

/** The draft `key` as a label; labels stay as they are. */
export function accept(sheet, key) {
  const draft = draftOf(sheet, key);
  if (!draft) return sheet;
  return {
    ...sheet,
    labels: [...sheet.labels, asLabel(draft)],
    drafts: sheet.drafts.filter((other) => other !== draft),
  };
}

/** Every draft that is shown as a label. */
export function acceptAll(sheet, above) {
  const shown = shownDrafts(sheet, above);
  if (!shown.length) return sheet;
  return {
    ...sheet,
    labels: [...sheet.labels, ...shown.map(asLabel)],
    drafts: sheet.drafts.filter((draft) => !isShown(draft, above)),
  };
}

/** `changes` made to an item. A draft that a person has put right is a label. */
export function edit(sheet, key, changes) {
  const item = itemOf(sheet, key);
  if (!item || Object.entries(changes).every(([name, value]) => same(item[name], value))) return sheet;
  const accepted = accept(sheet, key);
  return {
    ...accepted,
    labels: accepted.labels.map((label) => (label.key === key ? { ...label, ...changes } : label)),
  };
}

export const place = (sheet, key, box) => edit(sheet, key, { box });
export const rename = (sheet, key, name) => edit(sheet, key, { name });

export function nudge(sheet, dx, dy) {
  const item = itemOf(sheet, sheet.selected);
  return item ? place(sheet, item.key, moved(item.box, dx, dy, sheet.width, sheet.height)) : sheet;
}

export function stretch(sheet, dx, dy) {
  const item = itemOf(sheet, sheet.selected);
  return item ? place(sheet, item.key, grown(item.box, dx, dy, sheet.width, sheet.height)) : sheet;
}

/** Crowd region on or off. */
export function toggleCrowd(sheet, key) {
  const item = itemOf(sheet, key);
  return item ? edit(sheet, key, { crowd: !item.crowd }) : sheet;
}

/** Without the item; the one after it in the list is selected. */
export function remove(sheet, key, above) {
  if (!itemOf(sheet, key)) return sheet;
  const keys = shownItems(sheet, above).map((item) => item.key);
  const at = keys.indexOf(key);
  const selected = keys[at + 1] ?? keys[at - 1] ?? null;
  return {
    ...sheet,
    labels: sheet.labels.filter((label) => label.key !== key),
    drafts: sheet.drafts.filter((draft) => draft.key !== key),
    selected,
  };
}

/** With copies of another photograph's labels that fit in here and are not here yet; their place in a file is new. */
export function copyFrom(sheet, labels) {
  let next = sheet.next;
  const copies = [];
  for (const label of labels) {
    const [x1, y1, x2, y2] = label.box;
    const box = [Math.max(0, x1), Math.max(0, y1), Math.min(sheet.width, x2), Math.min(sheet.height, y2)];
    const here = sheet.labels.some((other) => other.name === label.name && iou(other.box, box) > 0.95);
    if (box[2] > box[0] && box[3] > box[1] && !here)
      copies.push({ key: next++, box, name: label.name, crowd: label.crowd, difficult: label.difficult, place: [] });
  }
  return copies.length ? { ...sheet, labels: [...sheet.labels, ...copies], next } : sheet;
}

/** Without a draft; labels stay. */
export const withoutDrafts = (sheet) => (sheet.drafts.length ? { ...sheet, drafts: [], selected: null } : sheet);

/** Drafts of objects that are neither labelled nor drafted on the sheet, nor on the one that it began as. */
export function newDrafts(sheet, base, drafts) {
  const known = [...sheet.drafts, ...base.drafts];
  const here = (draft) =>
    sheet.labels.some((label) => iou(label.box, draft.box) >= NEAR) ||
    known.some((other) => other.name === draft.name && iou(other.box, draft.box) >= STANDS);
  return drafts.filter((draft) => !here(draft));
}

/** With more drafts; what is there stays. */
export function withDrafts(sheet, drafts) {
  if (!drafts.length) return sheet;
  const more = drafts.map((draft, at) => ({ ...draft, key: sheet.next + at }));
  const every = [...sheet.drafts, ...more].sort((a, b) => b.score - a.score);
  return { ...sheet, drafts: every, next: sheet.next + more.length };
}

/** "RBC, 120 by 80 at 30, 40, draft 0.87" */
export function inSpeech(item) {
  const parts = [item.name, inWords(item.box)];
  if (item.score !== undefined) parts.push(`draft ${item.score.toFixed(2)}`);
  if (item.crowd) parts.push("crowd region");
  if (item.difficult) parts.push("difficult");
  return parts.join(", ");
}

const same = (a, b) =>
  Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((x, i) => x === b[i]) : a === b;

/** Whether two sheets are the same answer; what is selected does not matter. */
export function sameAnswer(a, b) {
  if (a.labels === b.labels && a.drafts === b.drafts) return true;
  const alike = (ours, theirs, names) =>
    ours.length === theirs.length &&
    ours.every((item, i) => names.every((name) => same(item[name], theirs[i][name])));
  return (
    alike(a.labels, b.labels, ["box", "name", "crowd", "difficult", "place"]) &&
    alike(a.drafts, b.drafts, ["box", "name", "score"])
  );
}

/** Whether labels that were sent are those that now stand; a format may have rounded a box to whole pixels. */
export function sameLabels(sent, found) {
  return (
    sent.length === found.length &&
    sent.every((label, i) => {
      const other = found[i];
      const near = label.box.every((x, side) => Math.abs(x - other.box[side]) <= 1);
      return near && label.name === other.name && Boolean(label.crowd) === Boolean(other.crowd);
    })
  );
}

/**
 * Our labels with places in a file that somebody else has changed meanwhile: that of their label with the same class
 * and nearly the same box, none where there is no such label.
 */
export function rebased(labels, theirs) {
  const free = new Set(theirs);
  return labels.map((label) => {
    if (!label.place.length) return label;
    let best = null;
    for (const other of free)
      if (other.name === label.name && iou(other.box, label.box) > (best ? iou(best.box, label.box) : 0.5)) best = other;
    if (best) free.delete(best);
    return { ...label, place: best ? best.place : [] };
  });
}

export const begin = (sheet) => ({ past: [], now: sheet, future: [], tag: null });

/**
 * The history with `sheet` as what is now. One that differs by its selection alone is no step; steps in a row with the
 * same tag are one.
 */
export function change(history, sheet, tag = null) {
  const { past, now } = history;
  if (sheet === now) return history;
  if (sheet.labels === now.labels && sheet.drafts === now.drafts) return { ...history, now: sheet };
  if (tag !== null && tag === history.tag) return { past, now: sheet, future: [], tag };
  return { past: [...past.slice(-499), now], now: sheet, future: [], tag };
}

export function undo(history) {
  if (!history.past.length) return history;
  const now = history.past[history.past.length - 1];
  return { past: history.past.slice(0, -1), now, future: [history.now, ...history.future], tag: null };
}

export function redo(history) {
  if (!history.future.length) return history;
  const [now, ...future] = history.future;
  return { past: [...history.past, history.now], now, future, tag: null };
}
