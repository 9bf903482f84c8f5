// Choosing a folder: how far each is, and the folders below it.
import { plant } from "../folder_picker.js";
import { askJson } from "./api.js";
import { inDigits } from "./throughput.js";

const root = document.querySelector("[data-pick]");

async function showCounts(card) {
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

function opening(path) {
  return (folder) => {
    const link = document.createElement("a");
    link.href = hrefOf(path, "all", folder.path);
    return link;
  };
}

for (const card of root.querySelectorAll("[data-root]")) {
  showCounts(card);
  const tree = card.querySelector("[data-tree]");
  const button = card.querySelector("[data-tree-open]");
  button.addEventListener("click", () => {
    tree.hidden = !tree.hidden;
    button.setAttribute("aria-expanded", String(!tree.hidden));
    if (!tree.hidden) plant(tree, opening(card.dataset.root));
  });
}
