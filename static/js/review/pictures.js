// Pictures decoded before they are asked for: a small one first where the file is large, then the file itself.
import { fileOf, thumbnailOf } from "./api.js";

const SMALL_PX = 1024;
const LIGHT_BYTES = 1_000_000; // about what the small one is, as a PNG: such a file is there sooner itself
const LIGHT_PIXELS = 8_000_000; // a browser paints no more of them while one waits
const SHOWABLE = /\.(jpe?g|png|gif|webp|bmp)$/i; // a browser knows no TIFF
const SPARING = (navigator.deviceMemory ?? 8) < 4 || navigator.connection?.saveData;

// Of one whose size nobody knows there is no small one either.
function isLight({ width, height, sizeBytes }) {
  if (!width || Math.max(width, height) <= SMALL_PX) return true;
  return sizeBytes <= LIGHT_BYTES && width * height <= LIGHT_PIXELS;
}

// One file's pictures; each is asked for once.
class Pictures {
  #pending = new Set();

  constructor(item) {
    this.item = item;
    this.quick = null; // what is ready and painted at once: the small one, if there is one
    this.isShowable = SHOWABLE.test(item.name);
  }

  preview(priority = "auto") {
    if (this.isShowable && isLight(this.item)) return this.original(priority);
    this.previewing ??= this.#decoded(thumbnailOf(this.item, SMALL_PX), priority, false);
    return this.previewing;
  }

  original(priority = "low") {
    if (!this.isShowable) return this.preview(priority);
    this.loading ??= this.#decoded(fileOf(this.item), priority, true);
    return this.loading;
  }

  // The original's bytes only: decoded, each takes some 80 MB, and browsers forget it again before it is shown.
  fetchOriginal(priority) {
    if (!this.isShowable || this.loading) return Promise.resolve();
    this.fetched ??= new Promise((resolve) => {
      this.fetching = this.#ask(fileOf(this.item), priority);
      for (const name of ["load", "error"]) this.fetching.addEventListener(name, resolve);
    });
    return this.fetched;
  }

  #ask(url, priority) {
    const picture = new Image();
    picture.decoding = "sync"; // it is decoded when it is put into the page
    picture.fetchPriority = priority;
    picture.src = url;
    this.#pending.add(picture);
    return picture;
  }

  async #decoded(url, priority, isOriginal) {
    const picture = (isOriginal && this.fetching) || this.#ask(url, priority);
    try { await picture.decode(); } finally { this.#pending.delete(picture); }
    const found = { picture, isOriginal };
    this.quick ??= found;
    return found;
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

  // While one goes on faster than pictures are made: one at a time, of a file that one comes to a little later. When it
  // is ready by then, all are prepared again.
  async scout(item) {
    if (this.#kept.has(this.scouted) || !item || item.isVideo) return;
    this.scouted = item.path;
    await this.of(item).preview().catch(() => {});
    if (this.scouted === item.path) this.scouted = null;
  }

  // Make ready what comes next, the most likely first, two at a time: the very next one together with the one that is
  // looked at, or whoever goes on before that is there would stay ahead of all that is prepared. Originals only when
  // one rests at a picture: fetching and decoding them would hold up the next ones.
  async prepare(current, others, rest) {
    const mine = ++this.#turn;
    const wanted = [current, ...others].filter((item) => !item.isVideo);
    for (let at = 0; at < wanted.length; at += 2) {
      const pair = wanted.slice(at, at + 2).map((item) => this.of(item).preview(item === current ? "high" : "auto"));
      await Promise.allSettled(pair); // a failure is told when it is shown
      if (mine !== this.#turn) return;
    }
    await rest;
    for (const item of SPARING ? [] : [current, ...others.slice(0, 3)]) {
      if (mine !== this.#turn) return;
      if (!item.isVideo) await this.of(item).fetchOriginal(item === current ? "high" : "low");
    }
  }
}
