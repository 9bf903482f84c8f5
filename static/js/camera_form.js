// The form of a camera in the admin: the folder follows the name until somebody writes another one, and the tree of
// folders stands below its field.
const name = document.getElementById("id_name");
const folder = document.getElementById("id_folder_path");
const base = folder?.dataset.suggestedBelow;

// As the server makes a camera's id from its name.
const slug = (text) => text.trim().toLowerCase().replace(/[\s-]+/g, "_").replace(/[^\p{L}\p{N}_]/gu, "").replace(/_+/g, "_").replace(/^_|_$/g, "");
const suggestion = () => { const last = slug(name.value); return last ? `${base}/${last}` : ""; };

if (base && name) {
  let suggested = suggestion();
  name.addEventListener("input", () => {
    if (folder.value && folder.value !== suggested) return;
    suggested = suggestion();
    folder.value = suggested;
  });
}

for (const part of document.querySelectorAll("[data-beside]")) {
  document.getElementById(part.dataset.beside)?.closest(".form-row").append(part);
}
