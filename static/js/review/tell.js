// Telling people: into a screen reader's ear, or in a toast for everybody.
const said = document.querySelector("[data-said]");

export function say(text) { said.textContent = text; }

export function toast(text, level = "info", undo = null) {
  document.dispatchEvent(new CustomEvent("toast", { detail: { text, level, undo } }));
}

export function fail(error) { toast(error.message, "error"); }
