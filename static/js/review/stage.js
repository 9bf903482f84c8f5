// Shows the whole picture, or a video, on black. A new picture replaces the old one once it is decoded.
import { fileUrl, thumbnailUrl } from "./api.js";
import { PictureCache } from "./pictures.js";
import { Zoom } from "./zoom.js";

const PLAYABLE = /\.(mp4|m4v|mov|webm)$/i;
const RUSH_MS = 100; // a file shown for less than this means that the user moves quickly
const OUTRUN_MS = 250; // the same, if the user left a file before its preview was ready
const SETTLE_MS = 150; // wait before decoding a large original, which is slow: the user may be about to move on
const MOVING_SETTLE_MS = 600; // a user who moved on faster than this probably will again: wait this long instead
const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4, 8];

export class Stage {
  constructor(element, playerTemplate) {
    this.element = element;
    this.frame = element.querySelector("[data-frame]");
    this.note = element.querySelector("[data-stage-note]");
    this.playerTemplate = playerTemplate;
    this.pictureCache = new PictureCache();
    this.speed = 1;
    this.shownAt = -RUSH_MS;
    this.zoom = new Zoom(element, this.frame, () => this.#pixels());
  }

  // The width of the shown picture in its own pixels; 0 for videos, which cannot be zoomed.
  #pixels() {
    const picture = this.frame.querySelector(".stage-picture");
    return picture && this.item ? Math.max(this.item.width ?? 0, picture.naturalWidth) : 0;
  }

  get video() { return this.frame.querySelector("video"); }

  show(item) {
    this.item = item;
    this.note.hidden = true;
    this.note.textContent = "";
    this.zoom.isHeld = false;
    this.zoom.fit();
    this.#setDelays();
    this.#setRatio(item.width, item.height);
    this.pictures = null;
    if (item.isVideo) this.#showVideo(item); else this.#showPicture(item);
  }

  clear() {
    this.item = null;
    this.zoom.fit();
    this.frame.replaceChildren();
  }

  async #showPicture(item) {
    const pictures = this.pictureCache.of(item);
    this.pictures = pictures;
    this.element.toggleAttribute("data-waiting", !pictures.first); // the previous file is still shown
    if (pictures.first) this.#display(item, pictures.first); else this.#showThumbnail(item, pictures);
    await this.rushDelay;
    if (this.item !== item) return;
    try {
      await pictures.preview("high").catch(() => {});
      if (pictures.first) this.#display(item, pictures.first);
      await this.settleDelay;
      if (this.item === item) this.#display(item, await pictures.original("high"));
    } catch {
      if (this.item === item) this.#showNote(`${item.name} cannot be shown. It may be damaged or removed.`);
    }
  }

  // Show the thumbnail of the grid and the strip, which is usually cached, until a better picture is ready.
  async #showThumbnail(item, pictures) {
    if (!item.width) return; // it has no thumbnail
    const picture = new Image();
    picture.decoding = "sync";
    picture.fetchPriority = "high";
    picture.src = thumbnailUrl(item, 256);
    try { await picture.decode(); } catch { return; }
    if (this.item === item && !pictures.first && this.note.hidden) this.#display(item, { picture, isOriginal: false });
  }

  // While the user moves quickly, large pictures are not fetched until the user stays at a file.
  #setDelays() {
    const now = performance.now();
    const leftBeforeReady = this.pictures && !this.pictures.first;
    const rushMs = leftBeforeReady ? OUTRUN_MS : RUSH_MS;
    const isRush = now - this.shownAt < rushMs;
    this.isOutrun = leftBeforeReady && isRush;
    const wait = now - this.shownAt < MOVING_SETTLE_MS ? MOVING_SETTLE_MS : SETTLE_MS;
    this.settleDelay = new Promise((resolve) => { setTimeout(resolve, wait); });
    this.rushDelay = isRush ? new Promise((resolve) => { setTimeout(resolve, rushMs); }) : null;
    this.shownAt = now;
  }

  #display(item, { picture, isOriginal }) {
    if (this.item !== item || picture.parentNode === this.frame) return;
    const { naturalWidth: width, naturalHeight: height } = picture;
    if (isOriginal) this.#setRatio(width, height);
    picture.className = isOriginal ? "stage-picture" : "stage-picture stage-cropped";
    picture.alt = item.name;
    picture.draggable = false;
    this.frame.replaceChildren(picture);
    this.element.toggleAttribute("data-waiting", false);
    this.element.dataset.shown = item.path;
    this.element.dataset.quality = isOriginal ? "original" : "preview";
  }

  #setRatio(width, height) {
    this.frame.style.setProperty("--ratio", width && height ? width / height : 4 / 3);
  }

  #showNote(text) {
    this.element.toggleAttribute("data-waiting", false);
    this.note.hidden = false; // before the text is set, or screen readers do not announce it
    this.note.textContent = text;
    this.frame.replaceChildren();
  }

  // Plays the file itself if the browser supports it, else the server's web playback version.
  #showVideo(item) {
    const player = this.playerTemplate.content.firstElementChild.cloneNode(true);
    player.querySelector("noscript")?.remove();
    player.querySelector("[data-player-download]").href = fileUrl(item);
    const video = player.querySelector("video");
    Object.assign(video, { muted: true, loop: false, poster: item.width ? thumbnailUrl(item, 256) : "" });
    video.setAttribute("aria-label", item.name);
    video.addEventListener("loadedmetadata", () => this.#onMetadata(item, video));
    video.addEventListener("play", () => { video.playbackRate = this.speed; });
    this.element.toggleAttribute("data-waiting", false);
    this.element.dataset.quality = "video";
    this.element.dataset.shown = item.path;
    if (PLAYABLE.test(item.name)) {
      video.addEventListener("error", () => { if (this.item === item && !player.dataset.src) this.#requestPlaybackVersion(item, player); }, { once: true });
      video.src = fileUrl(item);
    }
    this.frame.replaceChildren(player);
    if (!PLAYABLE.test(item.name)) this.#requestPlaybackVersion(item, player);
  }

  #requestPlaybackVersion(item, player) {
    player.dataset.src = `${fileUrl(item)}&playable=1`;
    document.dispatchEvent(new Event("viewer")); // player.js takes it from here
  }

  #onMetadata(item, video) {
    if (this.item !== item) return;
    this.#setRatio(video.videoWidth, video.videoHeight);
    video.playbackRate = this.speed;
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
  }

  playOrPause() {
    if (this.video?.paused) this.video.play().catch(() => {}); else this.video?.pause();
  }

  // Change the playback speed by one step. Returns the new speed.
  changeSpeed(step) {
    const at = Math.max(0, Math.min(SPEEDS.indexOf(this.speed) + step, SPEEDS.length - 1));
    this.speed = SPEEDS[at];
    if (this.video) this.video.playbackRate = this.speed;
    return this.speed;
  }

  brighten(on) {
    this.element.toggleAttribute("data-bright", on);
  }
}
