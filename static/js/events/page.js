// The page of one event: keyboard shortcuts, and stepping through pictures and marking without reloading the page.
import { drawClipBoxes } from "./clip_boxes.js";
import { isShortcutBlocked, isPlainClick, ServerUnreachable, fetchPage, fetchPageOrShowError, submitForm, showConnectionNotice } from "../http.js";
import { showImageError } from "../image_errors.js";

const POLL_INTERVAL_MS = 5000;
const MAX_POLL_INTERVAL_MS = 60000;
const KEYS = { j: "[data-older]", k: "[data-newer]", d: "[data-download]", b: "[data-boxes]", escape: "[data-back]", r: "[data-mark=reviewed] button" };
const STEPS = { arrowleft: -1, arrowright: 1 };

const root = document.querySelector("[data-event-page]");
const viewer = () => document.querySelector("#viewer");
const stills = () => [...root.querySelectorAll("[data-still]")];
const pathOf = (address) => address.pathname + address.search;
let requestNumber = 0;
let shownPath = pathOf(location);

// For a picture whose size was not reported, the boxes are in pixels of the original, which is the picture shown.
function fitBoxes() {
  for (const picture of document.querySelectorAll("img[data-fit]")) {
    const fit = () => {
      const boxes = picture.parentElement.querySelector("svg");
      boxes?.setAttribute("viewBox", `0 0 ${picture.naturalWidth} ${picture.naturalHeight}`);
      boxes?.removeAttribute("hidden");
    };
    if (picture.naturalWidth) fit(); else picture.addEventListener("load", fit, { once: true });
  }
}

// Pictures
async function show(href, { remember }) {
  const thisRequest = ++requestNumber;
  const page = await fetchPageOrShowError(href);
  if (thisRequest !== requestNumber || page === undefined) return; // superseded by a later step, or no response
  const next = page?.querySelector("#viewer");
  if (!next) { location.assign(href); return; }
  if (remember) history.pushState({}, "", href);
  shownPath = pathOf(location);
  const hadFocus = viewer().contains(document.activeElement);
  viewer().replaceWith(document.adoptNode(next));
  if (hadFocus) viewer().querySelector("[data-download], [data-step]")?.focus();
  mark(page.querySelector("[data-still][aria-current]")?.getAttribute("href"));
  initViewer();
}

function mark(shown) {
  for (const still of stills()) {
    if (still.getAttribute("href") === shown) still.setAttribute("aria-current", "true"); else still.removeAttribute("aria-current");
  }
}

function step(by) {
  const all = stills();
  const at = all.findIndex((still) => still.hasAttribute("aria-current"));
  const next = at < 0 ? all[by > 0 ? 0 : all.length - 1] : all[at + by];
  next?.click();
  if (!isMostlyVisible(viewer())) next?.scrollIntoView({ block: "nearest" });
}

// If so, the page does not scroll: the picture changes in view.
function isMostlyVisible(stage) {
  return stage.getBoundingClientRect().bottom > innerHeight / 2;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-step], [data-still]");
  if (!link || !isPlainClick(event)) return;
  event.preventDefault();
  show(link.href, { remember: true });
});
addEventListener("popstate", () => {
  if (pathOf(location) !== shownPath) show(location.href, { remember: false });
  else requestNumber += 1; // a jump within the page, or back to the shown picture: discard pending requests
});

// Marks and notes
function replaceParts(page, names) {
  for (const name of names) {
    const [old, fresh] = [document, page].map((place) => place.querySelector(`[data-part="${name}"]`));
    if (!old || !fresh || old.outerHTML === fresh.outerHTML) continue;
    const focused = focusedIn(old);
    old.replaceWith(document.adoptNode(fresh));
    if (focused) fresh.querySelector(focused)?.focus({ preventScroll: true });
  }
}

// A selector that finds the focused element again after a replacement: a mark's button, or the link to the same URL.
function focusedIn(part) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const mark = focused?.closest("[data-mark]")?.dataset.mark;
  const href = focused?.getAttribute("href");
  return mark ? `[data-mark="${mark}"] button` : href && `a[href="${CSS.escape(href)}"]`;
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-mark]");
  if (!form) return; // the browser submits the other forms
  event.preventDefault();
  const button = form.querySelector("button");
  if (form.hasAttribute("data-sending")) return; // a disabled button would lose the focus
  form.setAttribute("data-sending", "");
  const page = await submitForm(form.action, { [button.name]: button.value });
  form.removeAttribute("data-sending");
  if (page) replaceParts(page, ["bar", "details"]);
});

// Keys
document.addEventListener("keydown", (event) => {
  if (isShortcutBlocked(event)) return;
  const key = event.key.toLowerCase();
  const target = KEYS[key] && document.querySelector(KEYS[key]);
  if (!target && !STEPS[key]) return;
  event.preventDefault();
  if (STEPS[key]) step(STEPS[key]); else target.click();
});

// Poll the event and its clip while the event is ongoing or the clip is being created. A picture that the user opened
// stays open.
let failures = 0;

async function pollEvent() {
  if (!root.hasAttribute("data-clip-awaited")) { showConnectionNotice(""); return; }
  try {
    const isAccessible = document.hidden || await refreshEvent();
    failures = 0;
    showConnectionNotice(isAccessible ? "" : "You are signed out: updates are not shown. Reload the page to sign in.");
  } catch (error) {
    if (!(error instanceof ServerUnreachable)) throw error;
    failures += 1;
    if (failures > 1) showConnectionNotice("The server is not responding: updates are not shown.");
  }
  setTimeout(pollEvent, Math.min(POLL_INTERVAL_MS * 2 ** failures, MAX_POLL_INTERVAL_MS));
}

// Returns false if the page is no longer accessible.
async function refreshEvent() {
  const page = await fetchPage(location.href);
  const fresh = page?.querySelector("[data-event-page]");
  if (!fresh) return false;
  const hasStillParameter = new URL(location.href).searchParams.has("still");
  const hadClip = Boolean(viewer().querySelector("[data-player]"));
  const chosen = root.querySelector("[data-still][aria-current]")?.getAttribute("href");
  replaceParts(page, ["sentence", "clip", "bar", "details", "stills"]);
  if (!hasStillParameter && !hadClip && fresh.querySelector("[data-player]")) await show(location.href, { remember: false });
  else mark(chosen);
  root.toggleAttribute("data-clip-awaited", fresh.hasAttribute("data-clip-awaited"));
  return true;
}

// Link back to the remembered list page, if this event was opened from it.
function setBackLink() {
  const link = document.querySelector("[data-back]");
  const known = new URL(link.href);
  const event = location.pathname.split("/").pop();
  let left = null;
  try { left = sessionStorage.getItem("events"); } catch { /* without storage, link to the unfiltered list */ }
  const place = new URL(left ?? known, location.href);
  const filters = new URLSearchParams(place.search);
  ["cursor", "limit"].forEach((name) => filters.delete(name));
  const isSame = place.pathname === known.pathname && filters.toString() === known.searchParams.toString();
  link.href = `${isSame ? place.pathname + place.search : known.pathname + known.search}#event-${event}`;
}

function initViewer() {
  fitBoxes();
  drawClipBoxes();
  document.dispatchEvent(new Event("viewer")); // player.js prepares the videos
}

// Remove a thumbnail that does not load, so that the placeholder icon behind it shows.
document.addEventListener("error", (event) => { if (event.target.matches?.(".file img")) event.target.remove(); }, true);

// The picture cannot be loaded: remove its boxes and show the server's reason.
async function showMissingImage(picture) {
  const frame = picture.closest(".boxed");
  const status = await showImageError(picture);
  if (status === 404) document.querySelector("#viewer [data-download]")?.remove();
  frame?.querySelector("svg")?.remove();
}

document.addEventListener("error", (event) => { if (event.target.matches?.(".boxed img")) showMissingImage(event.target); }, true);

setBackLink();
fitBoxes();
drawClipBoxes();
for (const picture of document.querySelectorAll(".boxed img")) if (picture.complete && !picture.naturalWidth) showMissingImage(picture);
setTimeout(pollEvent, POLL_INTERVAL_MS);
