// Choosing a folder: how far each is, and the folders below it, opened one by one.
import { askJson } from "./api.js";
import { inDigits } from "./pace.js";

const root = document.querySelector("[data-pick]");
const template = document.querySelector("[data-tree-row]");

async function tellCounts(card) {
  const told = card.querySelector("[data-counts]");
  try {
    const { counts } = await askJson(`/api/media-items/summary?${new URLSearchParams({ path: card.dataset.root })}`);
    told.textContent = inWords(counts);
    card.querySelector("[data-progress]").value = counts.all ? counts.seen / counts.all : 0;
    if (!counts.unseen && counts.all) card.querySelector("[data-start]").href = hrefOf(card.dataset.root, "all");
  } catch (error) {
    told.textContent = error.message;
    card.toggleAttribute("data-away", true);
  }
}

function inWords({ all, unseen, locked, trashed }) {
  if (!all) return "No pictures or videos";
  const words = [unseen ? `${inDigits(unseen)} of ${inDigits(all)} to see` : `All ${inDigits(all)} seen`];
  if (locked) words.push(`${inDigits(locked)} locked`);
  if (trashed) words.push(`${inDigits(trashed)} in the trash`);
  return words.join(" · ");
}

function hrefOf(path, filter, folder = "") {
  const query = new URLSearchParams({ path, filter });
  if (folder) query.set("folder", folder);
  return `/review?${query}`;
}

// The tree: `open` leads to the review of a folder, `choose` puts its path into the form.
async function fill(list, path, choose) {
  list.setAttribute("aria-busy", "true");
  try {
    const { folders } = await askJson(`/api/folders?${new URLSearchParams({ path })}`);
    list.replaceChildren(...folders.map((folder) => rowOf(folder, choose)));
    if (!folders.length) list.append(note("No folders in here"));
  } catch (error) {
    list.replaceChildren(note(error.message));
  }
  list.removeAttribute("aria-busy");
}

function note(text) {
  const line = document.createElement("li");
  line.className = "muted small";
  line.textContent = text;
  return line;
}

function rowOf(folder, choose) {
  const row = template.content.firstElementChild.cloneNode(true);
  const [toggle, name, children] = ["toggle", "name", "children"].map((part) => row.querySelector(`[data-${part}]`));
  name.textContent = folder.name;
  choose(name, folder.path);
  toggle.setAttribute("aria-label", `Folders in ${folder.name}`);
  if (!folder.has_children) { toggle.disabled = true; return row; }
  toggle.addEventListener("click", () => {
    const opens = children.hidden;
    children.hidden = !opens;
    toggle.setAttribute("aria-expanded", String(opens));
    if (opens) fill(children, folder.path, choose);
  });
  return row;
}

function plant(tree, choose) {
  if (tree.firstElementChild) return;
  const list = document.createElement("ul");
  list.className = "tree-list";
  list.setAttribute("role", "list");
  tree.append(list);
  fill(list, tree.dataset.tree, choose);
}

function opening(rootPath) {
  return (link, path) => { link.href = hrefOf(rootPath, "all", path); };
}

function choosing(link, path) {
  link.href = "#add-path";
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const field = document.querySelector("#add-path");
    field.value = path;
    field.focus();
  });
}

for (const card of root.querySelectorAll("[data-root]")) {
  tellCounts(card);
  const tree = card.querySelector("[data-tree]");
  const button = card.querySelector("[data-tree-open]");
  button.addEventListener("click", () => {
    tree.hidden = !tree.hidden;
    button.setAttribute("aria-expanded", String(!tree.hidden));
    if (!tree.hidden) plant(tree, opening(card.dataset.root));
  });
}
root.querySelector("[data-browse]")?.addEventListener("toggle", (event) => {
  if (event.target.open) plant(event.target.querySelector("[data-tree]"), choosing);
});
