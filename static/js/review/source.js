// The files of a view, by their index. Only requested chunks are loaded: a million files cost no more than a
// thousand. An index that is not loaded yet is `undefined`; one whose file was removed meanwhile is `null`.
import { requestJson, fetchItems } from "./api.js";
import { matchesFilter } from "./status.js";

const CHUNK = 100;
const MAX_CHUNKS = 150;
const BATCH_SIZE = 2000;
const MAX_LOADED_AHEAD = 50_000; // beyond the current index: covers most memory cards, and limits the page's memory
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
    Object.assign(this, { root, filter, order, total: 0, isComplete: true, chunks: new Map(), loading: new Map() });
  }

  async open(refresh = false) {
    if (refresh) await fetchItems({ path: this.root, limit: 1, refresh: 1 });
    const { counts } = await requestJson(`/api/media-items/summary?${new URLSearchParams({ path: this.root })}`);
    this.total = counts[this.filter];
    this.counts = counts;
  }

  at(index) {
    return this.chunks.get(Math.floor(index / CHUNK))?.[index % CHUNK];
  }

  async load(index) {
    const number = Math.floor(index / CHUNK);
    if (index < 0 || index >= this.total) return null;
    if (!this.chunks.has(number)) {
      if (!this.loading.has(number)) this.loading.set(number, this.fetchChunk(number).finally(() => this.loading.delete(number)));
      await this.loading.get(number);
    }
    return this.at(index) ?? null;
  }

  async fetchChunk(number) {
    const first = number * CHUNK;
    const before = this.at(first - 1);
    const size = Math.min(CHUNK, this.total - first);
    const query = { path: this.root, statusFilter: this.filter, order: this.order, limit: size };
    const byOffset = () => fetchItems({ ...query, offset: Math.max(0, first - this.countUnmatchedBefore(first)) });
    // In the order by time, the server cannot continue after a file that was removed meanwhile.
    const items = await (before ? fetchItems({ ...query, after: before.exact }).catch((error) => (error.status === 400 ? byOffset() : Promise.reject(error))) : byOffset());
    while (items.length < size) items.push(null);
    this.evictChunk(number);
    this.chunks.set(number, items);
    this.dispatchEvent(new Event("change"));
  }

  // How many files before `index` no longer match the filter on the server, because they were marked.
  countUnmatchedBefore(index) {
    let count = 0;
    for (const [number, items] of this.chunks) {
      if (number * CHUNK >= index) continue;
      for (const item of items) if (item && !matchesFilter(this.filter, item.confirmed)) count += 1;
    }
    return count;
  }

  // Drop the farthest chunk. Chunks with files that no longer match, or soon will not, are kept: offsets depend on them.
  evictChunk(number) {
    if (this.chunks.size < MAX_CHUNKS) return;
    const byDistance = [...this.chunks.keys()].sort((a, b) => Math.abs(b - number) - Math.abs(a - number));
    const dropped = byDistance.find((key) => this.chunks.get(key).every((item) => item && !item.pending && matchesFilter(this.filter, item.confirmed)));
    if (dropped !== undefined) this.chunks.delete(dropped);
  }

  // The index of `path`, or where it would be sorted. `hint` is its last known index, and the fallback.
  async find(path, hint = 0) {
    const lastIndex = Math.max(0, this.total - 1);
    await this.load(Math.min(hint, lastIndex));
    const loaded = this.loadedIndex(path);
    if (loaded >= 0) return loaded;
    const query = { path: this.root, item: path, statusFilter: this.filter, order: this.order };
    const position = await requestJson(`/api/media-items/position?${new URLSearchParams(query)}`).catch(() => ({ offset: hint }));
    return Math.min(this.indexOf(position.offset), lastIndex);
  }

  // The index of a loaded file, -1 if it is not loaded.
  loadedIndex(path) {
    for (const [number, items] of this.chunks) {
      const at = items.findIndex((item) => item?.path === path);
      if (at >= 0) return number * CHUNK + at;
    }
    return -1;
  }

  // Converts the server's `offset` to an index here: the server does not count files that no longer match the filter.
  indexOf(offset) {
    const unmatched = [...this.chunks].flatMap(([number, items]) => items.flatMap((item, at) => (item && !matchesFilter(this.filter, item.confirmed) ? [number * CHUNK + at] : [])));
    return unmatched.sort((one, other) => one - other).reduce((index, at) => (at <= index ? index + 1 : index), offset);
  }

  *loaded() {
    for (const items of this.chunks.values()) for (const item of items) if (item) yield item;
  }
}

// The files of one type or folder: filtered from the whole list and shown as they load.
export class FilteredSource extends EventTarget {
  constructor(root, { filter, order }, matches) {
    super();
    Object.assign(this, { root, filter, order, matches, items: [], isComplete: false, stop: new AbortController(), requested: 0 });
  }

  get total() { return this.items.length; }

  async open(refresh = false) {
    const { counts } = await requestJson(`/api/media-items/summary?${new URLSearchParams({ path: this.root })}`);
    this.counts = counts;
    this.fetching = this.fetchAll(refresh);
    this.fetching.catch(() => {}); // reported to the caller that awaits it
    while (!this.items.length && !this.isComplete) await this.nextChange();
  }

  async fetchAll(refresh) {
    try {
      for (let after = null, hasMore = true; hasMore;) {
        const query = { path: this.root, statusFilter: this.filter, order: this.order, limit: BATCH_SIZE, ...(after ? { after } : refresh && { refresh: 1 }) };
        const items = await fetchItems(query, { signal: this.stop.signal });
        this.items.push(...items.filter(this.matches));
        after = items.at(-1)?.exact;
        hasMore = items.length > 0;
        if (hasMore) this.dispatchEvent(new Event("change"));
        if (this.items.length > this.requested + MAX_LOADED_AHEAD) await new Promise((resolve) => { this.resume = resolve; });
      }
    } finally {
      this.isComplete = true;
      this.dispatchEvent(new Event("change"));
    }
  }

  nextChange() {
    const changed = new Promise((resolve) => { this.addEventListener("change", resolve, { once: true }); });
    return Promise.race([changed, this.fetching]);
  }

  at(index) {
    this.requestUpTo(index);
    return this.items[index];
  }

  requestUpTo(index) {
    if (index <= this.requested) return;
    this.requested = index;
    if (this.items.length <= index + MAX_LOADED_AHEAD) this.resume?.();
  }

  async load(index) {
    this.requestUpTo(index);
    while (index >= this.items.length && !this.isComplete) await this.nextChange();
    return this.items[index] ?? null;
  }

  async find(path, hint = 0) {
    for (let index = 0; index < MAX_LOADED_AHEAD; index += 1) {
      const item = await this.load(index);
      if (!item) break;
      if (item.path === path || ORDERS[this.order](item.path, path) > 0) return index;
    }
    return Math.max(0, Math.min(hint, this.total - 1));
  }

  *loaded() { yield* this.items; }

  close() { this.stop.abort(); }
}
