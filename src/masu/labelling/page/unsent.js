/** Answers that no server has confirmed yet, kept in the browser: a closed tab or a server that is away loses none. */

export class Unsent {
  /** `storage` is localStorage or what behaves like it; `scope` tells data sets apart; `tab` this page. */
  constructor(storage, scope, tab) {
    this.storage = storage;
    this.start = `masu-label:${scope}:`;
    this.tab = tab;
  }

  at = (id) => `${this.start}${this.tab}:${id}`;

  keep(id, body, version, lost = []) {
    try {
      this.storage.setItem(this.at(id), JSON.stringify({ id, body, version, lost, tab: this.tab }));
      return true;
    } catch {
      return false; // full or forbidden: the answer is still in memory and on its way
    }
  }

  /** Forgets what this tab kept; another tab's answer to the same photograph stays. */
  drop(id) {
    try {
      this.storage.removeItem(this.at(id));
    } catch {
      // a storage that is forbidden holds nothing
    }
  }

  /** What was left by tabs that are gone, as [{id, body, version, lost}]; from now on it is this tab's. */
  adopt(living = new Set()) {
    const left = [];
    try {
      for (const key of Object.keys(this.storage)) {
        if (!key.startsWith(this.start)) continue;
        const entry = this.read(key);
        if (!entry || living.has(entry.tab)) continue;
        this.storage.removeItem(key);
        this.keep(entry.id, entry.body, entry.version, entry.lost);
        left.push(entry);
      }
    } catch {
      return left;
    }
    return left;
  }

  read(key) {
    try {
      const entry = JSON.parse(this.storage.getItem(key));
      return typeof entry?.id === "string" && entry.body ? entry : null;
    } catch {
      return null;
    }
  }
}

/** The names of the tabs that are open now; this one is among them for as long as it lives. */
export async function livingTabs(tab) {
  if (!navigator.locks) return new Set();
  navigator.locks.request(`masu-label-tab:${tab}`, () => new Promise(() => {}));
  const { held = [] } = await navigator.locks.query();
  return new Set(held.map((lock) => lock.name.replace("masu-label-tab:", "")).filter((name) => name !== tab));
}
