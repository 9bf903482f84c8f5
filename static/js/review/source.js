// The files of a view, by their place in it. Only what is asked for is loaded, in chunks: a million files cost no more
// than a thousand. A place that was not loaded yet is `undefined`; one whose file went meanwhile is `null`.
import { askJson, itemsOf } from "./api.js";
import { fits } from "./status.js";

const CHUNK = 100;
const CHUNKS_KEPT = 150;
const GATHERED_AT_ONCE = 2000;
const GATHERED_AHEAD = 50_000; // of what one looks at: all of most cards, and a page's memory stays bounded on any
const encoder = new TextEncoder();

function compareText(one, other) {
  const [a, b] = [encoder.encode(one), encoder.encode(other)];
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

const nameOf = ({ path }) => path.slice(path.lastIndexOf("/") + 1);
const folderOf = ({ path }) => path.slice(0, path.lastIndexOf("/"));

// The server's orders.
const ORDERS = {
  folder: (one, other) => compareText(folderOf(one), folderOf(other)) || compareText(nameOf(one), nameOf(other)),
  name: (one, other) => compareText(nameOf(one), nameOf(other)) || compareText(one.path, other.path),
  time: (one, other) => compareText(one.modifiedAt, other.modifiedAt) || compareText(one.path, other.path),
};

// The file at `path`, as far as its place in the order depends on it; null if its time is asked for and it is gone.
async function fileAt(path, { root, order }) {
  if (order !== "time") return { path };
  const byName = new PagedSource(root, { filter: "all", order: "name" });
  await byName.open();
  return byName.total ? byName.load(await byName.find(path)) : null;
}

// All files that a status takes, at places that do not move while one works, whatever is marked meanwhile.
export class PagedSource extends EventTarget {
  constructor(root, { filter, order }) {
    super();
    Object.assign(this, { root, filter, order, total: 0, isWhole: true, chunks: new Map(), loading: new Map() });
  }

  async open(refresh = false) {
    if (refresh) await itemsOf({ path: this.root, limit: 1, refresh: 1 });
    const { counts } = await askJson(`/api/media-items/summary?${new URLSearchParams({ path: this.root })}`);
    this.total = counts[this.filter];
    this.counts = counts;
  }

  at(place) {
    return this.chunks.get(Math.floor(place / CHUNK))?.[place % CHUNK];
  }

  async load(place) {
    const number = Math.floor(place / CHUNK);
    if (place < 0 || place >= this.total) return null;
    if (!this.chunks.has(number)) {
      if (!this.loading.has(number)) this.loading.set(number, this.fetchChunk(number).finally(() => this.loading.delete(number)));
      await this.loading.get(number);
    }
    return this.at(place) ?? null;
  }

  async fetchChunk(number) {
    const first = number * CHUNK;
    const before = this.at(first - 1);
    const start = before ? { after: before.exact } : { offset: Math.max(0, first - this.leftBefore(first)) };
    const size = Math.min(CHUNK, this.total - first);
    const items = await itemsOf({ path: this.root, statusFilter: this.filter, order: this.order, limit: size, ...start });
    while (items.length < size) items.push(null);
    this.forgetFar(number);
    this.chunks.set(number, items);
    this.dispatchEvent(new Event("change"));
  }

  // How many of the files before `place` the server no longer counts here, since they were marked.
  leftBefore(place) {
    let left = 0;
    for (const [number, items] of this.chunks) {
      if (number * CHUNK >= place) continue;
      for (const item of items) if (item && !fits(this.filter, item.confirmed)) left += 1;
    }
    return left;
  }

  forgetFar(number) {
    if (this.chunks.size < CHUNKS_KEPT) return;
    const far = [...this.chunks.keys()].sort((a, b) => Math.abs(b - number) - Math.abs(a - number));
    const dropped = far.find((key) => this.chunks.get(key).every((item) => item && fits(this.filter, item.confirmed)));
    if (dropped !== undefined) this.chunks.delete(dropped);
  }

  // The place of `path`, or where it would stand; `hint` is where it was.
  async find(path, hint = 0) {
    if ((await this.load(Math.min(hint, this.total - 1)))?.path === path) return hint;
    const file = await fileAt(path, this);
    if (!file) return Math.min(hint, Math.max(0, this.total - 1));
    let [low, high] = [0, this.total];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const item = await this.load(middle);
      if (item && ORDERS[this.order](item, file) < 0) low = middle + 1; else high = middle;
    }
    return Math.min(low, Math.max(0, this.total - 1));
  }

  *loaded() {
    for (const items of this.chunks.values()) for (const item of items) if (item) yield item;
  }
}

// The files of one type or one folder: gathered from the whole list, shown as they come.
export class GatheredSource extends EventTarget {
  constructor(root, { filter, order }, takes) {
    super();
    Object.assign(this, { root, filter, order, takes, items: [], isWhole: false, stop: new AbortController(), wanted: 0 });
  }

  get total() { return this.items.length; }

  async open(refresh = false) {
    const { counts } = await askJson(`/api/media-items/summary?${new URLSearchParams({ path: this.root })}`);
    this.counts = counts;
    this.whole = this.gather(refresh);
    this.whole.catch(() => {}); // told by whoever waits for it
    while (!this.items.length && !this.isWhole) await this.more();
  }

  async gather(refresh) {
    try {
      for (let after = null, more = true; more;) {
        const query = { path: this.root, statusFilter: this.filter, order: this.order, limit: GATHERED_AT_ONCE, ...(after ? { after } : refresh && { refresh: 1 }) };
        const items = await itemsOf(query, { signal: this.stop.signal });
        this.items.push(...items.filter(this.takes));
        after = items.at(-1)?.exact;
        more = items.length > 0;
        if (more) this.dispatchEvent(new Event("change"));
        if (this.items.length > this.wanted + GATHERED_AHEAD) await new Promise((resolve) => { this.goOn = resolve; });
      }
    } finally {
      this.isWhole = true;
      this.dispatchEvent(new Event("change"));
    }
  }

  more() {
    const news = new Promise((resolve) => { this.addEventListener("change", resolve, { once: true }); });
    return Promise.race([news, this.whole]);
  }

  at(place) {
    this.want(place);
    return this.items[place];
  }

  want(place) {
    if (place <= this.wanted) return;
    this.wanted = place;
    if (this.items.length <= place + GATHERED_AHEAD) this.goOn?.();
  }

  async load(place) {
    this.want(place);
    while (place >= this.items.length && !this.isWhole) await this.more();
    return this.items[place] ?? null;
  }

  async find(path) {
    const file = await fileAt(path, this);
    for (let place = 0; file; place += 1) {
      const item = await this.load(place);
      if (!item) break;
      if (ORDERS[this.order](item, file) >= 0) return place;
    }
    return Math.max(0, this.total - 1);
  }

  *loaded() { yield* this.items; }

  close() { this.stop.abort(); }
}
