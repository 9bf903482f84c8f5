// Plays videos that the browser may not support: the server prepares a web playback version (202 until it is ready).
// <video> cannot handle a 202, so the script polls first and sets `src` when the response is the video.
const SPINNER_DELAY_MS = 300; // delay before the spinner appears
const POLL_INTERVAL_MS = 1500;
const TIMEOUT_MS = 15 * 60 * 1000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

class Player {
  constructor(element) {
    this.element = element;
    this.video = element.querySelector("video");
    this.note = element.querySelector("[data-player-note]");
    this.progress = element.querySelector("[data-player-progress]");
    this.startedAt = performance.now();
  }

  async prepare() {
    const spinnerTimer = setTimeout(() => { this.note.hidden = false; }, SPINNER_DELAY_MS);
    try {
      await this.waitUntilReady();
      this.play();
    } catch (error) {
      this.fail(error.message);
    } finally {
      clearTimeout(spinnerTimer);
    }
  }

  async waitUntilReady() {
    while (this.element.isConnected && performance.now() - this.startedAt < TIMEOUT_MS) {
      const response = await fetch(this.element.dataset.src, { headers: { Range: "bytes=0-0" }, credentials: "same-origin" });
      if (response.status === 200 || response.status === 206) {
        response.body?.cancel();
        return;
      }
      if (![202, 429, 503].includes(response.status)) throw new Error(errorMessage(response.status));
      await this.showProgress(response);
      await sleep(retryDelay(response));
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

function retryDelay(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return seconds > 0 ? Math.min(seconds, 30) * 1000 : POLL_INTERVAL_MS;
}

function errorMessage(status) {
  if (status === 404) return "This file no longer exists.";
  if (status === 401 || status === 403) return "You do not have access to this file, or you are signed out. Reload the page.";
  if (status === 422) return "This video cannot be converted for playback in a browser. It may be damaged or cut short.";
  return `The server was not able to prepare this video (status ${status}). Try again later.`;
}

function preparePlayers() {
  for (const element of document.querySelectorAll("[data-player][data-src]:not([data-prepared])")) {
    element.setAttribute("data-prepared", "");
    new Player(element).prepare();
  }
}

document.addEventListener("viewer", preparePlayers); // another file was put into the viewer
preparePlayers();
