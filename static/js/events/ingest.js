// The state of ingest, drawn anew every few seconds; not under somebody who is reading with the keyboard in it.
import { pageAt } from "./ask.js";

const PERIOD_MS = 5000;
const LONGEST_PAUSE_MS = 60000;
let failures = 0;

async function round() {
  const root = document.querySelector("[data-ingest]");
  const isRead = root.contains(document.activeElement) || !getSelection().isCollapsed;
  if (!document.hidden && !isRead) {
    const fresh = (await pageAt(location.href))?.querySelector("[data-ingest]");
    failures = fresh ? 0 : failures + 1;
    if (fresh) root.replaceWith(document.adoptNode(fresh));
  }
  setTimeout(round, Math.min(PERIOD_MS * 2 ** failures, LONGEST_PAUSE_MS));
}

setTimeout(round, PERIOD_MS);
