// Choosing by touch: a long press chooses one, and dragging on from there chooses all up to the finger.
const PRESS_MS = 450;
const STILL_PX = 10;
const EDGE_PX = 56; // of the frame: there it scrolls on
const SCROLL_PX = 14;

export class LongPress {
  constructor(grid) {
    Object.assign(this, { grid, timer: 0, start: null, isOn: false, hasJustChosen: false });
    const { frame } = grid;
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#moved(event));
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, () => this.#end());
    frame.addEventListener("touchmove", (event) => { if (this.isOn) event.preventDefault(); }, { passive: false }); // else it scrolls
    frame.addEventListener("contextmenu", (event) => { if (this.start) event.preventDefault(); });
    // The click with which a press ends.
    frame.addEventListener("click", (event) => { if (this.hasJustChosen) { event.stopPropagation(); event.preventDefault(); this.hasJustChosen = false; } }, { capture: true });
  }

  #down(event) {
    this.#end();
    this.hasJustChosen = false;
    const place = event.pointerType === "touch" && event.isPrimary ? placeAt(event) : null;
    if (place === null) return;
    this.start = event;
    this.timer = setTimeout(() => this.#choose(place), PRESS_MS);
  }

  #choose(place) {
    this.isOn = true;
    this.hasJustChosen = true;
    navigator.vibrate?.(15);
    this.grid.pick(place);
    this.before = new Set(this.grid.picked);
    this.#scrollOn();
  }

  #moved(event) {
    if (!this.start || event.pointerId !== this.start.pointerId) return;
    this.at = event;
    if (!this.isOn && Math.hypot(event.clientX - this.start.clientX, event.clientY - this.start.clientY) > STILL_PX) this.#end();
    if (this.isOn) this.#extend();
  }

  #extend() {
    const place = placeAt(this.at);
    if (place !== null) this.grid.pickTo(place, this.before);
  }

  #scrollOn() {
    if (!this.isOn) return;
    const { top, bottom } = this.grid.frame.getBoundingClientRect();
    const y = this.at?.clientY ?? (top + bottom) / 2;
    const step = y < top + EDGE_PX ? -SCROLL_PX : y > bottom - EDGE_PX ? SCROLL_PX : 0;
    if (step && this.at !== this.start) { this.grid.frame.scrollTop += step; this.#extend(); }
    requestAnimationFrame(() => this.#scrollOn());
  }

  #end() {
    clearTimeout(this.timer);
    Object.assign(this, { start: null, at: null, isOn: false });
  }
}

function placeAt({ clientX, clientY }) {
  const tile = document.elementFromPoint(clientX, clientY)?.closest(".shot");
  return tile ? Number(tile.dataset.place) : null;
}
