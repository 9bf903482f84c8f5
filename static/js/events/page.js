// One event: by keys, from picture to picture and mark to mark without loading the page again.
import { hideOwnZone } from "../zones.js";
import { isBusy, pageAt, send } from "./ask.js";

const PERIOD_MS = 5000;
const KEYS = { j: "[data-older]", k: "[data-newer]", d: "[data-download]", escape: "[data-back]", r: "[data-mark=reviewed] button" };
const STEPS = { arrowleft: -1, arrowright: 1 };

const root = document.querySelector("[data-event-page]");
const viewer = () => document.querySelector("#viewer");
const stills = () => [...root.querySelectorAll("[data-still]")];
let turn = 0;

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
  const page = await pageAt(href);
  if (mine !== turn) return; // a later step overtook this one
  const next = page?.querySelector("#viewer");
  if (!next) { location.assign(href); return; }
  if (remember) history.pushState({}, "", href);
  viewer().replaceWith(document.adoptNode(next));
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
  next?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-step]");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain) return;
  event.preventDefault();
  show(link.href, { remember: true });
});
addEventListener("popstate", () => show(location.href, { remember: false }));

// Marks and notes
function putParts(page, names) {
  for (const name of names) {
    const [old, fresh] = [document, page].map((place) => place.querySelector(`[data-part="${name}"]`));
    if (!old || !fresh || old.outerHTML === fresh.outerHTML) continue;
    const mark = document.activeElement?.closest("[data-mark]")?.dataset.mark;
    old.replaceWith(document.adoptNode(fresh));
    if (mark) document.querySelector(`[data-mark="${mark}"] button`)?.focus();
  }
  hideOwnZone();
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-mark]");
  if (!form) return; // the others are sent as the browser does it
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled) return;
  button.disabled = true;
  const page = await send(form.action, { [button.name]: button.value });
  button.disabled = false;
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

// The clip's news, as long as one is being made. Who looks at a picture is not taken away from it.
async function lookForClip() {
  if (!root.hasAttribute("data-clip-awaited")) return;
  const page = document.hidden ? null : await pageAt(location.href);
  const fresh = page?.querySelector("[data-event-page]");
  if (fresh) {
    const asks = new URL(location.href).searchParams.has("still");
    const hadClip = Boolean(viewer().querySelector("[data-player]"));
    putParts(page, ["clip", "bar", "facts"]);
    if (!asks && !hadClip && fresh.querySelector("[data-player]")) await show(location.href, { remember: false });
    root.toggleAttribute("data-clip-awaited", fresh.hasAttribute("data-clip-awaited"));
  }
  setTimeout(lookForClip, PERIOD_MS);
}

function ready() {
  fitBoxes();
  document.dispatchEvent(new Event("viewer")); // player.js prepares what it finds
}

// A picture that does not load leaves its place to the drawing below it.
document.addEventListener("error", (event) => { if (event.target.matches?.(".file img")) event.target.remove(); }, true);

hideOwnZone();
fitBoxes();
setTimeout(lookForClip, PERIOD_MS);
