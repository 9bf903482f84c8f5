// What the server does for a folder in the background, in words while it lasts.
import { askJson } from "./api.js";

const QUIET_MS = 300; // what is there sooner needs no word
const EVERY_MS = 500;

const LOOK_MS = 4000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const progressOf = (path) => askJson(`/api/media-items/progress?${new URLSearchParams({ path })}`).catch(() => null);

// The first look at a large folder or a slow card takes a while: how far it is, asked for until `work` is done.
// `onProgress` is called with {folders, files} so far, with null as long as nobody knows.
export async function whileReading(path, work, onProgress) {
  let isDone = false;
  const done = work.then(() => { isDone = true; }, () => { isDone = true; });
  await Promise.race([done, sleep(QUIET_MS)]);
  while (!isDone) {
    const progress = await progressOf(path);
    if (!isDone) onProgress(progress?.state === "reading" ? progress : null);
    await Promise.race([done, sleep(EVERY_MS)]);
  }
}

// While somebody else reads the same folder the server answers 503: ask again until it is read.
export async function onceRead(path, open) {
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (error.status !== 503 || (await progressOf(path))?.state !== "reading") throw error;
    }
    await sleep(EVERY_MS);
  }
}

// How many small pictures are made already, until all are; not while nobody looks.
export async function watchThumbnails(path, onProgress) {
  for (;;) {
    await sleep(LOOK_MS);
    if (document.hidden) continue;
    const made = (await progressOf(path))?.thumbnails;
    const goesOn = made && ["waiting", "working"].includes(made.state);
    onProgress(goesOn ? made : null);
    if (!goesOn) return;
  }
}
