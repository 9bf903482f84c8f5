// The full-screen review: the picture, its details, action buttons, and a strip of neighbouring files.
import { thumbnailScale, thumbnailUrl } from "./api.js";
import { shield } from "../shield.js";
import { Stage } from "./stage.js";
import { formatProgress, formatSize } from "./throughput.js";

const PREPARE_OFFSETS = [1, -1, 2, 3, -2, 4, 5]; // offsets in the direction of movement, most urgent first
const STRIP_REACH = 12;
const SWIPE_PX = 56;
const MARKS = ["seen", "locked", "trashed"];
const PRESSED = { trash: "trashed", lock: "locked", seen: "seen" };
const when = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

export class Screen {
  constructor(element, { root, run }) {
    Object.assign(this, { element, root, run });
    this.stage = new Stage(element.querySelector("[data-stage]"), document.querySelector("[data-player-template]"));
    this.strip = element.querySelector("[data-strip]");
    this.strip.addEventListener("click", (event) => this.#stripClicked(event));
    this.#watchSwipes();
    this.stage.zoom.addEventListener("change", () => this.#press("zoom", this.stage.zoom.isZoomed));
  }

  get isOpen() { return !this.element.hidden; }

  find(name) { return this.element.querySelector(`[data-${name}]`); }

  open() {
    if (this.isOpen) return;
    this.element.hidden = false;
    document.documentElement.classList.add("screen-open");
    const siblings = [...this.element.parentElement.children].filter((other) => other !== this.element && !other.matches("dialog, [role=status]"));
    this.inertElements = [document.querySelector(".rail"), ...siblings];
    for (const other of this.inertElements) other.inert = true;
    shield();
    this.element.focus({ preventScroll: true });
  }

  close() {
    this.element.hidden = true;
    document.documentElement.classList.remove("screen-open");
    for (const other of this.inertElements) other.inert = false;
    shield();
    this.stage.clear();
  }

  // Shows the file at `index` of `source` and prepares its neighbours.
  show(source, index, item) {
    if (this.stage.item !== item) this.stage.show(item);
    this.find("folder-path").textContent = folderPath(this.root, item.path);
    this.find("details").textContent = describeItem(item);
    this.find("video-tools").inert = !item.isVideo;
    this.mark(item);
    this.#drawStripAfterPaint(source, index);
    this.#prepare(source, index, item);
  }

  mark(item) {
    for (const mark of MARKS) this.find("marks").querySelector(`[data-mark=${mark}]`).hidden = !item.status[mark];
    for (const [command, mark] of Object.entries(PRESSED)) this.#press(command, item.status[mark]);
  }

  #press(command, on) {
    this.element.querySelector(`[data-do=${command}]`).setAttribute("aria-pressed", String(on));
  }

  toggle(command) {
    const button = this.element.querySelector(`[data-do=${command}]`);
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    return on;
  }

  count(counts, throughput) {
    this.find("counter").textContent = formatProgress(counts, throughput.perMinute);
  }

  canUndo(can) {
    this.element.querySelector("[data-do=undo]").disabled = !can;
  }

  async #prepare(source, index, item) {
    const { stage } = this;
    const direction = this.#direction(index);
    const indexes = PREPARE_OFFSETS.map((step) => index + step * direction);
    stage.pictureCache.keep([item, ...indexes.map((at) => source.at(at)).filter(Boolean)]);
    const near = await Promise.all(indexes.map((at) => source.load(at).catch(() => null)));
    if (stage.isOutrun) stage.pictureCache.prepareAhead(near[PREPARE_OFFSETS.indexOf(3)]);
    await stage.rushDelay;
    if (stage.item !== item) return;
    this.#drawStripAfterPaint(source, index); // with the neighbours that have been loaded meanwhile
    await nextPaint();
    if (stage.item === item) stage.pictureCache.prepare(item, near.filter((other) => other && !other.isVideo), stage.settleDelay);
  }

  #direction(index) {
    const isBack = index < this.previousIndex;
    this.previousIndex = index;
    return isBack ? -1 : 1;
  }

  // The picture is painted first: laying out the strip takes as long as painting it. A held key draws it once a frame.
  async #drawStripAfterPaint(source, index) {
    const isScheduled = this.stripIndex;
    this.stripIndex = [source, index];
    if (isScheduled) return;
    await nextPaint();
    const [newest, at] = this.stripIndex;
    this.stripIndex = null;
    if (this.isOpen) this.#drawStrip(newest, at);
  }

  // Reuse the buttons of files that stay in the strip, so that nothing flickers.
  #drawStrip(source, index) {
    const old = new Map([...this.strip.children].map((button) => [button.dataset.path, button]));
    const buttons = [];
    for (let at = index - STRIP_REACH; at <= index + STRIP_REACH; at += 1) {
      const item = at >= 0 ? source.at(at) : null;
      if (!item) { buttons.push(at === index ? null : document.createElement("span")); continue; }
      const button = old.get(item.path) ?? createStripButton(item);
      button.dataset.index = at;
      button.toggleAttribute("data-current", at === index);
      for (const mark of MARKS) button.toggleAttribute(`data-${mark}`, item.status[mark]);
      buttons.push(button);
    }
    this.strip.replaceChildren(...buttons.filter(Boolean));
  }

  #stripClicked(event) {
    const button = event.target.closest("[data-index]");
    if (button) this.run("goTo", Number(button.dataset.index));
  }

  #watchSwipes() {
    const area = this.find("stage");
    let start = null;
    const { zoom } = this.stage;
    area.addEventListener("pointerdown", (event) => { start = event.pointerType === "mouse" || zoom.isZoomed || zoom.isPinched || event.target.closest("video") ? null : event; });
    area.addEventListener("pointerup", (event) => {
      if (!start || event.pointerId !== start.pointerId) return;
      const [x, y] = [event.clientX - start.clientX, event.clientY - start.clientY];
      start = null;
      if (Math.abs(x) > SWIPE_PX && Math.abs(x) > 1.5 * Math.abs(y)) this.run(x < 0 ? "next" : "previous");
    });
    area.addEventListener("pointercancel", () => { start = null; });
  }
}

function nextPaint() {
  return new Promise((resolve) => { requestAnimationFrame(() => { setTimeout(resolve); }); });
}

function createStripButton(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.dataset.path = item.path;
  const picture = new Image(256, 256); // the size that the stage shows first, so that it is cached
  picture.alt = "";
  picture.decoding = "async";
  picture.fetchPriority = "low";
  picture.style.scale = thumbnailScale(item);
  picture.src = thumbnailUrl(item, 256);
  button.append(picture);
  return button;
}

function folderPath(root, path) {
  const name = root.slice(root.lastIndexOf("/") + 1) || "/";
  const inner = path.slice(root.length, path.lastIndexOf("/")).split("/").filter(Boolean);
  return [name, ...inner].join(" / ");
}

function formatPixels({ width, height }) {
  const millions = (width * height) / 1e6;
  return millions < 0.1 ? `${width} × ${height}` : `${millions.toFixed(1).replace(/\.0$/, "")} MP`;
}

function describeItem(item) {
  const details = [item.name, when.format(new Date(item.modifiedAt))];
  if (item.width && item.height && !item.isVideo) details.push(formatPixels(item));
  if (item.seconds) details.push(`${Math.round(item.seconds)} s`);
  details.push(formatSize(item.sizeBytes));
  return details.join(" · ");
}
