/** What a person has set on this page, kept by the browser for each data set. */

export class Preferences {
  constructor(scope) {
    this.key = `masu-label-preferences:${scope}`;
    try {
      this.values = JSON.parse(localStorage.getItem(this.key)) ?? {};
    } catch {
      this.values = {};
    }
  }

  get(name, otherwise) {
    return this.values[name] ?? otherwise;
  }

  set(name, value) {
    this.values[name] = value;
    try {
      localStorage.setItem(this.key, JSON.stringify(this.values));
    } catch {
      // a browser that keeps nothing forgets it with the page
    }
  }
}
