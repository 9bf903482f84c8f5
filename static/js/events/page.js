// One event: by keys, from picture to picture and mark to mark without loading the page again.
import { drawClipBoxes } from "./clip_boxes.js";
import { isBusy, isPlainClick, NoAnswer, pageAt, pageNow, send, showConnectionNotice } from "../http.js";
import { showReason } from "../image_errors.js";

const PERIOD_MS = 5000;
const LONGEST_PAUSE_MS = 60000;
const KEYS = { j: "[data-older]", k: "[data-newer]", d: "[data-download]", b: "[data-boxes]", escape: "[data-back]", r: "[data-mark=reviewed] button" };
const STEPS = { arrowleft: -1, arrowright: 1 };

const root = document.querySelector("[data-event-page]");
const viewer = () => document.querySelector("#viewer");
const stills = () => [...root.querySelectorAll("[data-still]")];
const placeOf = (address) => address.pathname + address.search;
let turn = 0;
let onStage = placeOf(location);

// Boxes of a picture whose size was not reported: they are in the pixels of the original, which is what is shown.
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
  const mine = ++turn;
  const page = await pageNow(href);
  if (mine !== turn || page === undefined) return; // a later step overtook this one, or there was no answer
  const next = page?.querySelector("#viewer");
  if (!next) { location.assign(href); return; }
  if (remember) history.pushState({}, "", href);
  onStage = placeOf(location);
  const hadFocus = viewer().contains(document.activeElement);
  viewer().replaceWith(document.adoptNode(next));
  if (hadFocus) viewer().querySelector("[data-download], [data-step]")?.focus();
  mark(page.querySelector("[data-still][aria-current]")?.getAttribute("href"));
  ready();
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
  if (!isLookedAt(viewer())) next?.scrollIntoView({ block: "nearest" });
}

// Then the page stays as it is: the picture changes where one looks.
function isLookedAt(stage) {
  return stage.getBoundingClientRect().bottom > innerHeight / 2;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-step], [data-still]");
  if (!link || !isPlainClick(event)) return;
  event.preventDefault();
  show(link.href, { remember: true });
});
addEventListener("popstate", () => {
  if (placeOf(location) !== onStage) show(location.href, { remember: false });
  else turn += 1; // a jump within the page, or back to what is shown still: nothing else is wanted any more
});

// Marks and notes
function putParts(page, names) {
  for (const name of names) {
    const [old, fresh] = [document, page].map((place) => place.querySelector(`[data-part="${name}"]`));
    if (!old || !fresh || old.outerHTML === fresh.outerHTML) continue;
    const focused = focusedIn(old);
    old.replaceWith(document.adoptNode(fresh));
    if (focused) fresh.querySelector(focused)?.focus({ preventScroll: true });
  }
}

// Where what has the focus is found again: a mark's button, or the link to the same place.
function focusedIn(part) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const mark = focused?.closest("[data-mark]")?.dataset.mark;
  const href = focused?.getAttribute("href");
  return mark ? `[data-mark="${mark}"] button` : href && `a[href="${CSS.escape(href)}"]`;
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-mark]");
  if (!form) return; // the others are sent as the browser does it
  event.preventDefault();
  const button = form.querySelector("button");
  if (form.hasAttribute("data-sending")) return; // a disabled button would lose the focus
  form.setAttribute("data-sending", "");
  const page = await send(form.action, { [button.name]: button.value });
  form.removeAttribute("data-sending");
  if (page) putParts(page, ["bar", "facts"]);
});

// Keys
document.addEventListener("keydown", (event) => {
  if (isBusy(event)) return;
  const key = event.key.toLowerCase();
  const target = KEYS[key] && document.querySelector(KEYS[key]);
  if (!target && !STEPS[key]) return;
  event.preventDefault();
  if (STEPS[key]) step(STEPS[key]); else target.click();
});

// What becomes of the event and of its clip, as long as it goes on or one is being made. Who looks at a picture is not
// taken away from it.
let failures = 0;

async function lookForNews() {
  if (!root.hasAttribute("data-clip-awaited")) { showConnectionNotice(""); return; }
  try {
    const isTold = document.hidden || await renew();
    failures = 0;
    showConnectionNotice(isTold ? "" : "You are signed out: what is new is not shown. Reload the page to sign in.");
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    failures += 1;
    if (failures > 1) showConnectionNotice("The server does not answer: what is new is not shown.");
  }
  setTimeout(lookForNews, Math.min(PERIOD_MS * 2 ** failures, LONGEST_PAUSE_MS));
}

// Answers whether there is a page for us still.
async function renew() {
  const page = await pageAt(location.href);
  const fresh = page?.querySelector("[data-event-page]");
  if (!fresh) return false;
  const asks = new URL(location.href).searchParams.has("still");
  const hadClip = Boolean(viewer().querySelector("[data-player]"));
  const chosen = root.querySelector("[data-still][aria-current]")?.getAttribute("href");
  putParts(page, ["sentence", "clip", "bar", "facts", "stills"]);
  if (!asks && !hadClip && fresh.querySelector("[data-player]")) await show(location.href, { remember: false });
  else mark(chosen);
  root.toggleAttribute("data-clip-awaited", fresh.hasAttribute("data-clip-awaited"));
  return true;
}

// The list as it was left, if it is the one that this event was opened from.
function leadBack() {
  const link = document.querySelector("[data-back]");
  const known = new URL(link.href);
  const event = location.pathname.split("/").pop();
  let left = null;
  try { left = sessionStorage.getItem("events"); } catch { /* the plain list then */ }
  const place = new URL(left ?? known, location.href);
  const filters = new URLSearchParams(place.search);
  ["cursor", "limit"].forEach((name) => filters.delete(name));
  const isSame = place.pathname === known.pathname && filters.toString() === known.searchParams.toString();
  link.href = `${isSame ? place.pathname + place.search : known.pathname + known.search}#event-${event}`;
}

function ready() {
  fitBoxes();
  drawClipBoxes();
  document.dispatchEvent(new Event("viewer")); // player.js prepares what it finds
}

// A picture that does not load leaves its place to the drawing below it.
document.addEventListener("error", (event) => { if (event.target.matches?.(".file img")) event.target.remove(); }, true);

// A picture of the stage that cannot be had: its boxes alone would tell nothing. The server says why.
async function showGone(picture) {
  const frame = picture.closest(".boxed");
  const status = await showReason(picture);
  if (status === 404) document.querySelector("#viewer [data-download]")?.remove();
  frame?.querySelector("svg")?.remove();
}

document.addEventListener("error", (event) => { if (event.target.matches?.(".boxed img")) showGone(event.target); }, true);

leadBack();
fitBoxes();
drawClipBoxes();
for (const picture of document.querySelectorAll(".boxed img")) if (picture.complete && !picture.naturalWidth) showGone(picture);
setTimeout(lookForNews, PERIOD_MS);
