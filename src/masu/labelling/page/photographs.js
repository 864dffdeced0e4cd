/** Photographs that were read from the server, and those that will probably be wanted next, read ahead. */

import { addressOf, getPhoto } from "./api.js";

const KEPT = 12; // photographs with their pixels

export class Photographs {
  constructor(saves) {
    this.saves = saves;
    this.read = new Map(); // id → {photo: promise, image: promise}, the last used last
  }

  /** {photo: promise of its JSON, image: promise of a decoded <img>}; read now where it was not. */
  get(id) {
    const entry = this.read.get(id) ?? this.load(id);
    this.read.delete(id);
    this.read.set(id, entry);
    for (const other of this.read.keys()) {
      if (this.read.size <= KEPT) break;
      this.read.delete(other);
    }
    return entry;
  }

  ahead(id) {
    if (id) this.get(id);
  }

  load(id) {
    const entry = { photo: this.photo(id), image: image(`${addressOf(id)}/image`) };
    entry.photo.catch(() => this.drop(id, entry));
    entry.image.catch(() => this.drop(id, entry));
    return entry;
  }

  async photo(id) {
    await this.saves.settled(id);
    const photo = await getPhoto(id);
    this.saves.opened(id, photo.version);
    return photo;
  }

  drop(id, entry) {
    if (this.read.get(id) === entry) this.read.delete(id);
  }

  /** What is known of it is old; its pixels are not. */
  forget(id) {
    const entry = this.read.get(id);
    if (entry) this.read.set(id, { image: entry.image, photo: this.later(id) });
  }

  /** A promise that asks only when somebody waits for it. */
  later(id) {
    let asked = null;
    const start = () => (asked ??= this.photo(id));
    return { then: (...callbacks) => start().then(...callbacks), catch: (callback) => start().catch(callback) };
  }
}

async function image(address) {
  const element = new Image();
  element.src = address;
  element.alt = "";
  element.draggable = false;
  await element.decode();
  return element;
}
