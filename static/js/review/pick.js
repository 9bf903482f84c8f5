// The choice of a review path: shows the progress of each path and its folders.
import { fillTree } from "../folder_picker.js";
import { requestJson } from "./api.js";
import { formatNumber } from "./throughput.js";

const root = document.querySelector("[data-pick]");

async function showCounts(card) {
  const countsElement = card.querySelector("[data-counts]");
  try {
    const { counts } = await requestJson(`/api/media-items/summary?${new URLSearchParams({ path: card.dataset.root })}`);
    countsElement.textContent = describeCounts(counts);
    card.querySelector("[data-progress]").value = counts.all ? counts.seen / counts.all : 0;
    if (!counts.unseen && counts.all) card.querySelector("[data-start]").href = hrefOf(card.dataset.root, "all");
  } catch (error) {
    countsElement.textContent = error.message;
    card.toggleAttribute("data-unavailable", true);
  }
}

function describeCounts({ all, unseen, locked, trashed }) {
  if (!all) return "No pictures or videos";
  const parts = [unseen ? `${formatNumber(unseen)} of ${formatNumber(all)} unseen` : `All ${formatNumber(all)} seen`];
  if (locked) parts.push(`${formatNumber(locked)} locked`);
  if (trashed) parts.push(`${formatNumber(trashed)} in the trash`);
  return parts.join(" · ");
}

function hrefOf(path, filter, folder = "") {
  const query = new URLSearchParams({ path, filter });
  if (folder) query.set("folder", folder);
  return `/review?${query}`;
}

function folderLink(path) {
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
    if (!tree.hidden) fillTree(tree, folderLink(card.dataset.root));
  });
}
