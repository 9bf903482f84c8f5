// The files of a view, by their place in it. Only requested chunks are loaded: a million files cost no more than a
// thousand. A place that is not loaded yet is `undefined`; one whose file was removed meanwhile is `null`.
import { requestJson, fetchItems } from "./api.js";
import { matchesFilter } from "./status.js";

const CHUNK = 100;
const MAX_CHUNKS = 150;
const BATCH_SIZE = 2000;
const MAX_LOADED_AHEAD = 50_000; // beyond the current place: covers most memory cards, and limits the page's memory
const encoder = new TextEncoder();

function compareText(one, other) {
  const [a, b] = [encoder.encode(one), encoder.encode(other)];
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
const folderOf = (path) => path.slice(0, path.lastIndexOf("/")).replaceAll("/", "\0"); // so that folders sort by path component

// The server's sort orders, as far as they depend on paths.
const ORDERS = {
  folder: (one, other) => compareText(folderOf(one), folderOf(other)) || compareText(nameOf(one), nameOf(other)),
  name: (one, other) => compareText(nameOf(one), nameOf(other)) || compareText(one, other),
  time: () => -1,
};

// All files that match a status filter. Places stay fixed, even if files are marked and no longer match.
export class PagedSource extends EventTarget {
  constructor(root, { filter, order }) {
    super();
    Object.assign(this, { root, filter, order, total: 0, isWhole: true, chunks: new Map(), loading: new Map() });
  }

  async open(refresh = false) {
    if (refresh) await fetchItems({ path: this.root, limit: 1, refresh: 1 });
    const { counts } = await requestJson(`/api/media-items/summary?${new URLSearchParams({ path: this.root })}`);
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
    const byNumber = () => fetchItems({ ...query, offset: Math.max(0, first - this.leftBefore(first)) });
    // In the order by time, the server cannot continue after a file that was removed meanwhile.
    const items = await (before ? fetchItems({ ...query, after: before.exact }).catch((error) => (error.status === 400 ? byNumber() : Promise.reject(error))) : byNumber());
    while (items.length < size) items.push(null);
    this.forgetFar(number);
    this.chunks.set(number, items);
    this.dispatchEvent(new Event("change"));
  }

  // How many files before `place` no longer match the filter on the server, because they were marked.
  leftBefore(place) {
    let left = 0;
    for (const [number, items] of this.chunks) {
      if (number * CHUNK >= place) continue;
      for (const item of items) if (item && !matchesFilter(this.filter, item.confirmed)) left += 1;
    }
    return left;
  }

  // Drop the farthest chunk. Chunks with files that no longer match, or soon will not, are kept: offsets depend on them.
  forgetFar(number) {
    if (this.chunks.size < MAX_CHUNKS) return;
    const far = [...this.chunks.keys()].sort((a, b) => Math.abs(b - number) - Math.abs(a - number));
    const dropped = far.find((key) => this.chunks.get(key).every((item) => item && !item.pending && matchesFilter(this.filter, item.confirmed)));
    if (dropped !== undefined) this.chunks.delete(dropped);
  }

  // The place of `path`, or where it would be sorted. `hint` is its last known place, and the fallback.
  async find(path, hint = 0) {
    const lastPlace = Math.max(0, this.total - 1);
    await this.load(Math.min(hint, lastPlace));
    const known = this.known(path);
    if (known >= 0) return known;
    const query = { path: this.root, item: path, statusFilter: this.filter, order: this.order };
    const position = await requestJson(`/api/media-items/position?${new URLSearchParams(query)}`).catch(() => ({ offset: hint }));
    return Math.min(this.withLeft(position.offset), lastPlace);
  }

  // The place of a loaded file, -1 if it is not loaded.
  known(path) {
    for (const [number, items] of this.chunks) {
      const at = items.findIndex((item) => item?.path === path);
      if (at >= 0) return number * CHUNK + at;
    }
    return -1;
  }

  // Converts the server's `offset` to a place here: the server does not count files that no longer match the filter.
  withLeft(offset) {
    const left = [...this.chunks].flatMap(([number, items]) => items.flatMap((item, at) => (item && !matchesFilter(this.filter, item.confirmed) ? [number * CHUNK + at] : [])));
    return left.sort((one, other) => one - other).reduce((place, at) => (at <= place ? place + 1 : place), offset);
  }

  *loaded() {
    for (const items of this.chunks.values()) for (const item of items) if (item) yield item;
  }
}

// The files of one type or folder: filtered from the whole list and shown as they load.
export class FilteredSource extends EventTarget {
  constructor(root, { filter, order }, takes) {
    super();
    Object.assign(this, { root, filter, order, takes, items: [], isWhole: false, stop: new AbortController(), wanted: 0 });
  }

  get total() { return this.items.length; }

  async open(refresh = false) {
    const { counts } = await requestJson(`/api/media-items/summary?${new URLSearchParams({ path: this.root })}`);
    this.counts = counts;
    this.whole = this.gather(refresh);
    this.whole.catch(() => {}); // reported to the caller that awaits it
    while (!this.items.length && !this.isWhole) await this.more();
  }

  async gather(refresh) {
    try {
      for (let after = null, more = true; more;) {
        const query = { path: this.root, statusFilter: this.filter, order: this.order, limit: BATCH_SIZE, ...(after ? { after } : refresh && { refresh: 1 }) };
        const items = await fetchItems(query, { signal: this.stop.signal });
        this.items.push(...items.filter(this.takes));
        after = items.at(-1)?.exact;
        more = items.length > 0;
        if (more) this.dispatchEvent(new Event("change"));
        if (this.items.length > this.wanted + MAX_LOADED_AHEAD) await new Promise((resolve) => { this.goOn = resolve; });
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
    if (this.items.length <= place + MAX_LOADED_AHEAD) this.goOn?.();
  }

  async load(place) {
    this.want(place);
    while (place >= this.items.length && !this.isWhole) await this.more();
    return this.items[place] ?? null;
  }

  async find(path, hint = 0) {
    for (let place = 0; place < MAX_LOADED_AHEAD; place += 1) {
      const item = await this.load(place);
      if (!item) break;
      if (item.path === path || ORDERS[this.order](item.path, path) > 0) return place;
    }
    return Math.max(0, Math.min(hint, this.total - 1));
  }

  *loaded() { yield* this.items; }

  close() { this.stop.abort(); }
}
