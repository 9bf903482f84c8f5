// The server's folders as a tree that loads each folder when it is opened: for choosing a review path, and next to any
// form field (templates/components/folder_picker.html).
import { requestJson } from "./review/api.js";

// Fill `tree` with the folders in its data-tree, once. `createName(folder)` returns the link or button of a folder.
export function fillTree(tree, createName) {
  if (tree.firstElementChild) return;
  const list = document.createElement("ul");
  list.className = "tree-list";
  list.setAttribute("role", "list");
  tree.append(list);
  fill(list, tree.dataset.tree, createName);
}

async function fill(list, path, createName) {
  list.setAttribute("aria-busy", "true");
  try {
    const { folders } = await requestJson(`/api/folders?${new URLSearchParams({ path })}`);
    list.replaceChildren(...folders.map((folder) => createRow(folder, createName)));
    if (!folders.length) list.append(note("No subfolders"));
  } catch (error) {
    list.replaceChildren(note(error.message));
  }
  list.removeAttribute("aria-busy");
}

function note(text) {
  const line = document.createElement("li");
  line.className = "tree-note";
  line.textContent = text;
  return line;
}

function createRow(folder, createName) {
  const row = document.querySelector("[data-tree-row]").content.firstElementChild.cloneNode(true);
  const [toggle, place, children] = ["toggle", "name", "children"].map((part) => row.querySelector(`[data-${part}]`));
  const name = createName(folder);
  name.classList.add("tree-name");
  name.textContent = folder.name;
  place.replaceWith(name);
  toggle.setAttribute("aria-label", `Folders in ${folder.name}`);
  toggle.disabled = !folder.has_children;
  toggle.addEventListener("click", () => {
    children.hidden = !children.hidden;
    toggle.setAttribute("aria-expanded", String(!children.hidden));
    if (!children.hidden && !children.firstElementChild) fill(children, folder.path, createName);
  });
  return row;
}

// Returns a function that creates a folder's button. The button writes the folder's path into `field` as if it was typed.
function pathButton(field, tree) {
  return (folder) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(field.value === folder.path));
    button.addEventListener("click", () => {
      field.value = folder.path;
      for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
      for (const other of tree.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
      field.focus();
    });
    return button;
  };
}

for (const picker of document.querySelectorAll("[data-folder-picker]")) {
  const tree = picker.querySelector("[data-tree]");
  const field = document.getElementById(picker.dataset.folderPicker);
  picker.hidden = false;
  picker.addEventListener("toggle", () => { if (picker.open) fillTree(tree, pathButton(field, tree)); });
}
