// Stepping through a camera's files, also by keyboard, without reloading the page for each file.
import { isShortcutBlocked, isPlainClick, fetchPageOrShowError } from "./http.js";
import { showImageError } from "./image_errors.js";
import { hideOwnZone } from "./zones.js";

const KEYS = { j: "[data-older]", arrowright: "[data-older]", k: "[data-newer]", arrowleft: "[data-newer]", d: "[data-download]", escape: "[data-close]" };
const TIMELINE_MARGIN_PX = 24; // between the newest mark and the frame's edge
const STEPS = "[data-file], [data-newer], [data-older]";

const viewer = () => document.querySelector("#viewer");
const showsFile = (node) => node.matches("figure");
let requestNumber = 0;

// Without a chosen file, stepping starts at the newest.
function shortcutTarget(key) {
  const selector = KEYS[key];
  if (!selector) return null;
  if (showsFile(viewer())) return viewer().querySelector(selector);
  return selector === "[data-older]" ? document.querySelector("[data-file]") : null;
}

function onKeydown(event) {
  if (isShortcutBlocked(event)) return;
  const target = shortcutTarget(event.key.toLowerCase());
  if (!target) return;
  event.preventDefault();
  target.click();
}

function onClick(event) {
  const step = event.target.closest(STEPS);
  if (!step || !isPlainClick(event) || !showsFile(viewer())) return;
  event.preventDefault();
  show(step.href, { remember: true });
}

async function show(href, { remember }) {
  const thisRequest = ++requestNumber;
  const page = await fetchPageOrShowError(href);
  if (thisRequest !== requestNumber || page === undefined) return; // superseded by a later step, or no response
  const next = page?.querySelector("#viewer");
  if (!next || !showsFile(next)) { location.assign(href); return; }
  if (remember) history.pushState({}, "", href);
  replaceViewer(next);
}

function replaceViewer(next) {
  const focused = ["[data-newer]", "[data-older]", "[data-download]"].find((selector) => document.activeElement?.matches(`#viewer ${selector}`));
  viewer().replaceWith(document.adoptNode(next));
  if (focused) (viewer().querySelector(focused) ?? viewer().querySelector("[data-close]")).focus();
  markCurrentFile();
  document.dispatchEvent(new Event("viewer"));
}

// Mark the file that the viewer shows in the list.
function markCurrentFile() {
  for (const file of document.querySelectorAll("[data-file]")) {
    const isShown = file.href === location.href;
    if (isShown) file.setAttribute("aria-current", "true"); else file.removeAttribute("aria-current");
  }
}

// Remove a thumbnail that does not load, so that the placeholder icon behind it shows.
function handleBrokenImage(picture) {
  if (picture.matches?.(".file img")) picture.remove();
  if (picture.matches?.(".viewer-picture img")) showImageError(picture);
}

document.addEventListener("error", (event) => handleBrokenImage(event.target), true);
[...document.images].filter((picture) => picture.complete && !picture.naturalWidth && picture.loading !== "lazy").forEach(handleBrokenImage);
hideOwnZone();
if (viewer()) {
  document.addEventListener("keydown", onKeydown);
  document.addEventListener("click", onClick);
  addEventListener("popstate", () => (showsFile(viewer()) ? show(location.href, { remember: false }) : location.reload()));
}

// On a phone the timeline is wider than its frame: scroll to the current time, or on other days to the newest event.
function scrollTimeline(frame) {
  const mark = frame?.querySelector(".timeline-now") ?? frame?.querySelector(".timeline-event"); // events are listed newest first
  if (mark) frame.scrollLeft += mark.getBoundingClientRect().right + TIMELINE_MARGIN_PX - frame.getBoundingClientRect().right;
}

scrollTimeline(document.querySelector(".timeline-frame"));

// Show a chosen day at once. While a year is being typed, the date is valid at every digit, so small years are ignored.
document.querySelector("[data-day-form]")?.addEventListener("change", (event) => {
  if (event.target.value.slice(0, 4) >= "1970") event.currentTarget.requestSubmit();
});
