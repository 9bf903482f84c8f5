// The folders of the server as a tree, opened one by one: of the choice of a review path, and beside any form's field
// (templates/components/folder_picker.html).
import { askJson } from "./review/api.js";

// Fill `tree` with the folders in its data-tree, once. `nameOf(folder)` answers the link or button of a folder.
export function plant(tree, nameOf) {
  if (tree.firstElementChild) return;
  const list = document.createElement("ul");
  list.className = "tree-list";
  list.setAttribute("role", "list");
  tree.append(list);
  fill(list, tree.dataset.tree, nameOf);
}

async function fill(list, path, nameOf) {
  list.setAttribute("aria-busy", "true");
  try {
    const { folders } = await askJson(`/api/folders?${new URLSearchParams({ path })}`);
    list.replaceChildren(...folders.map((folder) => rowOf(folder, nameOf)));
    if (!folders.length) list.append(note("No folders in here"));
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

function rowOf(folder, nameOf) {
  const row = document.querySelector("[data-tree-row]").content.firstElementChild.cloneNode(true);
  const [toggle, place, children] = ["toggle", "name", "children"].map((part) => row.querySelector(`[data-${part}]`));
  const name = nameOf(folder);
  name.classList.add("tree-name");
  name.textContent = folder.name;
  place.replaceWith(name);
  toggle.setAttribute("aria-label", `Folders in ${folder.name}`);
  toggle.disabled = !folder.has_children;
  toggle.addEventListener("click", () => {
    children.hidden = !children.hidden;
    toggle.setAttribute("aria-expanded", String(!children.hidden));
    if (!children.hidden && !children.firstElementChild) fill(children, folder.path, nameOf);
  });
  return row;
}

// A button that writes the folder's path into `field`, as if it was typed.
function choosing(field, tree) {
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
  picker.addEventListener("toggle", () => { if (picker.open) plant(tree, choosing(field, tree)); });
}
