// The view and the file are in the address, so that it can be shared and the back button works; where one was in a
// path, this browser remembers.
const KEY = "nvr.review.";

export function read() {
  const query = new URLSearchParams(location.search);
  const filter = document.querySelector("[data-review]").dataset.filter;
  const known = ["all", "unseen", "seen", "locked", "trashed"];
  const asked = query.get("filter") ?? "all";
  return {
    path: query.get("path"),
    filter: known.includes(asked) ? asked : filter,
    type: ["image", "video"].includes(query.get("type")) ? query.get("type") : "",
    folder: query.get("folder") ?? "",
    order: ["folder", "name", "time"].includes(query.get("order")) ? query.get("order") : "folder",
    item: query.get("item"),
  };
}

export const isSameView = (one, other) => one.filter === other.filter && one.type === other.type && one.folder === other.folder && one.order === other.order;

function hrefOf(view, item) {
  const query = new URLSearchParams({ path: view.path, filter: view.filter });
  if (view.type) query.set("type", view.type);
  if (view.folder) query.set("folder", view.folder);
  if (view.order !== "folder") query.set("order", view.order);
  if (item) query.set("item", item);
  return `${location.pathname}?${query}`;
}

export const push = (view) => history.pushState({}, "", hrefOf(view, null));

let due = 0;

// Browsers allow few changes of the address in a while: the last one counts.
export function follow(view, item) {
  clearTimeout(due);
  due = setTimeout(() => history.replaceState(history.state, "", hrefOf(view, item)), 250);
}

export function enter(view, item) {
  if (new URLSearchParams(location.search).has("item")) return;
  history.pushState({ entered: true }, "", hrefOf(view, item));
}

export function leave(view) {
  clearTimeout(due);
  if (history.state?.entered) history.back(); else history.replaceState({}, "", hrefOf(view, null));
}

export function remember(path, item, place) {
  try { localStorage.setItem(KEY + path, JSON.stringify({ item, place })); } catch { /* it then lasts as long as the page */ }
}

export function remembered(path) {
  try {
    const { item, place } = JSON.parse(localStorage.getItem(KEY + path)) ?? {};
    return typeof item === "string" ? { item, place: Number(place) || 0 } : {};
  } catch {
    return {};
  }
}
