// Selection by touch: a long press selects one file, and dragging on selects all files up to the finger.
const PRESS_MS = 450;
const STILL_PX = 10;
const EDGE_PX = 56; // at the frame's edge, where dragging scrolls
const SCROLL_PX = 14;

export class LongPress {
  constructor(grid) {
    Object.assign(this, { grid, timer: 0, start: null, isOn: false, hasJustSelected: false });
    const { frame } = grid;
    frame.addEventListener("pointerdown", (event) => this.#onDown(event));
    frame.addEventListener("pointermove", (event) => this.#onMove(event));
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, () => this.#end());
    frame.addEventListener("touchmove", (event) => { if (this.isOn) event.preventDefault(); }, { passive: false }); // prevents scrolling
    frame.addEventListener("contextmenu", (event) => { if (this.start) event.preventDefault(); });
    // Ignore the click that ends a long press.
    frame.addEventListener("click", (event) => { if (this.hasJustSelected) { event.stopPropagation(); event.preventDefault(); this.hasJustSelected = false; } }, { capture: true });
  }

  #onDown(event) {
    this.#end();
    this.hasJustSelected = false;
    const index = event.pointerType === "touch" && event.isPrimary ? indexAt(event) : null;
    if (index === null) return;
    this.start = event;
    this.timer = setTimeout(() => this.#startSelection(index), PRESS_MS);
  }

  #startSelection(index) {
    this.isOn = true;
    this.hasJustSelected = true;
    navigator.vibrate?.(15);
    this.grid.select(index);
    this.before = new Set(this.grid.selected);
    this.#autoScroll();
  }

  #onMove(event) {
    if (!this.start || event.pointerId !== this.start.pointerId) return;
    this.at = event;
    if (!this.isOn && Math.hypot(event.clientX - this.start.clientX, event.clientY - this.start.clientY) > STILL_PX) this.#end();
    if (this.isOn) this.#extend();
  }

  #extend() {
    const index = indexAt(this.at);
    if (index !== null) this.grid.selectTo(index, this.before);
  }

  #autoScroll() {
    if (!this.isOn) return;
    const { top, bottom } = this.grid.frame.getBoundingClientRect();
    const y = this.at?.clientY ?? (top + bottom) / 2;
    const step = y < top + EDGE_PX ? -SCROLL_PX : y > bottom - EDGE_PX ? SCROLL_PX : 0;
    if (step && this.at !== this.start) { this.grid.frame.scrollTop += step; this.#extend(); }
    requestAnimationFrame(() => this.#autoScroll());
  }

  #end() {
    clearTimeout(this.timer);
    Object.assign(this, { start: null, at: null, isOn: false });
  }
}

function indexAt({ clientX, clientY }) {
  const tile = document.elementFromPoint(clientX, clientY)?.closest(".shot");
  return tile ? Number(tile.dataset.index) : null;
}
