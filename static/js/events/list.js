// The list of events: keyboard shortcuts and updates. It polls the API and fetches the page only if the first page of
// results has changed. New events appear at once if nothing moves under the user; otherwise a button offers them.
import { hideOwnZone } from "../zones.js";
import { isShortcutBlocked, fetchPage, submitForm, showConnectionNotice } from "../http.js";

const POLL_INTERVAL_MS = 5000;
const MAX_POLL_INTERVAL_MS = 60000;
const AT_TOP_PX = 48;

const root = document.querySelector("[data-events]");
const newer = root.querySelector("[data-newer-events]");
const liveRegion = root.querySelector("[data-live-region]");

const cards = () => [...root.querySelectorAll("[data-event]")];
const cardOf = (id) => root.querySelector(`[data-event="${CSS.escape(id)}"]`);

// Keys
const focusedCard = () => document.activeElement?.closest?.("[data-event]");

function focusCard(card) {
  if (!card) return;
  card.querySelector(".event-link").focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

function moveFocus(step) {
  const all = cards();
  const at = all.indexOf(focusedCard());
  if (at < 0) focusCard(all.find((card) => card.getBoundingClientRect().top >= 0) ?? all[0]);
  else if (all[at + step]) focusCard(all[at + step]);
  else root.querySelector(step > 0 ? ".pager [rel=next]" : ".pager [rel=prev]")?.focus();
}

async function toggleReviewed(card) {
  if (!card || !root.hasAttribute("data-may-change") || card.hasAttribute("data-sending")) return;
  const reviewed = card.hasAttribute("data-unreviewed");
  card.toggleAttribute("data-unreviewed", !reviewed); // shown at once; reverted if the server rejects it
  card.setAttribute("data-sending", "");
  const page = await submitForm(card.querySelector(".event-link").href, { reviewed: String(reviewed) });
  card.removeAttribute("data-sending");
  if (!page) card.toggleAttribute("data-unreviewed", reviewed);
  liveRegion.textContent = page ? (reviewed ? "Reviewed." : "No longer reviewed.") : "";
}

const KEYS = { j: () => moveFocus(1), k: () => moveFocus(-1), r: () => toggleReviewed(focusedCard()) };

document.addEventListener("keydown", (event) => {
  const act = isShortcutBlocked(event) ? null : KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

// A chosen filter applies at once. While a year is being typed, the date is valid at every digit: small years are ignored.
root.ownerDocument.querySelector("[data-filters]")?.addEventListener("change", (event) => {
  if (event.target.type === "datetime-local") return; // the user may still set the other end; the button applies the range
  const year = event.target.type === "date" ? event.target.value.slice(0, 4) : "2000";
  if (!event.target.value || year >= "1970") event.currentTarget.requestSubmit();
});

// Leave empty fields out of the URL.
root.ownerDocument.querySelector("[data-filters]")?.addEventListener("submit", (event) => {
  for (const field of event.currentTarget.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("[data-filters] [disabled]")) field.disabled = false;
});

// Updates
let knownResponse = null; // the API response that matches the page
let pendingPage = null; // a newer page, offered by the button
let failures = 0;
let timer = 0;

async function fetchEvents() {
  const response = await fetch(root.dataset.apiUrl, { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" });
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.text();
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const body = await fetchEvents();
    failures = 0;
    if (body === null) { showConnectionNotice("You are signed out: newer events are not shown. Reload the page to sign in."); return; }
    showConnectionNotice("");
    const isChanging = root.querySelector("[data-changing]"); // thumbnails are not part of the API response
    if (knownResponse === null ? isStale(body) : body !== knownResponse || isChanging) await refresh();
    knownResponse = body;
  } catch {
    failures += 1;
    if (failures > 1) showConnectionNotice("The server is not responding: newer events are not shown.");
  }
  timer = setTimeout(poll, Math.min(POLL_INTERVAL_MS * 2 ** failures, MAX_POLL_INTERVAL_MS));
}

// Whether events arrived between the page and the first poll, or a shown event is still changing.
function isStale(body) {
  const listed = JSON.parse(body).items.map((item) => String(item.id));
  return listed.some((id) => !cardOf(id)) || root.querySelector("[data-changing]");
}

async function refresh() {
  const page = await fetchPage(location.href);
  if (!page) throw new Error("no page");
  updateShownCards(page);
  const count = [...page.querySelectorAll("[data-event]")].filter((card) => !cardOf(card.dataset.event)).length;
  pendingPage = count ? page : null;
  newer.hidden = !count;
  newer.querySelector("[data-newer-text]").textContent = count === 1 ? "1 newer event" : `${count} newer events`;
  if (count && canInsertNow()) showPendingPage();
}

// Replace each shown card that has changed, in its place.
function updateShownCards(page) {
  for (const fresh of page.querySelectorAll("[data-event]")) {
    const card = cardOf(fresh.dataset.event);
    if (!card || card.hasAttribute("data-sending") || card.outerHTML === fresh.outerHTML) continue;
    const hadFocus = card.contains(document.activeElement);
    hideOwnZone(fresh.ownerDocument);
    const next = document.adoptNode(fresh.cloneNode(true));
    const box = next.querySelector("input[name=ids]");
    if (box) box.checked = card.querySelector("input[name=ids]")?.checked ?? false;
    card.replaceWith(next);
    if (hadFocus) next.querySelector(".event-link").focus({ preventScroll: true });
  }
}

// Scrolled to the top, with no card focused, hovered or being selected.
function canInsertNow() {
  return scrollY < AT_TOP_PX && !focusedCard() && !root.hasAttribute("data-selecting") && !root.querySelector("[data-event]:hover");
}

function showPendingPage() {
  const before = new Set(cards().map((card) => card.dataset.event));
  const days = pendingPage.querySelector("[data-days]");
  hideOwnZone(pendingPage);
  root.querySelector("[data-days]").replaceWith(document.adoptNode(days));
  const pager = pendingPage.querySelector(".pager");
  if (pager && !root.querySelector(".pager")) root.querySelector("[data-live-region]").before(document.adoptNode(pager));
  for (const card of cards()) if (!before.has(card.dataset.event)) card.classList.add("event-fresh");
  liveRegion.textContent = newer.querySelector("[data-newer-text]").textContent;
  pendingPage = null;
  newer.hidden = true;
}

newer.addEventListener("click", () => {
  showPendingPage();
  scrollTo({ top: 0 });
  focusCard(cards()[0]);
});

// Remove a thumbnail that does not load, so that the background behind it shows.
document.addEventListener("error", (event) => { if (event.target.matches?.(".event-picture img")) event.target.remove(); }, true);

// Remember the current page of the list, so that the event's page can link back to it.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || !event.target.closest(".event-link")) return;
  try { sessionStorage.setItem("events", location.pathname + location.search); } catch { /* without storage, the link goes to the newest events */ }
});

hideOwnZone();
if (root.dataset.apiUrl) {
  document.addEventListener("visibilitychange", poll);
  addEventListener("online", poll);
  timer = setTimeout(poll, POLL_INTERVAL_MS);
}
