// The next or previous file with a mark, in a list that is loaded in parts.
import { itemsOf } from "./api.js";
import { fits } from "./status.js";

// Its place; -1 when there is none. What was not loaded is not walked through: the server knows what comes next.
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
    if (item && fits(filter, item.status)) return place;
  }
  return -1;
}

// Only in the list of all files: in another, what the server finds need not be in it. Null when it cannot tell.
async function jump(source, place, filter) {
  const before = source.at(place - 1);
  if (source.filter !== "all" || !source.chunks || !before) return null;
  const [found] = await itemsOf({ path: source.root, statusFilter: filter, order: source.order, limit: 1, after: before.exact });
  return found ? Math.max(place, await source.find(found.path, place)) : -1;
}

export async function previousWhere(source, from, filter) {
  for (let place = from - 1; place >= 0; place -= 1) {
    const item = source.at(place) ?? (await source.load(place));
    if (item && fits(filter, item.status)) return place;
  }
  return -1;
}
