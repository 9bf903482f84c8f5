// Telling people: into a screen reader's ear, or in a toast for everybody.
const said = document.querySelector("[data-said]");

export function announce(text) { said.textContent = text; }

// The toast, which can be closed; `undo` is what its button does, once.
export function toast(text, level = "info", undo = null, label = "Undo") {
  const detail = { text, level, undo, label };
  document.dispatchEvent(new CustomEvent("toast", { detail }));
  return { close: () => detail.close?.() };
}

export function fail(error) { toast(error.message, "error"); }
