// Reports the server's background work on a folder: scanning and thumbnails.
import { requestJson } from "./api.js";

const MESSAGE_DELAY_MS = 300; // no message for anything faster
const POLL_INTERVAL_MS = 500;

const THUMBNAIL_POLL_INTERVAL_MS = 4000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const progressOf = (path) => requestJson(`/api/media-items/progress?${new URLSearchParams({ path })}`).catch(() => null);

// The first scan of a large folder or a slow card takes a while: poll its progress until `work` is done.
// Calls `onProgress` with {folders, files} so far, or with null while the progress is unknown.
export async function reportScanProgress(path, work, onProgress) {
  let isDone = false;
  const done = work.then(() => { isDone = true; }, () => { isDone = true; });
  await Promise.race([done, sleep(MESSAGE_DELAY_MS)]);
  while (!isDone) {
    const progress = await progressOf(path);
    if (!isDone) onProgress(progress?.state === "reading" ? progress : null);
    await Promise.race([done, sleep(POLL_INTERVAL_MS)]);
  }
}

// The server returns 503 while another request is scanning the same folder: retry until the scan is done.
export async function retryWhileScanning(path, open) {
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (error.status !== 503 || (await progressOf(path))?.state !== "reading") throw error;
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

// Polls how many thumbnails have been created, until all are. Pauses while the page is hidden.
export async function watchThumbnails(path, onProgress) {
  for (;;) {
    await sleep(THUMBNAIL_POLL_INTERVAL_MS);
    if (document.hidden) continue;
    const thumbnails = (await progressOf(path))?.thumbnails;
    const isRunning = thumbnails && ["waiting", "working"].includes(thumbnails.state);
    onProgress(isRunning ? thumbnails : null);
    if (!isRunning) return;
  }
}
