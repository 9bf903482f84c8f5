// Refreshes the state of ingest every few seconds, except while the focus or a text selection is inside it.
import { ServerUnreachable, fetchPage, showConnectionNotice } from "../http.js";

const POLL_INTERVAL_MS = 5000;
const MAX_POLL_INTERVAL_MS = 60000;
let failures = 0;

async function poll() {
  const root = document.querySelector("[data-ingest]");
  const isInUse = root.contains(document.activeElement) || !getSelection().isCollapsed;
  if (!document.hidden && !isInUse) {
    const fresh = await fetchState();
    failures = fresh ? 0 : failures + 1;
    if (fresh) root.replaceWith(document.adoptNode(fresh));
  }
  setTimeout(poll, Math.min(POLL_INTERVAL_MS * 2 ** failures, MAX_POLL_INTERVAL_MS));
}

async function fetchState() {
  try {
    const page = await fetchPage(location.href);
    showConnectionNotice(page ? "" : "You are signed out: these figures are outdated. Reload the page to sign in.");
    return page?.querySelector("[data-ingest]");
  } catch (error) {
    if (!(error instanceof ServerUnreachable)) throw error;
    showConnectionNotice("The server is not responding: these figures are outdated.");
    return null;
  }
}

setTimeout(poll, POLL_INTERVAL_MS);
