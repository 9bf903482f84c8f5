// Messages to the user: announced by screen readers only, or shown as a toast.
const liveRegion = document.querySelector("[data-live-region]");

export function announce(text) { liveRegion.textContent = text; }

// Shows a toast and returns an object with `close`. `undo` is called once, when its button is pressed.
export function toast(text, level = "info", undo = null, label = "Undo") {
  const detail = { text, level, undo, label };
  document.dispatchEvent(new CustomEvent("toast", { detail }));
  return { close: () => detail.close?.() };
}

export function showError(error) { toast(error.message, "error"); }
