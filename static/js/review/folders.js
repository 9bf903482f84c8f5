// The folders below a path, for the filter, and how many: some hundred at most, as one opens them in the tree otherwise.
import { askJson } from "./api.js";

const MOST = 200;

export async function fillFolders(select, root, chosen) {
  const waiting = [root];
  const found = [];
  try {
    while (waiting.length && found.length < MOST) {
      const { folders } = await askJson(`/api/folders?${new URLSearchParams({ path: waiting.shift() })}`);
      found.push(...folders.map((folder) => folder.path));
      waiting.push(...folders.filter((folder) => folder.has_children).map((folder) => folder.path));
    }
  } catch { /* the filter then offers what was found */ }
  if (chosen && !found.includes(chosen)) found.push(chosen);
  for (const path of found.sort()) select.append(new Option(path.slice(root.length + 1), path));
  return found.length;
}
