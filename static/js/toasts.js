// Toasts: what happened and, where it can be, how to take it back.
// `document.dispatchEvent(new CustomEvent("toast", {detail: {text, level, undo, label}}))` shows one from a script, and
// puts `close` into the detail.
//
// None moves while it is shown, or a click would hit the button of another: the stack stands on its foot, a new one comes
// on top, and one that goes leaves a gap until nothing is above it or another takes its place.
const toasts = document.querySelector("[data-toasts]");
const LINGER_MS = 8000;
const SETTLE_MS = 600; // a click that was meant for what was there before is over by then
const timers = new WeakMap();

const lingers = (toast) => ["error", "warning"].includes(toast.dataset.level);

function goSoon(toast) {
  clearTimeout(timers.get(toast));
  if (!lingers(toast)) timers.set(toast, setTimeout(() => leave(toast), LINGER_MS));
}

function watch(toast) {
  toast.querySelector("[data-toast-close]").addEventListener("click", () => leave(toast));
  for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, () => clearTimeout(timers.get(toast)));
  for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, () => goSoon(toast));
  goSoon(toast);
}

function leave(toast) {
  clearTimeout(timers.get(toast));
  if (!toast.isConnected) return;
  const gap = document.createElement("div");
  gap.className = "toast-gap";
  gap.style.height = `${toast.offsetHeight}px`;
  toast.replaceWith(gap);
  setTimeout(() => { gap.dataset.free = ""; tidy(); }, SETTLE_MS);
}

function tidy() {
  while (toasts.firstElementChild?.matches("[data-free]")) toasts.firstElementChild.remove();
}

// On top, or in a gap that it fits into.
function place(toast) {
  toasts.prepend(toast);
  const gap = [...toasts.querySelectorAll("[data-free]")].reverse().find((one) => one.offsetHeight >= toast.offsetHeight);
  if (!gap) return;
  toast.style.minHeight = gap.style.height;
  gap.replaceWith(toast);
}

// Not at once in the way of what one was about to press.
function rest(toast) {
  toast.dataset.fresh = "";
  setTimeout(() => { delete toast.dataset.fresh; }, SETTLE_MS);
}

// The one that says the same already; one that can be undone speaks of something of its own.
function openOne(text, level) {
  const says = (toast) => toast.querySelector("[data-toast-text]").textContent === text && toast.querySelector("[data-toast-undo]").hidden;
  return [...toasts.querySelectorAll("[data-toast]")].find((toast) => toast.dataset.level === level && says(toast));
}

function renew(toast) {
  const said = toast.querySelector("[data-toast-text]");
  said.textContent = said.textContent; // set anew, a screen reader reads it again
  if (toast.matches(":hover, :focus-within")) return; // it stays as long as one is at it
  for (const animation of toast.getAnimations()) { animation.cancel(); animation.play(); } // it comes in anew for the eye
  goSoon(toast);
}

function made({ text, level, undo, label }) {
  const template = document.querySelector(`[data-toast-template="${level}"]`);
  const toast = template.content.firstElementChild.cloneNode(true);
  toast.querySelector("[data-toast-text]").textContent = text;
  const button = toast.querySelector("[data-toast-undo]");
  button.hidden = !undo;
  button.textContent = label;
  button.addEventListener("click", () => { leave(toast); undo(); }, { once: true });
  return toast;
}

function show(detail) {
  const { text, level = "info", undo = null, label = "Undo" } = detail;
  const open = undo ? null : openOne(text, level);
  const toast = open ?? made({ text, level, undo, label });
  detail.close = () => leave(toast);
  if (open) { renew(open); return; }
  place(toast);
  rest(toast);
  watch(toast);
}

// A modal dialog covers, and makes inert, all that is not in it.
function placeAll() {
  const host = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
  if (toasts.parentElement !== host) host.append(toasts);
}

if (toasts) {
  new MutationObserver(placeAll).observe(document.body, { attributes: true, attributeFilter: ["open"], subtree: true });
  toasts.querySelectorAll("[data-toast]").forEach(watch);
  document.addEventListener("toast", (event) => show(event.detail));
}
