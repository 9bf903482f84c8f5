// The list of events: by keys, and kept up to date. It asks the API whether the first page has changed, and only then
// for the page itself. Newer events come in at once where that moves nothing under the reader; else a button offers them.
import { hideOwnZone } from "../zones.js";
import { isBusy, pageAt, send, showConnectionNotice } from "../http.js";

const PERIOD_MS = 5000;
const LONGEST_PAUSE_MS = 60000;
const AT_TOP_PX = 48;

const root = document.querySelector("[data-events]");
const newer = root.querySelector("[data-newer-events]");
const said = root.querySelector("[data-said]");

const cards = () => [...root.querySelectorAll("[data-event]")];
const cardOf = (id) => root.querySelector(`[data-event="${CSS.escape(id)}"]`);

// Keys
const current = () => document.activeElement?.closest?.("[data-event]");

function focusCard(card) {
  if (!card) return;
  card.querySelector(".event-link").focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

function walk(step) {
  const all = cards();
  const at = all.indexOf(current());
  if (at < 0) focusCard(all.find((card) => card.getBoundingClientRect().top >= 0) ?? all[0]);
  else if (all[at + step]) focusCard(all[at + step]);
  else root.querySelector(step > 0 ? ".pager [rel=next]" : ".pager [rel=prev]")?.focus();
}

async function toggleReviewed(card) {
  if (!card || !root.hasAttribute("data-may-change") || card.hasAttribute("data-sending")) return;
  const reviewed = card.hasAttribute("data-unseen");
  card.toggleAttribute("data-unseen", !reviewed); // at once; taken back if the server refuses
  card.setAttribute("data-sending", "");
  const page = await send(card.querySelector(".event-link").href, { reviewed: String(reviewed) });
  card.removeAttribute("data-sending");
  if (!page) card.toggleAttribute("data-unseen", reviewed);
  said.textContent = page ? (reviewed ? "Reviewed." : "No longer reviewed.") : "";
}

const KEYS = { j: () => walk(1), k: () => walk(-1), r: () => toggleReviewed(current()) };

document.addEventListener("keydown", (event) => {
  const act = isBusy(event) ? null : KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

// A filter that is chosen applies at once. A date that is being typed is whole at every digit of its year.
root.ownerDocument.querySelector("[data-choose]")?.addEventListener("change", (event) => {
  if (event.target.type === "datetime-local") return; // its other end may follow; the button shows the range
  const year = event.target.type === "date" ? event.target.value.slice(0, 4) : "2000";
  if (!event.target.value || year >= "1970") event.currentTarget.requestSubmit();
});

// What was left empty is no filter, and is not in the address.
root.ownerDocument.querySelector("[data-choose]")?.addEventListener("submit", (event) => {
  for (const field of event.currentTarget.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("[data-choose] [disabled]")) field.disabled = false;
});

// News
let known = null; // the API's answer when the page was last right
let waiting = null; // a newer page, offered by the button
let failures = 0;
let timer = 0;

async function news() {
  const response = await fetch(root.dataset.apiUrl, { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" });
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`answered ${response.status}`);
  return response.text();
}

async function round() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await news();
    failures = 0;
    if (answer === null) { showConnectionNotice("You are signed out: newer events are not shown. Reload the page to sign in."); return; }
    showConnectionNotice("");
    const isChanging = root.querySelector("[data-changing]"); // a thumbnail is no part of the API's answer
    if (known === null ? isStale(answer) : answer !== known || isChanging) await refresh();
    known = answer;
  } catch {
    failures += 1;
    if (failures > 1) showConnectionNotice("The server does not answer: newer events are not shown.");
  }
  timer = setTimeout(round, Math.min(PERIOD_MS * 2 ** failures, LONGEST_PAUSE_MS));
}

// What came between the page and the first look at the API; what is changing is looked at anyway.
function isStale(answer) {
  const listed = JSON.parse(answer).items.map((item) => String(item.id));
  return listed.some((id) => !cardOf(id)) || root.querySelector("[data-changing]");
}

async function refresh() {
  const page = await pageAt(location.href);
  if (!page) throw new Error("no page");
  renewKnown(page);
  const count = [...page.querySelectorAll("[data-event]")].filter((card) => !cardOf(card.dataset.event)).length;
  waiting = count ? page : null;
  newer.hidden = !count;
  newer.querySelector("[data-newer-text]").textContent = count === 1 ? "1 newer event" : `${count} newer events`;
  if (count && movesNothing()) showWaiting();
}

// What changed of the cards that are shown, each in its place.
function renewKnown(page) {
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

// At the top, with nobody's hand or eye on a card.
function movesNothing() {
  return scrollY < AT_TOP_PX && !current() && !root.hasAttribute("data-selecting") && !root.querySelector("[data-event]:hover");
}

function showWaiting() {
  const before = new Set(cards().map((card) => card.dataset.event));
  const days = waiting.querySelector("[data-days]");
  hideOwnZone(waiting);
  root.querySelector("[data-days]").replaceWith(document.adoptNode(days));
  const pager = waiting.querySelector(".pager");
  if (pager && !root.querySelector(".pager")) root.querySelector("[data-said]").before(document.adoptNode(pager));
  for (const card of cards()) if (!before.has(card.dataset.event)) card.classList.add("event-fresh");
  said.textContent = newer.querySelector("[data-newer-text]").textContent;
  waiting = null;
  newer.hidden = true;
}

newer.addEventListener("click", () => {
  showWaiting();
  scrollTo({ top: 0 });
  focusCard(cards()[0]);
});

// A thumbnail that does not load leaves its place to the ground below it.
document.addEventListener("error", (event) => { if (event.target.matches?.(".event-picture img")) event.target.remove(); }, true);

// Which page of the list one leaves for an event, so that the event's page leads back to it.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || !event.target.closest(".event-link")) return;
  try { sessionStorage.setItem("events", location.pathname + location.search); } catch { /* then it leads to the newest */ }
});

hideOwnZone();
if (root.dataset.apiUrl) {
  document.addEventListener("visibilitychange", round);
  addEventListener("online", round);
  timer = setTimeout(round, PERIOD_MS);
}
