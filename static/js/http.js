// Fetches pages from the server and submits the forms that also work without JavaScript.
const UNAVAILABLE_STATUSES = new Set([502, 503, 504]);

export const SERVER_UNREACHABLE = "The server is not responding. Try again when the connection is back.";

// The connection failed or the server is unavailable: the page stays as it is, and nothing was changed.
export class ServerUnreachable extends Error {}

const toast = (text, level) => document.dispatchEvent(new CustomEvent("toast", { detail: { text, level } }));

export const showError = (text) => toast(text, "error");

// Returns the page at `url` as a document, null if it is not accessible (signed out, removed). Throws `ServerUnreachable`.
export async function fetchPage(url, options = {}) {
  const response = await fetchResponse(url, options);
  const isPage = response.headers.get("Content-Type")?.startsWith("text/html");
  if (!response.ok || !isPage || new URL(response.url).pathname === "/login") return null;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  page.querySelectorAll("noscript").forEach((element) => element.remove()); // a parsed page runs without scripts: the content of <noscript> would become active
  return page;
}

async function fetchResponse(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new ServerUnreachable();
  }
  if (UNAVAILABLE_STATUSES.has(response.status)) throw new ServerUnreachable();
  return response;
}

// Like `fetchPage`, for a user's action: if the server is not responding, it shows an error and returns undefined.
export async function fetchPageOrShowError(url, options) {
  try {
    return await fetchPage(url, options);
  } catch (error) {
    if (!(error instanceof ServerUnreachable)) throw error;
    showError(SERVER_UNREACHABLE);
    return undefined;
  }
}

// Submits a form's fields. Returns the page that the server redirects to, or shows an error and returns null.
export async function submitForm(url, fields) {
  const token = document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
  const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...fields });
  const page = await fetchPageOrShowError(url, { method: "POST", body });
  if (page === null) showError("The server did not accept this. Reload the page and try again.");
  return page ?? null;
}

// Shows a notice about the state of the connection. An empty text hides it.
export function showConnectionNotice(text) {
  const notice = document.querySelector("[data-connection-notice]");
  notice.hidden = !text;
  notice.querySelector("[data-connection-text]").textContent = text;
}

// Whether keyboard shortcuts are off: while typing, in a dialog or a menu, and for the player's own keys.
export function isShortcutBlocked(event) {
  const isTyped = event.target.closest("input, textarea, select, video, [contenteditable]");
  return event.ctrlKey || event.metaKey || event.altKey || isTyped || document.querySelector("dialog[open], details[open]");
}

// Whether the page handles the click itself: not one that opens another tab.
export const isPlainClick = (event) => event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
