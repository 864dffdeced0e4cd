/** What each key does. Names as in labelImg and CVAT where people know them from there. */

/** For the help: [keys, what they do]. */
export const HELP = [
  ["D", "Done, and the next photograph"],
  ["A", "Back to the photograph before"],
  ["W", "New box: then drag, click two corners, or use the arrow keys"],
  ["Enter", "Accept every draft that is shown; with none left: done, and the next photograph"],
  ["Space", "Accept the selected draft"],
  ["Q  E", "Select the box before, the next box"],
  ["Del", "Delete the box, drop the draft"],
  ["1 – 9", "Class of the selected box, or of new boxes"],
  ["0", "Search a class, or add one"],
  ["N", "There is nothing here: done without boxes"],
  ["V", "Show the drafts that have come for this photograph"],
  ["X", "Crowd region on or off"],
  ["C", "Copy the boxes of the last photograph"],
  ["Arrows", "Move the box by 1 pixel, with Shift by 10"],
  ["Alt + arrows", "Move its right and bottom sides"],
  ["Ctrl + Z", "Undo"],
  ["Ctrl + Y", "Redo"],
  ["F", "The whole picture"],
  ["+  −", "Zoom (also with the wheel or two fingers)"],
  ["Space + drag", "Move the picture (also with the middle button)"],
  ["L", "Magnifying glass always on, or only where it helps"],
  ["R", "A random photograph"],
  ["Esc", "Stop drawing, select nothing"],
  ["?", "This list"],
];

const LETTERS = {
  d: "done",
  a: "previous",
  w: "draw",
  q: "selectPrevious",
  e: "selectNext",
  n: "nothing",
  x: "crowd",
  c: "copy",
  f: "fit",
  l: "loupe",
  r: "random",
  v: "showOffered",
  "?": "help",
  "+": "zoomIn",
  "=": "zoomIn",
  "-": "zoomOut",
  "−": "zoomOut",
};

const NAMED = {
  Enter: "accept",
  " ": "space",
  Delete: "remove",
  Backspace: "remove",
  Escape: "escape",
};

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** {action, …} for a keydown event, null for a key that does nothing here. */
export function actionOf({ key, ctrlKey, metaKey, altKey, shiftKey }) {
  const letter = key.length === 1 ? key.toLowerCase() : key;
  if (ctrlKey || metaKey) {
    if (altKey) return null;
    if (letter === "z") return { action: shiftKey ? "redo" : "undo" };
    return letter === "y" ? { action: "redo" } : null;
  }
  if (key in ARROWS) {
    const [x, y] = ARROWS[key];
    const far = shiftKey ? 10 : 1;
    return { action: altKey ? "stretch" : "nudge", dx: x * far, dy: y * far };
  }
  if (altKey) return null;
  if (/^[1-9]$/.test(key)) return { action: "class", number: Number(key) - 1 };
  if (key === "0") return { action: "searchClass" };
  if (key in NAMED) return { action: NAMED[key] };
  return letter in LETTERS ? { action: LETTERS[letter] } : null;
}

const TYPED = new Set(["INPUT", "TEXTAREA", "SELECT"]);
const MOVES = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown"]);

/** Whether the key belongs to what has the focus and not to the photograph. */
export function belongsTo(element, event) {
  if (!element) return false;
  if (element.isContentEditable) return true;
  if (element.type === "range") return MOVES.has(event.key);
  if (element.type === "checkbox") return event.key === " ";
  if (TYPED.has(element.tagName)) return event.key !== "Escape";
  const presses = element.tagName === "BUTTON" || element.tagName === "A" || element.tagName === "SUMMARY";
  if (presses) return event.key === "Enter" || event.key === " ";
  return element.getAttribute("role") === "listbox" && MOVES.has(event.key);
}
