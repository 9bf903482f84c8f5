// Pictures decoded before they are asked for: a small one first where the file is large, then the file itself.
import { fileOf, thumbnailOf } from "./api.js";

const SMALL_PX = 1024;
const LIGHT_BYTES = 1_000_000; // about what the small one is, as a PNG: such a file is there sooner itself
const SHOWABLE = /\.(jpe?g|png|gif|webp|bmp)$/i; // a browser knows no TIFF
const SPARING = (navigator.deviceMemory ?? 8) < 4 || navigator.connection?.saveData;

const isLight = (item) => item.sizeBytes <= LIGHT_BYTES || Math.max(item.width, item.height) <= SMALL_PX;

// One file's pictures; each is asked for once.
class Pictures {
  #pending = new Set();

  constructor(item) {
    this.item = item;
    this.best = null; // the best that is ready
    this.isShowable = SHOWABLE.test(item.name);
  }

  preview(priority = "auto") {
    if (this.isShowable && isLight(this.item)) return this.original(priority);
    this.previewing ??= this.#keep(thumbnailOf(this.item, SMALL_PX), priority, false);
    return this.previewing;
  }

  original(priority = "low") {
    if (!this.isShowable) return this.preview(priority);
    this.loading ??= this.#keep(fileOf(this.item), priority, true);
    return this.loading;
  }

  async #keep(url, priority, isOriginal) {
    const found = { picture: await this.#decoded(url, priority), isOriginal };
    if (!this.best?.isOriginal) this.best = found;
    return found;
  }

  async #decoded(url, priority) {
    const picture = new Image();
    picture.decoding = "sync"; // it is decoded when it is put into the page
    picture.fetchPriority = priority;
    picture.src = url;
    this.#pending.add(picture);
    try { await picture.decode(); } finally { this.#pending.delete(picture); }
    return picture;
  }

  // What one has run past must not hold up what one looks at: browsers fetch six at a time.
  drop() {
    for (const picture of this.#pending) picture.removeAttribute("src");
  }
}

export class Album {
  #kept = new Map();
  #turn = 0;

  of(item) {
    if (!this.#kept.has(item.path)) this.#kept.set(item.path, new Pictures(item));
    return this.#kept.get(item.path);
  }

  // Let go of everything but these.
  keep(items) {
    this.#turn += 1;
    const wanted = new Set(items.map((item) => item.path));
    for (const [path, pictures] of this.#kept) if (!wanted.has(path)) { pictures.drop(); this.#kept.delete(path); }
  }

  // Make ready what comes next, the most likely first.
  async prepare(current, others) {
    const mine = ++this.#turn;
    if (!current.isVideo) await this.of(current).preview("high").catch(() => {}); // told when it is shown
    const rest = mine === this.#turn ? others : [];
    await Promise.allSettled(rest.map((item) => this.of(item).preview()));
    for (const item of SPARING ? [] : rest) {
      if (mine !== this.#turn) return;
      await this.of(item).original().catch(() => {});
    }
  }
}
