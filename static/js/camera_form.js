// The camera form in the admin: the folder follows the camera's name until the user enters another folder, and the folder
// tree is placed below its field.
const name = document.getElementById("id_name");
const folder = document.getElementById("id_folder_path");
const base = folder?.dataset.suggestedBelow;

// Same rules as on the server, which derives a camera's id from its name.
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

for (const part of document.querySelectorAll("[data-below]")) {
  document.getElementById(part.dataset.below)?.closest(".form-row").append(part);
}
