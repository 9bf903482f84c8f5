// Decodes pictures before they are shown: for large files first a preview, then the original.
import { fileUrl, thumbnailUrl } from "./api.js";

const PREVIEW_PX = 1024;
const SMALL_FILE_BYTES = 1_000_000; // about the size of a preview as PNG: smaller originals load faster
const SMALL_FILE_PIXELS = 8_000_000; // the most that a browser decodes without noticeable delay
const SHOWABLE = /\.(jpe?g|png|gif|webp|bmp)$/i; // browsers do not support TIFF
const SAVES_DATA = (navigator.deviceMemory ?? 8) < 4 || navigator.connection?.saveData;

// Files of unknown dimensions have no preview.
function isSmallFile({ width, height, sizeBytes }) {
  if (!width || Math.max(width, height) <= PREVIEW_PX) return true;
  return sizeBytes <= SMALL_FILE_BYTES && width * height <= SMALL_FILE_PIXELS;
}

// The pictures of one file; each is requested once.
class Pictures {
  #pending = new Set();

  constructor(item) {
    this.item = item;
    this.first = null; // the first decoded picture, usually the preview; it can be painted at once
    this.isShowable = SHOWABLE.test(item.name);
  }

  preview(priority = "auto") {
    if (this.isShowable && isSmallFile(this.item)) return this.original(priority);
    this.previewing ??= this.#decoded(thumbnailUrl(this.item, PREVIEW_PX), priority, false);
    return this.previewing;
  }

  original(priority = "low") {
    if (!this.isShowable) return this.preview(priority);
    this.loading ??= this.#decoded(fileUrl(this.item), priority, true);
    return this.loading;
  }

  // Fetch the original without decoding: decoded, it takes about 80 MB, and browsers may discard that before it is shown.
  fetchOriginal(priority) {
    if (!this.isShowable || this.loading) return Promise.resolve();
    this.fetched ??= new Promise((resolve) => {
      this.fetching = this.#load(fileUrl(this.item), priority);
      for (const name of ["load", "error"]) this.fetching.addEventListener(name, resolve);
    });
    return this.fetched;
  }

  #load(url, priority) {
    const picture = new Image();
    picture.decoding = "sync"; // decoded when it is inserted into the page
    picture.fetchPriority = priority;
    picture.src = url;
    this.#pending.add(picture);
    return picture;
  }

  async #decoded(url, priority, isOriginal) {
    const picture = (isOriginal && this.fetching) || this.#load(url, priority);
    try { await picture.decode(); } finally { this.#pending.delete(picture); }
    const found = { picture, isOriginal };
    this.first ??= found;
    return found;
  }

  // Cancel pending requests: browsers fetch only six at a time, and skipped files must not delay the current one.
  drop() {
    for (const picture of this.#pending) picture.removeAttribute("src");
  }
}

export class PictureCache {
  #kept = new Map();
  #requestNumber = 0;

  of(item) {
    if (!this.#kept.has(item.path)) this.#kept.set(item.path, new Pictures(item));
    return this.#kept.get(item.path);
  }

  // Drop the pictures of all other files.
  keep(items) {
    this.#requestNumber += 1;
    const paths = new Set(items.map((item) => item.path));
    for (const [path, pictures] of this.#kept) if (!paths.has(path)) { pictures.drop(); this.#kept.delete(path); }
  }

  // While the user moves faster than previews are created: prepare only one file, a few steps ahead. If it is ready when
  // the user gets there, normal preparation resumes.
  async prepareAhead(item) {
    if (this.#kept.has(this.aheadPath) || !item || item.isVideo) return;
    this.aheadPath = item.path;
    await this.of(item).preview().catch(() => {});
    if (this.aheadPath === item.path) this.aheadPath = null;
  }

  // Prepare the next files, the most likely first, two at a time. The next file is prepared together with the current
  // one; otherwise a user who moves on early would always be ahead of the preparation. Originals are fetched only when
  // the user stays at a picture: fetching and decoding them would delay the next previews.
  async prepare(current, others, settleDelay) {
    const thisRequest = ++this.#requestNumber;
    const pictures = [current, ...others].filter((item) => !item.isVideo);
    for (let at = 0; at < pictures.length; at += 2) {
      const pair = pictures.slice(at, at + 2).map((item) => this.of(item).preview(item === current ? "high" : "auto"));
      await Promise.allSettled(pair); // a failure is reported when the file is shown
      if (thisRequest !== this.#requestNumber) return;
    }
    await settleDelay;
    for (const item of SAVES_DATA ? [] : [current, ...others.slice(0, 3)]) {
      if (thisRequest !== this.#requestNumber) return;
      if (!item.isVideo) await this.of(item).fetchOriginal(item === current ? "high" : "low");
    }
  }
}
