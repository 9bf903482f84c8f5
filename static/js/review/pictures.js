// Pictures decoded before they are asked for: first a small one, then the file itself.
import { fileOf, thumbnailOf } from "./api.js";

const SMALL_PX = 1024;
const SPARING = (navigator.deviceMemory ?? 8) < 4 || navigator.connection?.saveData;

async function decoded(url, priority) {
  const picture = new Image();
  picture.decoding = "sync"; // it is decoded when it is put into the page
  picture.fetchPriority = priority;
  picture.src = url;
  await picture.decode();
  return picture;
}

const isSmall = (item) => item.width && item.height && Math.max(item.width, item.height) <= SMALL_PX;

// One file's pictures; each is asked for once.
class Pictures {
  constructor(item) {
    this.item = item;
    this.best = null; // the best that is ready
  }

  preview(priority = "auto") {
    this.previewing ??= this.#keep(isSmall(this.item) ? fileOf(this.item) : thumbnailOf(this.item, SMALL_PX), priority, isSmall(this.item));
    return this.previewing;
  }

  original(priority = "low") {
    if (this.item.isVideo || isSmall(this.item)) return this.preview(priority);
    this.loading ??= this.#keep(fileOf(this.item), priority, true);
    return this.loading;
  }

  async #keep(url, priority, isOriginal) {
    const picture = await decoded(url, priority);
    const found = { picture, isOriginal };
    if (!this.best?.isOriginal) this.best = found;
    return found;
  }
}

export class Album {
  #kept = new Map();
  #turn = 0;

  of(item) {
    if (!this.#kept.has(item.path)) this.#kept.set(item.path, new Pictures(item));
    return this.#kept.get(item.path);
  }

  // Make ready what comes next, the most likely first, and let go of everything else.
  async prepare(current, others) {
    const mine = ++this.#turn;
    const wanted = new Set([current, ...others].map((item) => item.path));
    for (const path of this.#kept.keys()) if (!wanted.has(path)) this.#kept.delete(path);
    const previews = others.map((item) => this.of(item).preview());
    await Promise.allSettled([this.of(current).preview("high"), ...previews]);
    for (const item of SPARING ? [] : others) {
      if (mine !== this.#turn) return;
      await this.of(item).original().catch(() => {}); // told when it is shown
    }
  }
}
