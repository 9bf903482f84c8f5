// A video that the browser may not play as it is: the server prepares a version that it can (202 until it is there).
// <video> cannot handle a 202, so we ask first and set `src` when the answer is the video.
const QUIET_MS = 300; // no spinner before this
const PAUSE_MS = 1500;
const PATIENCE_MS = 15 * 60 * 1000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

class Player {
  constructor(element) {
    this.element = element;
    this.video = element.querySelector("video");
    this.note = element.querySelector("[data-player-note]");
    this.progress = element.querySelector("[data-player-progress]");
    this.began = performance.now();
  }

  async prepare() {
    const quiet = setTimeout(() => { this.note.hidden = false; }, QUIET_MS);
    try {
      await this.waitUntilReady();
      this.play();
    } catch (error) {
      this.fail(error.message);
    } finally {
      clearTimeout(quiet);
    }
  }

  async waitUntilReady() {
    while (this.element.isConnected && performance.now() - this.began < PATIENCE_MS) {
      const response = await fetch(this.element.dataset.src, { headers: { Range: "bytes=0-0" }, credentials: "same-origin" });
      if (response.status === 200 || response.status === 206) {
        response.body?.cancel();
        return;
      }
      if (![202, 429, 503].includes(response.status)) throw new Error(sentenceFor(response.status));
      await this.showProgress(response);
      await sleep(pauseAfter(response));
    }
    throw new Error("Preparing this video takes unusually long. Try again later, or download the original.");
  }

  async showProgress(response) {
    const { progress } = await response.json().catch(() => ({}));
    if (typeof progress === "number" && progress > 0) this.progress.value = Math.min(progress, 1);
  }

  play() {
    this.note.hidden = true;
    this.video.addEventListener("error", () => this.fail("This browser was not able to play the video. Download it instead."), { once: true });
    this.video.src = this.element.dataset.src;
  }

  fail(text) {
    this.note.hidden = false;
    this.progress.hidden = true;
    this.note.querySelector("[data-player-text]").textContent = text;
    this.note.querySelector("[data-player-download]")?.removeAttribute("hidden");
  }
}

function pauseAfter(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return seconds > 0 ? Math.min(seconds, 30) * 1000 : PAUSE_MS;
}

function sentenceFor(status) {
  if (status === 404) return "This file is no longer there.";
  if (status === 401 || status === 403) return "You may not see this file, or you are signed out. Reload the page.";
  if (status === 422) return "This video cannot be turned into one that a browser plays: it may be damaged or cut short.";
  return `The server was not able to prepare this video (it answered ${status}). Try again later.`;
}

function preparePlayers() {
  for (const element of document.querySelectorAll("[data-player][data-src]:not([data-prepared])")) {
    element.setAttribute("data-prepared", "");
    new Player(element).prepare();
  }
}

document.addEventListener("viewer", preparePlayers); // camera.js put another file into the viewer
preparePlayers();
