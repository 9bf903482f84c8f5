// Toasts: messages about what happened, with an optional button to undo it.
// `document.dispatchEvent(new CustomEvent("toast", {detail: {text, level, undo, label}}))` shows one from a script and
// adds `close` to the detail.
//
// A toast never moves while it is shown, or a click could hit the button of another one. The stack grows upwards, new
// toasts appear on top, and a removed toast leaves a gap until nothing is above it or a new toast fills it.
const toasts = document.querySelector("[data-toasts]");
const DISPLAY_MS = 8000;
const CLICK_GUARD_MS = 600; // long enough for a click that was meant for the previous content
const timers = new WeakMap();

const isPersistent = (toast) => ["error", "warning"].includes(toast.dataset.level);

function scheduleRemoval(toast) {
  clearTimeout(timers.get(toast));
  if (!isPersistent(toast)) timers.set(toast, setTimeout(() => removeToast(toast), DISPLAY_MS));
}

function attachHandlers(toast) {
  toast.querySelector("[data-toast-close]").addEventListener("click", () => removeToast(toast));
  for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, () => clearTimeout(timers.get(toast)));
  for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, () => scheduleRemoval(toast));
  scheduleRemoval(toast);
}

function removeToast(toast) {
  clearTimeout(timers.get(toast));
  if (!toast.isConnected) return;
  const gap = document.createElement("div");
  gap.className = "toast-gap";
  gap.style.height = `${toast.offsetHeight}px`;
  toast.replaceWith(gap);
  setTimeout(() => { gap.dataset.free = ""; removeTopGaps(); }, CLICK_GUARD_MS);
}

function removeTopGaps() {
  while (toasts.firstElementChild?.matches("[data-free]")) toasts.firstElementChild.remove();
}

// On top, or in a gap that is large enough.
function addToStack(toast) {
  toasts.prepend(toast);
  const gap = [...toasts.querySelectorAll("[data-free]")].reverse().find((one) => one.offsetHeight >= toast.offsetHeight);
  if (!gap) return;
  toast.style.minHeight = gap.style.height;
  gap.replaceWith(toast);
}

// A new toast ignores clicks at first: they were meant for what is below it.
function guardAgainstClicks(toast) {
  toast.dataset.fresh = "";
  setTimeout(() => { delete toast.dataset.fresh; }, CLICK_GUARD_MS);
}

// The shown toast with the same text. Toasts with an undo button are never merged: each undoes its own action.
function findDuplicate(text, level) {
  const hasSameText = (toast) => toast.querySelector("[data-toast-text]").textContent === text && toast.querySelector("[data-toast-undo]").hidden;
  return [...toasts.querySelectorAll("[data-toast]")].find((toast) => toast.dataset.level === level && hasSameText(toast));
}

function repeat(toast) {
  const textElement = toast.querySelector("[data-toast-text]");
  textElement.textContent = textElement.textContent; // set again, so that a screen reader repeats it
  if (toast.matches(":hover, :focus-within")) return; // it stays while it is hovered or focused
  for (const animation of toast.getAnimations()) { animation.cancel(); animation.play(); } // replay the entry animation
  scheduleRemoval(toast);
}

function createToast({ text, level, undo, label }) {
  const template = document.querySelector(`[data-toast-template="${level}"]`);
  const toast = template.content.firstElementChild.cloneNode(true);
  toast.querySelector("[data-toast-text]").textContent = text;
  const button = toast.querySelector("[data-toast-undo]");
  button.hidden = !undo;
  button.textContent = label;
  button.addEventListener("click", () => { removeToast(toast); undo(); }, { once: true });
  return toast;
}

function show(detail) {
  const { text, level = "info", undo = null, label = "Undo" } = detail;
  const open = undo ? null : findDuplicate(text, level);
  const toast = open ?? createToast({ text, level, undo, label });
  detail.close = () => removeToast(toast);
  if (open) { repeat(open); return; }
  addToStack(toast);
  guardAgainstClicks(toast);
  attachHandlers(toast);
}

// A modal dialog covers everything outside it and makes it inert, so the toasts move into the dialog.
function moveIntoDialog() {
  const host = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
  if (toasts.parentElement !== host) host.append(toasts);
}

if (toasts) {
  new MutationObserver(moveIntoDialog).observe(document.body, { attributes: true, attributeFilter: ["open"], subtree: true });
  toasts.querySelectorAll("[data-toast]").forEach(attachHandlers);
  document.addEventListener("toast", (event) => show(event.detail));
}
