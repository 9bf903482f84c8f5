// The checkbox in a list's header selects all rows of the page.
"use strict";

document.getElementById("action-toggle").addEventListener("change", ({ target }) => {
  for (const box of document.querySelectorAll(".action-select")) box.checked = target.checked;
});
