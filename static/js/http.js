// Asking our server for its pages, and setting marks by the forms that work without a script too.
const AWAY = new Set([502, 503, 504]);

export const NO_ANSWER = "The server does not answer. Try again when the connection is back.";

// The line is bad or the server away: what is shown stays, and nothing was changed.
export class NoAnswer extends Error {}

const toast = (text, level) => document.dispatchEvent(new CustomEvent("toast", { detail: { text, level } }));

export const showError = (text) => toast(text, "error");

// The page at `url` as a document, null if there is none for us (signed out, gone). Throws `NoAnswer`.
export async function pageAt(url, options = {}) {
  const response = await answerTo(url, options);
  const isPage = response.headers.get("Content-Type")?.startsWith("text/html");
  if (!response.ok || !isPage || new URL(response.url).pathname === "/login") return null;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  page.querySelectorAll("noscript").forEach((element) => element.remove()); // a parsed page has no scripts: theirs would come alive
  return page;
}

async function answerTo(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new NoAnswer();
  }
  if (AWAY.has(response.status)) throw new NoAnswer();
  return response;
}

// As `pageAt`, for what somebody has just asked for: where no page can be had without leaving this one, it says so.
// Answers undefined if there was no answer.
export async function pageNow(url, options) {
  try {
    return await pageAt(url, options);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    showError(NO_ANSWER);
    return undefined;
  }
}

// Sends a form's fields; answers the page that the server leads to, null after it has said why there is none.
export async function send(url, fields) {
  const token = document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
  const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...fields });
  const page = await pageNow(url, { method: "POST", body });
  if (page === null) showError("The server did not take this. Reload the page and try again.");
  return page ?? null;
}

// What is true of the line for as long as it is: a notice that goes by itself. An empty text takes it away.
export function showConnectionNotice(text) {
  const notice = document.querySelector("[data-lost]");
  notice.hidden = !text;
  notice.querySelector("[data-lost-text]").textContent = text;
}

// What a single key must not disturb: typing, a dialog, a menu, the player's own keys.
export function isBusy(event) {
  const isTyped = event.target.closest("input, textarea, select, video, [contenteditable]");
  return event.ctrlKey || event.metaKey || event.altKey || isTyped || document.querySelector("dialog[open], details[open]");
}

// A click that is to be answered here: not one that opens another tab.
export const isPlainClick = (event) => event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
