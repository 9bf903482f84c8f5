// Fills the folder filter with the folders below a path and returns how many. Limited: the folder tree shows all.
import { requestJson } from "./api.js";

const MAX_FOLDERS = 200;

export async function fillFolders(select, root, chosen) {
  const pendingPaths = [root];
  const found = [];
  try {
    while (pendingPaths.length && found.length < MAX_FOLDERS) {
      const { folders } = await requestJson(`/api/folders?${new URLSearchParams({ path: pendingPaths.shift() })}`);
      found.push(...folders.map((folder) => folder.path));
      pendingPaths.push(...folders.filter((folder) => folder.has_children).map((folder) => folder.path));
    }
  } catch { /* the filter offers the folders found so far */ }
  if (chosen && !found.includes(chosen)) found.push(chosen);
  for (const path of found.sort()) select.append(new Option(path.slice(root.length + 1), path));
  return found.length;
}
