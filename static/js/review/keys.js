// Keyboard shortcuts. They are off while typing, in a dialog, and with Ctrl, Alt or Meta (except Ctrl+Z). Marks do not
// repeat while a key is held.
const BOTH = {
  arrowright: "next", r: "next", arrowleft: "previous", e: "previous", home: "first", end: "last",
  s: "seen", t: "trash", d: "trash", l: "lock", f: "lock", u: "undo", a: "above",
  n: "nextUnseen", p: "previousUnseen", o: "nextLocked",
};
const SCREEN = { escape: "close", enter: "close", b: "brighten", " ": "play", "[": "slower", "]": "faster", z: "holdZoom", "+": "zoomIn", "=": "zoomIn", "-": "zoomOut", 0: "fit" };
const GRID = { enter: "open", escape: "clear", j: "down", k: "up", arrowdown: "down", arrowup: "up", pagedown: "pageDown", pageup: "pageUp" };
const SHIFTED = {
  s: "unseen", arrowright: "extendNext", arrowleft: "extendPrevious", arrowdown: "extendDown", arrowup: "extendUp",
  home: "extendFirst", end: "extendLast",
};
const NO_REPEAT = new Set(["seen", "unseen", "trash", "lock", "undo", "above", "open", "close", "play", "brighten", "holdZoom"]);

function isBlocked(event) {
  if (event.altKey || event.metaKey || document.querySelector("dialog[open], details[data-menu][open]")) return true;
  return Boolean(event.target.closest("input, textarea, select, [contenteditable]"));
}

// A focused button, link or video handles Enter and Space itself.
function isHandledByElement(event) {
  const isPress = event.key === "Enter" || event.key === " ";
  return isPress && event.target.closest("button, a, summary, video");
}

function commandOf(event, isOpen) {
  const key = event.key.toLowerCase();
  if (event.ctrlKey) return key === "z" && !event.shiftKey ? "undo" : null;
  if (event.shiftKey && (key === "s" || !isOpen) && SHIFTED[key]) return SHIFTED[key];
  if (event.shiftKey && !(isOpen && key === "+")) return null;
  return (isOpen ? SCREEN[key] : GRID[key]) ?? BOTH[key] ?? null;
}

export function listen(isOpen, run) {
  document.addEventListener("keydown", (event) => {
    if (isBlocked(event) || isHandledByElement(event) || event.isComposing) return;
    const command = commandOf(event, isOpen());
    if (!command) return;
    event.preventDefault();
    if (!event.repeat || !NO_REPEAT.has(command)) run(command);
  });
  document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "z") run("releaseZoom"); });
  addEventListener("blur", () => run("releaseZoom"));
}
