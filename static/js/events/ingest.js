// The state of ingest, drawn anew every few seconds; not under somebody who is reading with the keyboard in it.
import { NoAnswer, pageAt, showConnectionNotice } from "../http.js";

const PERIOD_MS = 5000;
const LONGEST_PAUSE_MS = 60000;
let failures = 0;

async function round() {
  const root = document.querySelector("[data-ingest]");
  const isRead = root.contains(document.activeElement) || !getSelection().isCollapsed;
  if (!document.hidden && !isRead) {
    const fresh = await freshState();
    failures = fresh ? 0 : failures + 1;
    if (fresh) root.replaceWith(document.adoptNode(fresh));
  }
  setTimeout(round, Math.min(PERIOD_MS * 2 ** failures, LONGEST_PAUSE_MS));
}

async function freshState() {
  try {
    const page = await pageAt(location.href);
    showConnectionNotice(page ? "" : "You are signed out: these figures are old. Reload the page to sign in.");
    return page?.querySelector("[data-ingest]");
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    showConnectionNotice("The server does not answer: these figures are old.");
    return null;
  }
}

setTimeout(round, PERIOD_MS);
