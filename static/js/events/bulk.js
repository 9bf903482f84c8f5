// Marks several selected events at once in one API request; the toast offers to undo it.
import { SERVER_UNREACHABLE, isShortcutBlocked, showError } from "../http.js";

const MAX_BATCH_SIZE = 500; // limit of the API

const root = document.querySelector("[data-events]");
const bar = root.querySelector("[data-bulk]");
const opener = document.querySelector("[data-select]");

const boxes = () => [...root.querySelectorAll("[data-event] input[name=ids]")];
const selectedBoxes = () => boxes().filter((box) => box.checked);
const cardOf = (id) => root.querySelector(`[data-event="${CSS.escape(id)}"]`);
const eventCount = (number) => (number === 1 ? "1 event" : `${number} events`);

function setSelecting(on) {
  root.toggleAttribute("data-selecting", on);
  opener.setAttribute("aria-pressed", String(on));
  if (!on) for (const box of boxes()) box.checked = false;
  updateCount();
}

function updateCount() {
  const number = selectedBoxes().length;
  bar.querySelector("[data-bulk-count]").textContent = number ? `${number} selected` : "None selected";
  for (const button of bar.querySelectorAll("[name=reviewed]")) button.disabled = !number;
  const all = bar.querySelector("[data-bulk-all]");
  all.textContent = number && number === boxes().length ? "None" : "All shown";
}

async function postReviewed(ids, reviewed) {
  const response = await fetch(root.dataset.batchUrl, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRFToken": bar.querySelector("[name=csrfmiddlewaretoken]").value },
    body: JSON.stringify({ ids: ids.map(Number), reviewed }),
  });
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).detail ?? `The server returned status ${response.status}.`);
  const { results } = await response.json();
  for (const { id, status } of results) if (status === 200) cardOf(String(id))?.toggleAttribute("data-unreviewed", !reviewed);
  return results.filter((result) => result.changed).map((result) => String(result.id));
}

async function applyReviewed(ids, reviewed, { undo }) {
  try {
    const changed = await postReviewed(ids.slice(0, MAX_BATCH_SIZE), reviewed);
    if (!changed.length && undo) return notify(reviewed ? "These events were already reviewed." : "None of these events was reviewed.");
    if (!undo) return notify(`Undone: ${eventCount(changed.length)}.`);
    return notify(`${eventCount(changed.length)}: ${reviewed ? "reviewed" : "no longer reviewed"}.`, () => applyReviewed(changed, !reviewed, { undo: false }));
  } catch (error) {
    return showError(error instanceof TypeError ? SERVER_UNREACHABLE : error.message);
  }
}

function notify(text, undo = null) {
  document.dispatchEvent(new CustomEvent("toast", { detail: { text, level: "success", undo } }));
}

function toggle(card) {
  const box = card?.querySelector("input[name=ids]");
  if (!box) return;
  if (!root.hasAttribute("data-selecting")) setSelecting(true);
  box.checked = !box.checked;
  updateCount();
}

if (bar && opener) {
  opener.addEventListener("click", () => setSelecting(!root.hasAttribute("data-selecting")));
  bar.querySelector("[data-bulk-done]").addEventListener("click", () => { setSelecting(false); opener.focus(); });
  bar.querySelector("[data-bulk-all]").addEventListener("click", () => {
    const on = selectedBoxes().length < boxes().length;
    for (const box of boxes()) box.checked = on;
    updateCount();
  });
  bar.addEventListener("submit", (event) => {
    event.preventDefault();
    const ids = selectedBoxes().map((box) => box.value);
    if (ids.length) applyReviewed(ids, event.submitter.value === "true", { undo: true });
    setSelecting(false);
  });
  root.addEventListener("change", (event) => { if (event.target.name === "ids") updateCount(); });
  // In selection mode, a click anywhere on a card toggles its checkbox.
  root.addEventListener("click", (event) => {
    const link = root.hasAttribute("data-selecting") ? event.target.closest(".event-link") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    toggle(link.closest("[data-event]"));
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.hasAttribute("data-selecting")) { setSelecting(false); return; }
    if (isShortcutBlocked(event) || event.key.toLowerCase() !== "x") return;
    event.preventDefault();
    toggle(document.activeElement?.closest?.("[data-event]"));
  });
  updateCount();
}
