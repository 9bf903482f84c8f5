// Marking many events at once: chosen by their boxes, sent to the API in one request, and taken back from the message.
import { NO_ANSWER, isBusy, showError } from "../http.js";

const MOST = 500; // what the API takes at once

const root = document.querySelector("[data-events]");
const bar = root.querySelector("[data-bulk]");
const opener = document.querySelector("[data-select]");

const boxes = () => [...root.querySelectorAll("[data-event] input[name=ids]")];
const chosen = () => boxes().filter((box) => box.checked);
const cardOf = (id) => root.querySelector(`[data-event="${CSS.escape(id)}"]`);
const events = (count) => (count === 1 ? "1 event" : `${count} events`);

function selecting(on) {
  root.toggleAttribute("data-selecting", on);
  opener.setAttribute("aria-pressed", String(on));
  if (!on) for (const box of boxes()) box.checked = false;
  count();
}

function count() {
  const number = chosen().length;
  bar.querySelector("[data-bulk-count]").textContent = number ? `${number} selected` : "None selected";
  for (const button of bar.querySelectorAll("[name=reviewed]")) button.disabled = !number;
  const all = bar.querySelector("[data-bulk-all]");
  all.textContent = number && number === boxes().length ? "None" : "All shown";
}

async function mark(ids, reviewed) {
  const response = await fetch(root.dataset.batchUrl, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRFToken": bar.querySelector("[name=csrfmiddlewaretoken]").value },
    body: JSON.stringify({ ids: ids.map(Number), reviewed }),
  });
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).detail ?? `answered ${response.status}`);
  const { results } = await response.json();
  for (const { id, status } of results) if (status === 200) cardOf(String(id))?.toggleAttribute("data-unseen", !reviewed);
  return results.filter((result) => result.changed).map((result) => String(result.id));
}

async function send(ids, reviewed, { undo }) {
  try {
    const changed = await mark(ids.slice(0, MOST), reviewed);
    if (!changed.length && undo) return notify(reviewed ? "They were reviewed already." : "None of them was reviewed.");
    if (!undo) return notify(`Taken back: ${events(changed.length)}.`);
    return notify(`${events(changed.length)}: ${reviewed ? "reviewed" : "no longer reviewed"}.`, () => send(changed, !reviewed, { undo: false }));
  } catch (error) {
    return showError(error instanceof TypeError ? NO_ANSWER : error.message);
  }
}

function notify(text, undo = null) {
  document.dispatchEvent(new CustomEvent("toast", { detail: { text, level: "success", undo } }));
}

function toggle(card) {
  const box = card?.querySelector("input[name=ids]");
  if (!box) return;
  if (!root.hasAttribute("data-selecting")) selecting(true);
  box.checked = !box.checked;
  count();
}

if (bar && opener) {
  opener.addEventListener("click", () => selecting(!root.hasAttribute("data-selecting")));
  bar.querySelector("[data-bulk-done]").addEventListener("click", () => { selecting(false); opener.focus(); });
  bar.querySelector("[data-bulk-all]").addEventListener("click", () => {
    const on = chosen().length < boxes().length;
    for (const box of boxes()) box.checked = on;
    count();
  });
  bar.addEventListener("submit", (event) => {
    event.preventDefault();
    const ids = chosen().map((box) => box.value);
    if (ids.length) send(ids, event.submitter.value === "true", { undo: true });
    selecting(false);
  });
  root.addEventListener("change", (event) => { if (event.target.name === "ids") count(); });
  // While one selects, the whole card is the box.
  root.addEventListener("click", (event) => {
    const link = root.hasAttribute("data-selecting") ? event.target.closest(".event-link") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    toggle(link.closest("[data-event]"));
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.hasAttribute("data-selecting")) { selecting(false); return; }
    if (isBusy(event) || event.key.toLowerCase() !== "x") return;
    event.preventDefault();
    toggle(document.activeElement?.closest?.("[data-event]"));
  });
  count();
}
