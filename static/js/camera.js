// Walking through a camera's files: by keyboard, and without loading the page again for each of them.
import { isBusy, isPlainClick, pageNow } from "./http.js";
import { showReason } from "./image_errors.js";
import { hideOwnZone } from "./zones.js";

const KEYS = { j: "[data-older]", arrowright: "[data-older]", k: "[data-newer]", arrowleft: "[data-newer]", d: "[data-download]", escape: "[data-close]" };
const BAND_ROOM_PX = 24; // between the newest and the frame's edge
const STEPS = "[data-file], [data-newer], [data-older]";

const viewer = () => document.querySelector("#viewer");
const showsFile = (node) => node.matches("figure");
let turn = 0;

// Without a chosen file the walk begins with the newest.
function targetOf(key) {
  const selector = KEYS[key];
  if (!selector) return null;
  if (showsFile(viewer())) return viewer().querySelector(selector);
  return selector === "[data-older]" ? document.querySelector("[data-file]") : null;
}

function pressed(event) {
  if (isBusy(event)) return;
  const target = targetOf(event.key.toLowerCase());
  if (!target) return;
  event.preventDefault();
  target.click();
}

function clicked(event) {
  const step = event.target.closest(STEPS);
  if (!step || !isPlainClick(event) || !showsFile(viewer())) return;
  event.preventDefault();
  show(step.href, { remember: true });
}

async function show(href, { remember }) {
  const mine = ++turn;
  const page = await pageNow(href);
  if (mine !== turn || page === undefined) return; // a later step overtook this one, or there was no answer
  const next = page?.querySelector("#viewer");
  if (!next || !showsFile(next)) { location.assign(href); return; }
  if (remember) history.pushState({}, "", href);
  put(next);
}

function put(next) {
  const focused = ["[data-newer]", "[data-older]", "[data-download]"].find((selector) => document.activeElement?.matches(`#viewer ${selector}`));
  viewer().replaceWith(document.adoptNode(next));
  if (focused) (viewer().querySelector(focused) ?? viewer().querySelector("[data-close]")).focus();
  mark();
  document.dispatchEvent(new Event("viewer"));
}

// The file that the viewer shows is marked in the list, and in sight.
function mark() {
  for (const file of document.querySelectorAll("[data-file]")) {
    const isShown = file.href === location.href;
    if (isShown) file.setAttribute("aria-current", "true"); else file.removeAttribute("aria-current");
  }
}

// A thumbnail that does not load leaves its place to the drawing below it.
function dropBroken(picture) {
  if (picture.matches?.(".file img")) picture.remove();
  if (picture.matches?.(".viewer-picture img")) showReason(picture);
}

document.addEventListener("error", (event) => dropBroken(event.target), true);
[...document.images].filter((picture) => picture.complete && !picture.naturalWidth && picture.loading !== "lazy").forEach(dropBroken);
hideOwnZone();
if (viewer()) {
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", clicked);
  addEventListener("popstate", () => (showsFile(viewer()) ? show(location.href, { remember: false }) : location.reload()));
}

// On a phone the band is wider than its frame: seen at first is now, or another day's newest event, not midnight.
function scrollBand(frame) {
  const newest = frame?.querySelector(".band-now") ?? frame?.querySelector(".band-event"); // events stand newest first
  if (newest) frame.scrollLeft += newest.getBoundingClientRect().right + BAND_ROOM_PX - frame.getBoundingClientRect().right;
}

scrollBand(document.querySelector(".band-frame"));

// A day that is chosen is shown at once; one that is being typed is whole at every digit of its year.
document.querySelector("[data-day-choose]")?.addEventListener("change", (event) => {
  if (event.target.value.slice(0, 4) >= "1970") event.currentTarget.requestSubmit();
});
