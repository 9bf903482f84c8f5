// Finds the next or previous file with a mark in a list that is loaded in chunks.
import { fetchItems } from "./api.js";
import { matchesFilter } from "./status.js";

// Returns its place, -1 if there is none. Chunks that are not loaded are not searched: the server finds the next file.
export async function nextWhere(source, from, filter) {
  for (let place = from + 1; place < source.total || !source.isWhole; place += 1) {
    let item = source.at(place);
    if (item === undefined) {
      const there = await jump(source, place, filter);
      if (there === -1) return -1;
      place = there ?? place;
      item = await source.load(place);
      if (place >= source.total) return -1;
    }
    if (item && matchesFilter(filter, item.status)) return place;
  }
  return -1;
}

// Only for the list of all files: a filtered list may not contain the file that the server finds. Null if unknown.
async function jump(source, place, filter) {
  const before = source.at(place - 1);
  if (source.filter !== "all" || !source.chunks || !before) return null;
  const [found] = await fetchItems({ path: source.root, statusFilter: filter, order: source.order, limit: 1, after: before.exact });
  return found ? Math.max(place, await source.find(found.path, place)) : -1;
}

export async function previousWhere(source, from, filter) {
  for (let place = from - 1; place >= 0; place -= 1) {
    const item = source.at(place) ?? (await source.load(place));
    if (item && matchesFilter(filter, item.status)) return place;
  }
  return -1;
}
