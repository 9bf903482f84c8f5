// A virtual grid: only visible tiles exist, however many files there are. It is a listbox, so that screen readers announce
// the cursor's position among all files.
import { thumbnailScale, thumbnailUrl } from "./api.js";
import { LongPress } from "./long_press.js";
import { describeStatus } from "./status.js";

const MIN_TILE_WIDTH_PX = 148;
const GAP_PX = 8;
const CAPTION_PX = 42;
const MAX_HEIGHT_PX = 8_000_000; // limit of browsers for an element's height: in longer lists, one pixel of scrolling stands for several
const OVERSCAN_ROWS = 2;
const when = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const RETRY_MS = 3000; // retry delay for a thumbnail that failed to load because the server was busy

// Events: `open` (a tile was opened), `move` (the cursor or the selection has changed).
export class Grid extends EventTarget {
  constructor(frame, element, template, root) {
    super();
    Object.assign(this, { frame, element, template, root, cursor: 0, anchor: null, selected: new Set(), tiles: new Map(), source: null });
    this.top = 0; // offset of the view, in pixels of the whole list
    this.scrolled = 0; // the frame's scrollTop when `top` was computed from it
    frame.addEventListener("scroll", () => this.#scroll(), { passive: true });
    frame.addEventListener("scrollend", () => this.#alignScrollBar());
    new ResizeObserver(() => this.layOut()).observe(frame);
    this.press = new LongPress(this);
    element.addEventListener("click", (event) => this.#clicked(event));
    element.addEventListener("dblclick", (event) => { if (event.target.closest(".shot")) this.dispatchEvent(new Event("open")); });
  }

  show(source, showsFolders) {
    this.clear();
    this.showsFolders ||= showsFolders;
    this.source = source;
    this.clearSelection();
    source.addEventListener("change", () => { if (source === this.source) this.layOut(); });
    this.layOut();
  }

  // Show each file's folder from now on: names may repeat in several folders.
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
    const firstIndex = this.row ? (this.top / this.row) * this.columns : 0;
    const before = this.height;
    this.columns = Math.max(2, Math.floor((width + GAP_PX) / (MIN_TILE_WIDTH_PX + GAP_PX)));
    this.width = (width - GAP_PX * (this.columns - 1)) / this.columns;
    this.row = Math.round(this.width * 0.75) + CAPTION_PX + GAP_PX;
    const rows = Math.ceil(this.source.total / this.columns);
    this.fullHeight = rows * this.row;
    this.height = Math.min(this.fullHeight, MAX_HEIGHT_PX);
    this.top = this.#clampTop((firstIndex / this.columns) * this.row);
    if (this.height !== before) {
      this.element.style.height = `${this.height}px`;
      this.#alignScrollBar();
    }
    this.render();
  }

  // In a list taller than the limit, wheel and touch still scroll pixel by pixel; only dragging the scroll bar is coarser.
  #scroll() {
    const [now, rest] = [this.frame.scrollTop, this.#scrollRange];
    const moved = now - this.scrolled;
    const isStep = this.fullHeight > this.height && Math.abs(moved) < this.frame.clientHeight;
    this.top = this.#clampTop(isStep ? this.top + moved : now * this.#scale);
    this.scrolled = now;
    if (isStep && (now <= 0 || now >= rest - 1)) this.#alignScrollBar(); // there is more than the frame can scroll
    this.render();
  }

  get #scrollRange() { return Math.max(1, this.height - this.frame.clientHeight); }

  get #scale() { return Math.max(0, this.fullHeight - this.frame.clientHeight) / this.#scrollRange; }

  #clampTop(top) { return Math.max(0, Math.min(top, this.fullHeight - this.frame.clientHeight)); }

  // Move the scroll bar to match `top`.
  #alignScrollBar() {
    if (!this.row || !this.frame.clientHeight) return;
    const scrollTop = this.#scale ? this.top / this.#scale : 0;
    if (Math.abs(this.frame.scrollTop - scrollTop) >= 1) this.frame.scrollTop = scrollTop;
    this.scrolled = this.frame.scrollTop;
    this.render();
  }

  render() {
    if (!this.source || !this.columns) return;
    const { top } = this;
    const first = Math.max(0, (Math.floor(top / this.row) - OVERSCAN_ROWS) * this.columns);
    const last = Math.min(this.source.total, (Math.ceil((top + this.frame.clientHeight) / this.row) + OVERSCAN_ROWS) * this.columns);
    for (const [index, tile] of this.tiles) if (index < first || index >= last) { tile.remove(); this.tiles.delete(index); }
    for (let index = first; index < last; index += 1) this.#positionTile(index, top);
    this.element.setAttribute("aria-activedescendant", `shot-${this.cursor}`);
  }

  #positionTile(index, top) {
    let tile = this.tiles.get(index);
    if (!tile) {
      tile = this.template.content.firstElementChild.cloneNode(true);
      Object.assign(tile, { id: `shot-${index}` });
      tile.dataset.index = index;
      this.tiles.set(index, tile);
      this.element.append(tile);
    }
    const y = Math.round(Math.floor(index / this.columns) * this.row - top + this.scrolled);
    tile.style.width = `${this.width}px`;
    tile.style.height = `${this.row - GAP_PX}px`;
    tile.style.transform = `translate(${(index % this.columns) * (this.width + GAP_PX)}px, ${y}px)`;
    this.#updateTile(tile, index);
  }

  #updateTile(tile, index) {
    const item = this.source.at(index);
    tile.classList.toggle("shot-empty", !item);
    tile.toggleAttribute("data-cursor", index === this.cursor);
    tile.setAttribute("aria-selected", String(this.selected.has(index)));
    tile.setAttribute("aria-setsize", this.source.total);
    tile.setAttribute("aria-posinset", index + 1);
    if (item === undefined) this.#loadSoon(index);
    if (!item) return;
    if (tile.dataset.path !== item.path) this.#drawTile(tile, item);
    for (const mark of ["seen", "locked", "trashed"]) tile.toggleAttribute(`data-${mark}`, item.status[mark]);
    const { subfolder: folder } = tile.querySelector(".shot-folder").dataset;
    tile.setAttribute("aria-label", `${folder ? `${folder}, ` : ""}${item.name}, ${describeStatus(item.status)}`);
  }

  #drawTile(tile, item) {
    tile.dataset.path = item.path;
    tile.title = item.path;
    tile.toggleAttribute("data-video", item.isVideo);
    tile.querySelector(".shot-name").textContent = item.name;
    this.#showFolder(tile.querySelector(".shot-folder"), item);
    const picture = tile.querySelector(".shot-picture");
    picture.style.scale = thumbnailScale(item);
    picture.src = thumbnailUrl(item, 256);
    picture.onerror = () => setTimeout(() => { if (tile.isConnected && tile.dataset.path === item.path) picture.src = thumbnailUrl(item, 256); }, RETRY_MS);
  }

  // Show the folder, or the modification time if all files are in one folder.
  #showFolder(line, { path, modifiedAt }) {
    const folder = this.showsFolders && path.slice(this.root === "/" ? 1 : this.root.length + 1, Math.max(0, path.lastIndexOf("/")));
    if (folder) line.dataset.subfolder = folder; else delete line.dataset.subfolder;
    line.firstElementChild.textContent = folder || when.format(new Date(modifiedAt));
  }

  // Delayed, so that tiles that are only scrolled past are not loaded.
  #loadSoon(index) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      for (const [shown] of this.tiles) if (this.source.at(shown) === undefined) this.source.load(shown).catch((error) => this.#failed(error));
    }, 40);
  }

  #failed(error) {
    this.dispatchEvent(new CustomEvent("failed", { detail: error.message }));
  }

  // Move the cursor to `index`; `extend` extends the selection from its anchor.
  move(index, { extend = false } = {}) {
    const to = Math.max(0, Math.min(index, (this.source?.total ?? 1) - 1));
    if (extend) {
      this.anchor ??= this.cursor;
      this.selected = new Set();
      for (let at = Math.min(this.anchor, to); at <= Math.max(this.anchor, to); at += 1) this.selected.add(at);
    } else {
      this.anchor = null;
      this.selected.clear();
    }
    this.cursor = to;
    this.reveal();
    this.render();
    this.dispatchEvent(new Event("move"));
  }

  // Move the cursor to `index` while the grid is hidden; it is drawn when the grid is shown.
  moveHidden(index) {
    this.cursor = index;
    if (this.selected.size) this.clearSelection();
  }

  reveal() {
    if (!this.row) return;
    const y = Math.floor(this.cursor / this.columns) * this.row;
    const view = this.frame.clientHeight;
    const top = y < this.top ? y : y + this.row > this.top + view ? y + this.row - view : null;
    if (top === null) return;
    this.top = this.#clampTop(top);
    this.#alignScrollBar();
  }

  #clicked(event) {
    const tile = event.target.closest(".shot");
    if (!tile) return;
    const index = Number(tile.dataset.index);
    if (event.pointerType === "touch" && this.selected.size) { this.#toggle(index); return; } // selection mode
    const isCurrent = index === this.cursor && !this.selected.size;
    if (event.ctrlKey || event.metaKey) this.#toggle(index);
    else this.move(index, { extend: event.shiftKey });
    const opens = event.pointerType !== "mouse" || isCurrent;
    if (opens && !event.shiftKey && !event.ctrlKey && !event.metaKey && event.detail < 2) this.dispatchEvent(new Event("open"));
  }

  #toggle(index) {
    if (this.selected.delete(index)) this.#selectionChanged(index); else this.select(index);
  }

  // Add one file to the selection and make it the anchor of a range.
  select(index) {
    this.selected.add(index);
    this.anchor = index;
    this.#selectionChanged(index);
  }

  // Select from the anchor to `index`, in addition to `others`.
  selectTo(index, others) {
    if (index === this.cursor) return;
    this.selected = new Set(others);
    for (let at = Math.min(this.anchor, index); at <= Math.max(this.anchor, index); at += 1) this.selected.add(at);
    this.#selectionChanged(index);
  }

  #selectionChanged(index) {
    this.cursor = index;
    this.render();
    this.dispatchEvent(new Event("move"));
  }

  clearSelection() {
    this.selected.clear();
    this.anchor = null;
    this.render();
    this.dispatchEvent(new Event("move"));
  }
}
