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

const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
const folderOf = (path) => path.slice(0, path.lastIndexOf("/")).replaceAll("/", "\0"); // in the order of their steps

// The server's orders, as far as paths tell them.
const ORDERS = {
  folder: (one, other) => compareText(folderOf(one), folderOf(other)) || compareText(nameOf(one), nameOf(other)),
  name: (one, other) => compareText(nameOf(one), nameOf(other)) || compareText(one, other),
  time: () => -1,
};

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
    const size = Math.min(CHUNK, this.total - first);
    const query = { path: this.root, statusFilter: this.filter, order: this.order, limit: size };
    const byNumber = () => itemsOf({ ...query, offset: Math.max(0, first - this.leftBefore(first)) });
    // By time, a file that was removed meanwhile has no place behind which to go on.
    const items = await (before ? itemsOf({ ...query, after: before.exact }).catch((error) => (error.status === 400 ? byNumber() : Promise.reject(error))) : byNumber());
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

  // Not what left this filter, or is about to: the places of all that follows are counted with it.
  forgetFar(number) {
    if (this.chunks.size < CHUNKS_KEPT) return;
    const far = [...this.chunks.keys()].sort((a, b) => Math.abs(b - number) - Math.abs(a - number));
    const dropped = far.find((key) => this.chunks.get(key).every((item) => item && !item.pending && fits(this.filter, item.confirmed)));
    if (dropped !== undefined) this.chunks.delete(dropped);
  }

  // The place of `path`, or where it would stand; `hint` is where it was, and what is left when nobody knows.
  async find(path, hint = 0) {
    const most = Math.max(0, this.total - 1);
    await this.load(Math.min(hint, most));
    const known = this.known(path);
    if (known >= 0) return known;
    const query = { path: this.root, item: path, statusFilter: this.filter, order: this.order };
    const told = await askJson(`/api/media-items/position?${new URLSearchParams(query)}`).catch(() => ({ offset: hint }));
    return Math.min(this.withLeft(told.offset), most);
  }

  // The place of a file that is loaded, -1 for others.
  known(path) {
    for (const [number, items] of this.chunks) {
      const at = items.findIndex((item) => item?.path === path);
      if (at >= 0) return number * CHUNK + at;
    }
    return -1;
  }

  // The place here of what is at `offset` for the server, which no longer counts what has left this filter.
  withLeft(offset) {
    const left = [...this.chunks].flatMap(([number, items]) => items.flatMap((item, at) => (item && !fits(this.filter, item.confirmed) ? [number * CHUNK + at] : [])));
    return left.sort((one, other) => one - other).reduce((place, at) => (at <= place ? place + 1 : place), offset);
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

  async find(path, hint = 0) {
    for (let place = 0; place < GATHERED_AHEAD; place += 1) {
      const item = await this.load(place);
      if (!item) break;
      if (item.path === path || ORDERS[this.order](item.path, path) > 0) return place;
    }
    return Math.max(0, Math.min(hint, this.total - 1));
  }

  *loaded() { yield* this.items; }

  close() { this.stop.abort(); }
}
