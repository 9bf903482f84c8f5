// The picture, all of it, on black; a video in its place. A new picture replaces the old one when it is decoded.
import { fileOf, thumbnailOf } from "./api.js";
import { Album } from "./pictures.js";
import { Zoom } from "./zoom.js";

const PLAYABLE = /\.(mp4|m4v|mov|webm)$/i;
const RUSH_MS = 100;
const OUTRUN_MS = 250; // the same, where a file was left before its picture had been made
const SETTLE_MS = 150; // a large original takes a while to be decoded and painted: not while one is about to go on
const WALK_MS = 600; // whoever went on sooner than that will do so again: this long one rests then first
const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4, 8];

export class Stage {
  constructor(element, playerTemplate) {
    this.element = element;
    this.frame = element.querySelector("[data-frame]");
    this.note = element.querySelector("[data-stage-note]");
    this.playerTemplate = playerTemplate;
    this.album = new Album();
    this.speed = 1;
    this.shownAt = -RUSH_MS;
    this.zoom = new Zoom(element, this.frame, () => this.#pixels());
  }

  // How wide what is shown is in its own pixels; videos are shown whole.
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
    this.zoom.whole();
    this.#calmDown();
    this.#shape(item.width, item.height);
    this.pictures = null;
    if (item.isVideo) this.#showVideo(item); else this.#showPicture(item);
  }

  clear() {
    this.item = null;
    this.zoom.whole();
    this.frame.replaceChildren();
  }

  async #showPicture(item) {
    const pictures = this.album.of(item);
    this.pictures = pictures;
    this.element.toggleAttribute("data-waiting", !pictures.quick); // what is still shown is another file
    if (pictures.quick) this.#put(item, pictures.quick); else this.#bridge(item, pictures);
    await this.calm;
    if (this.item !== item) return;
    try {
      await pictures.preview("high").catch(() => {});
      if (pictures.quick) this.#put(item, pictures.quick);
      await this.rest;
      if (this.item === item) this.#put(item, await pictures.original("high"));
    } catch {
      if (this.item === item) this.#announce(`${item.name} cannot be shown: it may be damaged, or gone.`);
    }
  }

  // Until a better one is there: the small one of the grid and the strip, which is mostly known, so that no frame is blank.
  async #bridge(item, pictures) {
    if (!item.width) return; // there is none
    const picture = new Image();
    picture.decoding = "sync";
    picture.fetchPriority = "high";
    picture.src = thumbnailOf(item, 256);
    try { await picture.decode(); } catch { return; }
    if (this.item === item && !pictures.quick && this.note.hidden) this.#put(item, { picture, isOriginal: false });
  }

  // While one runs through the files nothing large is fetched: the last one shown is what counts.
  #calmDown() {
    const now = performance.now();
    const outran = this.pictures && !this.pictures.quick;
    const least = outran ? OUTRUN_MS : RUSH_MS;
    const isRush = now - this.shownAt < least;
    this.isOutrun = outran && isRush;
    const wait = now - this.shownAt < WALK_MS ? WALK_MS : SETTLE_MS;
    this.rest = new Promise((resolve) => { setTimeout(resolve, wait); });
    this.calm = isRush ? new Promise((resolve) => { setTimeout(resolve, least); }) : null;
    this.shownAt = now;
  }

  #put(item, { picture, isOriginal }) {
    if (this.item !== item || picture.parentNode === this.frame) return;
    const { naturalWidth: width, naturalHeight: height } = picture;
    if (isOriginal) this.#shape(width, height);
    picture.className = isOriginal ? "stage-picture" : "stage-picture stage-cut";
    picture.alt = item.name;
    picture.draggable = false;
    this.frame.replaceChildren(picture);
    this.element.toggleAttribute("data-waiting", false);
    this.element.dataset.shown = item.path;
    this.element.dataset.quality = isOriginal ? "original" : "preview";
  }

  #shape(width, height) {
    this.frame.style.setProperty("--ratio", width && height ? width / height : 4 / 3);
  }

  #announce(text) {
    this.element.toggleAttribute("data-waiting", false);
    this.note.hidden = false; // first, or a screen reader is not told what it says
    this.note.textContent = text;
    this.frame.replaceChildren();
  }

  // As it is where the browser can play it; else the form that the server prepares.
  #showVideo(item) {
    const player = this.playerTemplate.content.firstElementChild.cloneNode(true);
    player.querySelector("noscript")?.remove();
    player.querySelector("[data-player-download]").href = fileOf(item);
    const video = player.querySelector("video");
    Object.assign(video, { muted: true, loop: false, poster: item.width ? thumbnailOf(item, 256) : "" });
    video.setAttribute("aria-label", item.name);
    video.addEventListener("loadedmetadata", () => this.#started(item, video));
    video.addEventListener("play", () => { video.playbackRate = this.speed; });
    this.element.toggleAttribute("data-waiting", false);
    this.element.dataset.quality = "video";
    this.element.dataset.shown = item.path;
    if (PLAYABLE.test(item.name)) {
      video.addEventListener("error", () => { if (this.item === item && !player.dataset.src) this.#convert(item, player); }, { once: true });
      video.src = fileOf(item);
    }
    this.frame.replaceChildren(player);
    if (!PLAYABLE.test(item.name)) this.#convert(item, player);
  }

  #convert(item, player) {
    player.dataset.src = `${fileOf(item)}&playable=1`;
    document.dispatchEvent(new Event("viewer")); // player.js takes it from here
  }

  #started(item, video) {
    if (this.item !== item) return;
    this.#shape(video.videoWidth, video.videoHeight);
    video.playbackRate = this.speed;
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
  }

  playOrPause() {
    if (this.video?.paused) this.video.play().catch(() => {}); else this.video?.pause();
  }

  // A step faster or slower; what it is now.
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
