// The grid: only the tiles in sight exist, however many files there are. A listbox, so that a screen reader is told the
// place of the cursor among all of them.
import { fillOf, thumbnailOf } from "./api.js";
import { LongPress } from "./long_press.js";
import { inWords } from "./status.js";

const MIN_WIDTH_PX = 148;
const GAP_PX = 8;
const CAPTION_PX = 42;
const TALLEST_PX = 8_000_000; // browsers know no taller elements: beyond that, a pixel stands for more
const ROWS_BEYOND = 2;
const when = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const RETRY_MS = 3000; // for a picture that did not come, as the server was too busy

// Events: `open` (a tile was chosen), `move` (the cursor or the selection is another).
export class Grid extends EventTarget {
  constructor(frame, element, template, root) {
    super();
    Object.assign(this, { frame, element, template, root, cursor: 0, anchor: null, picked: new Set(), tiles: new Map(), source: null });
    this.top = 0; // where the view begins, in pixels of the whole list
    this.scrolled = 0; // where the frame stood when `top` was told from it
    frame.addEventListener("scroll", () => this.#scroll(), { passive: true });
    frame.addEventListener("scrollend", () => this.#align());
    new ResizeObserver(() => this.layOut()).observe(frame);
    this.press = new LongPress(this);
    element.addEventListener("click", (event) => this.#clicked(event));
    element.addEventListener("dblclick", (event) => { if (event.target.closest(".shot")) this.dispatchEvent(new Event("open")); });
  }

  show(source, showsFolders) {
    this.clear();
    this.showsFolders ||= showsFolders;
    this.source = source;
    this.unpick();
    source.addEventListener("change", () => { if (source === this.source) this.layOut(); });
    this.layOut();
  }

  // Names repeat in several folders: from now on each is told with its folder.
  showFolders() {
    if (this.showsFolders) return;
    this.showsFolders = true;
    for (const tile of this.tiles.values()) delete tile.dataset.path;
    this.render();
  }

  clear() {
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
  }

  layOut() {
    const width = this.element.clientWidth;
    if (!this.source || !width) return;
    const begins = this.row ? (this.top / this.row) * this.columns : 0;
    const before = this.height;
    this.columns = Math.max(2, Math.floor((width + GAP_PX) / (MIN_WIDTH_PX + GAP_PX)));
    this.width = (width - GAP_PX * (this.columns - 1)) / this.columns;
    this.row = Math.round(this.width * 0.75) + CAPTION_PX + GAP_PX;
    const rows = Math.ceil(this.source.total / this.columns);
    this.tall = rows * this.row;
    this.height = Math.min(this.tall, TALLEST_PX);
    this.top = this.#within((begins / this.columns) * this.row);
    if (this.height !== before) {
      this.element.style.height = `${this.height}px`;
      this.#align();
    }
    this.render();
  }

  // In a list too tall for a browser a wheel or a finger moves by its own pixels all the same; only the bar leaps.
  #scroll() {
    const [now, rest] = [this.frame.scrollTop, this.#rest];
    const moved = now - this.scrolled;
    const isStep = this.tall > this.height && Math.abs(moved) < this.frame.clientHeight;
    this.top = this.#within(isStep ? this.top + moved : now * this.#scale);
    this.scrolled = now;
    if (isStep && (now <= 0 || now >= rest - 1)) this.#align(); // there is more than the frame can scroll
    this.render();
  }

  get #rest() { return Math.max(1, this.height - this.frame.clientHeight); }

  get #scale() { return Math.max(0, this.tall - this.frame.clientHeight) / this.#rest; }

  #within(top) { return Math.max(0, Math.min(top, this.tall - this.frame.clientHeight)); }

  // The bar to where `top` is.
  #align() {
    if (!this.row || !this.frame.clientHeight) return;
    const wanted = this.#scale ? this.top / this.#scale : 0;
    if (Math.abs(this.frame.scrollTop - wanted) >= 1) this.frame.scrollTop = wanted;
    this.scrolled = this.frame.scrollTop;
    this.render();
  }

  render() {
    if (!this.source || !this.columns) return;
    const { top } = this;
    const first = Math.max(0, (Math.floor(top / this.row) - ROWS_BEYOND) * this.columns);
    const last = Math.min(this.source.total, (Math.ceil((top + this.frame.clientHeight) / this.row) + ROWS_BEYOND) * this.columns);
    for (const [place, tile] of this.tiles) if (place < first || place >= last) { tile.remove(); this.tiles.delete(place); }
    for (let place = first; place < last; place += 1) this.#put(place, top);
    this.element.setAttribute("aria-activedescendant", `shot-${this.cursor}`);
  }

  #put(place, top) {
    let tile = this.tiles.get(place);
    if (!tile) {
      tile = this.template.content.firstElementChild.cloneNode(true);
      Object.assign(tile, { id: `shot-${place}` });
      tile.dataset.place = place;
      this.tiles.set(place, tile);
      this.element.append(tile);
    }
    const y = Math.round(Math.floor(place / this.columns) * this.row - top + this.scrolled);
    tile.style.width = `${this.width}px`;
    tile.style.height = `${this.row - GAP_PX}px`;
    tile.style.transform = `translate(${(place % this.columns) * (this.width + GAP_PX)}px, ${y}px)`;
    this.#fill(tile, place);
  }

  #fill(tile, place) {
    const item = this.source.at(place);
    tile.classList.toggle("shot-empty", !item);
    tile.toggleAttribute("data-cursor", place === this.cursor);
    tile.setAttribute("aria-selected", String(this.picked.has(place)));
    tile.setAttribute("aria-setsize", this.source.total);
    tile.setAttribute("aria-posinset", place + 1);
    if (item === undefined) this.#loadSoon(place);
    if (!item) return;
    if (tile.dataset.path !== item.path) this.#draw(tile, item);
    for (const mark of ["seen", "locked", "trashed"]) tile.toggleAttribute(`data-${mark}`, item.status[mark]);
    const { within: folder } = tile.querySelector(".shot-where").dataset;
    tile.setAttribute("aria-label", `${folder ? `${folder}, ` : ""}${item.name}, ${inWords(item.status)}`);
  }

  #draw(tile, item) {
    tile.dataset.path = item.path;
    tile.title = item.path;
    tile.toggleAttribute("data-video", item.isVideo);
    tile.querySelector(".shot-name").textContent = item.name;
    this.#showPlace(tile.querySelector(".shot-where"), item);
    const picture = tile.querySelector(".shot-picture");
    picture.style.scale = fillOf(item);
    picture.src = thumbnailOf(item, 256);
    picture.onerror = () => setTimeout(() => { if (tile.isConnected && tile.dataset.path === item.path) picture.src = thumbnailOf(item, 256); }, RETRY_MS);
  }

  // The folder, or when it was made where all files are in one.
  #showPlace(line, { path, modifiedAt }) {
    const folder = this.showsFolders && path.slice(this.root === "/" ? 1 : this.root.length + 1, Math.max(0, path.lastIndexOf("/")));
    if (folder) line.dataset.within = folder; else delete line.dataset.within;
    line.firstElementChild.textContent = folder || when.format(new Date(modifiedAt));
  }

  // Not for what one merely scrolls past.
  #loadSoon(place) {
    this.missing = place;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      for (const [wanted] of this.tiles) if (this.source.at(wanted) === undefined) this.source.load(wanted).catch((error) => this.#failed(error));
    }, 40);
  }

  #failed(error) {
    this.dispatchEvent(new CustomEvent("failed", { detail: error.message }));
  }

  // The cursor to `place`; `extend` keeps choosing from where one began.
  move(place, { extend = false } = {}) {
    const to = Math.max(0, Math.min(place, (this.source?.total ?? 1) - 1));
    if (extend) {
      this.anchor ??= this.cursor;
      this.picked = new Set();
      for (let at = Math.min(this.anchor, to); at <= Math.max(this.anchor, to); at += 1) this.picked.add(at);
    } else {
      this.anchor = null;
      this.picked.clear();
    }
    this.cursor = to;
    this.reveal();
    this.render();
    this.dispatchEvent(new Event("move"));
  }

  // The cursor to `place` while the grid is not to be seen: it is drawn when it is.
  stand(place) {
    this.cursor = place;
    if (this.picked.size) this.unpick();
  }

  reveal() {
    if (!this.row) return;
    const y = Math.floor(this.cursor / this.columns) * this.row;
    const view = this.frame.clientHeight;
    const wanted = y < this.top ? y : y + this.row > this.top + view ? y + this.row - view : null;
    if (wanted === null) return;
    this.top = this.#within(wanted);
    this.#align();
  }

  #clicked(event) {
    const tile = event.target.closest(".shot");
    if (!tile) return;
    const place = Number(tile.dataset.place);
    if (event.pointerType === "touch" && this.picked.size) { this.#toggle(place); return; } // one is choosing
    const isChosen = place === this.cursor && !this.picked.size;
    if (event.ctrlKey || event.metaKey) this.#toggle(place);
    else this.move(place, { extend: event.shiftKey });
    const opens = event.pointerType !== "mouse" || isChosen;
    if (opens && !event.shiftKey && !event.ctrlKey && !event.metaKey && event.detail < 2) this.dispatchEvent(new Event("open"));
  }

  #toggle(place) {
    if (this.picked.delete(place)) this.#chosen(place); else this.pick(place);
  }

  // Choose one more, from which a range may begin.
  pick(place) {
    this.picked.add(place);
    this.anchor = place;
    this.#chosen(place);
  }

  // Choose from there to `place`, beside those in `others`.
  pickTo(place, others) {
    if (place === this.cursor) return;
    this.picked = new Set(others);
    for (let at = Math.min(this.anchor, place); at <= Math.max(this.anchor, place); at += 1) this.picked.add(at);
    this.#chosen(place);
  }

  #chosen(place) {
    this.cursor = place;
    this.render();
    this.dispatchEvent(new Event("move"));
  }

  unpick() {
    this.picked.clear();
    this.anchor = null;
    this.render();
    this.dispatchEvent(new Event("move"));
  }
}
