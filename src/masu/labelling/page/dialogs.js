/** Questions that need an answer before one goes on, and the help. */

import { addClass, exportTo, getCommands } from "./api.js";
import { counted, find, make } from "./dom.js";
import { HELP } from "./keys.js";

const open = (dialog) => {
  if (!dialog.open) dialog.showModal();
};

/** Shows the dialog; resolves with the value of the button that closed it ("" for Esc). */
function asked(dialog) {
  dialog.returnValue = "";
  open(dialog);
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}

/** Buttons with data-close close their dialog with that value. */
export function wireClosing() {
  for (const button of document.querySelectorAll("dialog [data-close]"))
    button.addEventListener("click", () => button.closest("dialog").close(button.dataset.close));
}

export function showHelp(shortcuts, onShortcuts) {
  const list = find("help-keys");
  if (!list.childElementCount)
    for (const [keys, what] of HELP)
      list.append(make("div", {}, make("dt", {}, make("kbd", { textContent: keys })), make("dd", { textContent: what })));
  const box = find("shortcuts");
  box.checked = shortcuts;
  box.onchange = () => onShortcuts(box.checked);
  return asked(find("help"));
}

/** "theirs" or "mine" about a photograph that two people have changed. */
export async function askConflict(id, mine, theirs) {
  const words = (answer) =>
    answer.state === "open" ? "no answer" : `${answer.labels.length ? counted(answer.labels.length, "box", "boxes") : "nothing here"}, ${answer.state}`;
  find("conflict-name").textContent = id;
  find("conflict-theirs").textContent = words(theirs);
  find("conflict-mine").textContent = words(mine);
  for (;;) {
    const choice = await asked(find("conflict"));
    if (choice) return choice;
  }
}

/** Yes or no to a sentence. */
export async function confirm(text, yes) {
  find("confirm-text").textContent = text;
  find("confirm-yes").textContent = yes;
  return (await asked(find("confirm"))) === "yes";
}

/** A class by search, or a new one; null where none was chosen. `onClasses` hears of a new list of classes. */
export function askClass(classes, onClasses) {
  const dialog = find("class-search");
  const input = find("class-input");
  const list = find("class-found");
  const fault = find("class-fault");
  let found = [];
  let at = 0;

  return new Promise((done) => {
    const finish = (name) => {
      dialog.onclose = null;
      dialog.close();
      done(name);
    };
    const create = async (name) => {
      try {
        const answer = await addClass(name);
        onClasses(answer.classes);
        finish(answer.name);
      } catch (error) {
        fault.textContent = error.message;
      }
    };
    const choose = (entry) => entry && (entry.fresh ? create(entry.name) : finish(entry.name));
    const draw = () => {
      const words = input.value.trim();
      const lower = words.toLowerCase();
      found = classes.filter((name) => name.toLowerCase().includes(lower)).map((name) => ({ name, fresh: false }));
      found.sort((a, b) => b.name.toLowerCase().startsWith(lower) - a.name.toLowerCase().startsWith(lower));
      if (words && !classes.includes(words)) found.push({ name: words, fresh: true });
      at = Math.min(at, Math.max(0, found.length - 1));
      list.replaceChildren(
        ...found.map((entry, i) => {
          const option = make("li", { role: "option", id: `class-${i}`, textContent: entry.fresh ? `Add the class “${entry.name}”` : entry.name });
          option.setAttribute("aria-selected", String(i === at));
          option.addEventListener("click", () => choose(entry));
          return option;
        }),
      );
      input.setAttribute("aria-activedescendant", found.length ? `class-${at}` : "");
      list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
      fault.textContent = "";
    };
    input.value = "";
    input.oninput = () => {
      at = 0;
      draw();
    };
    input.onkeydown = (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        choose(found[at]);
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        const step = event.key === "ArrowDown" ? 1 : -1;
        at = found.length ? (at + step + found.length) % found.length : 0;
        draw();
      }
    };
    dialog.onclose = () => done(null);
    draw();
    open(dialog);
    const typing = matchMedia("(pointer: fine)").matches || !classes.length;
    (typing ? input : find("class-title")).focus(); // a phone's keyboard would cover the classes
  });
}

/** The end of a sitting: other formats, and the commands to go on with. */
export async function showFinish(session, counts) {
  const select = find("export-format");
  if (!select.childElementCount)
    for (const format of session.formats ?? ["coco"])
      select.append(make("option", { value: format, textContent: format }));
  find("finish-count").textContent = counts.done < counts.photos
    ? `${counts.done} of ${counted(counts.photos, "photograph")} done, with ${counted(counts.boxes, "box", "boxes")}.`
    : `All done: ${counted(counts.boxes, "box", "boxes")} on ${counted(counts.photos, "photograph")}.`;
  find("finish-saved").textContent = counts.waiting
    ? `${counted(counts.waiting, "photograph")} still to be saved: leave this page open.`
    : "Everything is saved. You can close this page and go on another day.";
  const said = find("export-said");
  said.replaceChildren();
  find("export-go").onclick = () => exported(select.value, said);
  listCommands();
  return asked(find("finish"));
}

async function exported(format, said) {
  const line = (text) => make("p", { textContent: text });
  said.replaceChildren(line("Writing …"));
  try {
    const answer = await exportTo(format);
    const what = `${counted(answer.images, "photograph")} and ${counted(answer.boxes, "box", "boxes")} are in ${answer.folder}`;
    said.replaceChildren(line(what), ...(answer.said ?? []).map(line));
    listCommands();
  } catch (error) {
    said.replaceChildren(line(error.message));
  }
}

async function listCommands() {
  const list = find("commands");
  try {
    const { commands } = await getCommands();
    list.replaceChildren(...commands.map(commandRow));
  } catch (error) {
    list.replaceChildren(make("li", { textContent: error.message }));
  }
}

function commandRow({ text, what }) {
  const code = make("code", { textContent: text, tabIndex: 0 });
  const button = make("button", { type: "button", textContent: "Copy", "aria-label": `Copy: ${what}` });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no clipboard over plain HTTP: Ctrl-C does it
      button.textContent = "Press Ctrl-C";
    }
  });
  return make("li", {}, make("span", { textContent: what }), make("div", { class: "command" }, code, button));
}
