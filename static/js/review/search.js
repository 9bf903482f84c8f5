// Finds the next or previous file with a mark in a list that is loaded in chunks.
import { fetchItems } from "./api.js";
import { matchesFilter } from "./status.js";

// Returns its index, -1 if there is none. Chunks that are not loaded are not searched: the server finds the next file.
export async function nextWhere(source, from, filter) {
  for (let index = from + 1; index < source.total || !source.isComplete; index += 1) {
    let item = source.at(index);
    if (item === undefined) {
      const found = await findOnServer(source, index, filter);
      if (found === -1) return -1;
      index = found ?? index;
      item = await source.load(index);
      if (index >= source.total) return -1;
    }
    if (item && matchesFilter(filter, item.status)) return index;
  }
  return -1;
}

// Only for the list of all files: a filtered list may not contain the file that the server finds. Null if unknown.
async function findOnServer(source, index, filter) {
  const before = source.at(index - 1);
  if (source.filter !== "all" || !source.chunks || !before) return null;
  const [found] = await fetchItems({ path: source.root, statusFilter: filter, order: source.order, limit: 1, after: before.exact });
  return found ? Math.max(index, await source.find(found.path, index)) : -1;
}

export async function previousWhere(source, from, filter) {
  for (let index = from - 1; index >= 0; index -= 1) {
    const item = source.at(index) ?? (await source.load(index));
    if (item && matchesFilter(filter, item.status)) return index;
  }
  return -1;
}
