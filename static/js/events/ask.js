// Asking our server for its pages, and setting marks by the forms that work without a script too.
const toast = (text, level) => document.dispatchEvent(new CustomEvent("toast", { detail: { text, level } }));

export const tellError = (text) => toast(text, "error");

// The page at `url` as a document, null if there is none for us (signed out, gone) or the line is bad.
export async function pageAt(url, options = {}) {
  try {
    const response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
    const isPage = response.headers.get("Content-Type")?.startsWith("text/html");
    if (!response.ok || !isPage || new URL(response.url).pathname === "/login") return null;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    page.querySelectorAll("noscript").forEach((element) => element.remove()); // a parsed page has no scripts: theirs would come alive
    return page;
  } catch {
    return null;
  }
}

// Sends a form's fields; answers the page that the server leads to, and shows what it says.
export async function send(url, fields) {
  const token = document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
  const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...fields });
  const page = await pageAt(url, { method: "POST", body });
  if (!page) tellError("The server did not take this. Reload the page and try again.");
  return page;
}

// What a single key must not disturb: typing, a dialog, a menu, the player's own keys.
export function isBusy(event) {
  const isTyped = event.target.closest("input, textarea, select, video, [contenteditable]");
  return event.ctrlKey || event.metaKey || event.altKey || isTyped || document.querySelector("dialog[open], details[open]");
}
