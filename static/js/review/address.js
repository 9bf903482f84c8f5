// Keeps the view and the current file in the URL, so that it can be shared and the back button works. The position in
// each review path is stored in this browser.
const KEY = "nvr.review.";

export function readUrl() {
  const query = new URLSearchParams(location.search);
  const filter = document.querySelector("[data-review]").dataset.filter;
  const knownFilters = ["all", "unseen", "seen", "locked", "trashed"];
  const filterParameter = query.get("filter") ?? "all";
  return {
    path: query.get("path"),
    filter: knownFilters.includes(filterParameter) ? filterParameter : filter,
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

export const pushView = (view) => history.pushState({}, "", hrefOf(view, null));

let updateTimer = 0;

// Browsers limit how often the URL may change: only the last change is applied.
export function updateUrl(view, item) {
  clearTimeout(updateTimer);
  updateTimer = setTimeout(() => history.replaceState(history.state, "", hrefOf(view, item)), 250);
}

export function pushItem(view, item) {
  if (new URLSearchParams(location.search).has("item")) return;
  history.pushState({ entered: true }, "", hrefOf(view, item));
}

export function leaveItem(view) {
  clearTimeout(updateTimer);
  if (history.state?.entered) history.back(); else history.replaceState({}, "", hrefOf(view, null));
}

export function remember(path, item, index) {
  try { localStorage.setItem(KEY + path, JSON.stringify({ item, index })); } catch { /* without storage, the position is not remembered */ }
}

export function remembered(path) {
  try {
    const { item, index } = JSON.parse(localStorage.getItem(KEY + path)) ?? {};
    return typeof item === "string" ? { item, index: Number(index) || 0 } : {};
  } catch {
    return {};
  }
}
