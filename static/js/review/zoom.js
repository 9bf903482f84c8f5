// Zooms the picture on the stage by wheel, pinch, double click or double tap, and keys; a zoomed picture can be dragged.
// The frame is scaled, not the picture, so that a better picture can replace the one in it.
const MAX_SCALE = 4; // times the picture's own pixels, or times the fitted size for a small picture
const STEP = 1.5;
const WHEEL = 0.0022; // per wheel pixel; a touchpad pinch arrives as small wheel events with Ctrl
const PINCH_WHEEL = 0.012;
const LINE_PX = 18;
const TAP_MS = 320;
const TAP_PX = 30;
const TAP_TOLERANCE_PX = 12; // tolerance: a finger is never perfectly still

const distance = (one, other) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
const midpoint = (one, other) => ({ clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 });

// Events: `change`, when the scale has changed.
export class Zoom extends EventTarget {
  #pointers = new Map();

  // `pixels()` returns the width of the picture in its own pixels, 0 if there is nothing to zoom.
  constructor(stage, frame, pixels) {
    super();
    Object.assign(this, { stage, frame, pixels, scale: 1, x: 0, y: 0, isHeld: false, pointer: null, start: null, tap: null });
    stage.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => { if (this.pointer?.pointerType === "mouse") this.toggle(event); });
    stage.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    stage.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.#onPointerUp(event));
    new ResizeObserver(() => this.#apply()).observe(stage);
  }

  get isZoomed() { return this.scale > 1; }

  get isPinched() { return this.#pointers.size > 1; }

  // The scale at which one picture pixel is one screen pixel (100 %).
  get fullScale() { return Math.max(1, this.pixels() / (this.frame.clientWidth * devicePixelRatio || Infinity)); }

  fit() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.#apply();
    this.dispatchEvent(new Event("change"));
  }

  zoomIn() { this.#zoomTo(this.scale * STEP); }

  zoomOut() { this.#zoomTo(this.scale / STEP); }

  toggle(at = this.pointer) { this.#zoomTo(this.isZoomed ? 1 : Math.max(this.fullScale, 2), at); }

  // Zoom to 100 % at the pointer while a key is held.
  hold(on) {
    if (on === this.isHeld) return;
    this.isHeld = on;
    this.#zoomTo(on ? this.fullScale : 1, this.pointer);
    this.stage.toggleAttribute("data-zoom", on || this.isZoomed);
  }

  // Zoom to `scale`, keeping the point `at` in place.
  #zoomTo(scale, at = null) {
    if (!this.pixels()) return;
    const to = Math.max(1, Math.min(scale, Math.max(MAX_SCALE, MAX_SCALE * this.fullScale)));
    const box = this.stage.getBoundingClientRect();
    const [x, y] = at ? [at.clientX - box.x - box.width / 2, at.clientY - box.y - box.height / 2] : [0, 0];
    this.x = x - ((x - this.x) * to) / this.scale;
    this.y = y - ((y - this.y) * to) / this.scale;
    this.scale = to < 1.01 ? 1 : to;
    this.#apply();
    this.dispatchEvent(new Event("change"));
  }

  // Limit the offset, so that the picture's edges stay outside the stage or at its edges.
  #apply() {
    const maxOffset = (inner, outer) => Math.max(0, (inner * this.scale - outer) / 2);
    const [maxX, maxY] = [maxOffset(this.frame.clientWidth, this.stage.clientWidth), maxOffset(this.frame.clientHeight, this.stage.clientHeight)];
    this.x = Math.max(-maxX, Math.min(this.x, maxX));
    this.y = Math.max(-maxY, Math.min(this.y, maxY));
    this.frame.style.transform = this.isZoomed ? `translate(${this.x}px, ${this.y}px) scale(${this.scale})` : "";
    this.stage.toggleAttribute("data-zoom", this.isZoomed || this.isHeld);
  }

  #onWheel(event) {
    event.preventDefault(); // with Ctrl the browser would enlarge the whole page
    if (!this.pixels()) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    this.#zoomTo(this.scale * Math.exp(-event.deltaY * lines * (event.ctrlKey ? PINCH_WHEEL : WHEEL)), event);
  }

  #onPointerDown(event) {
    if (!this.pixels() || event.button || event.target.closest("button, a")) return;
    this.#pointers.set(event.pointerId, event);
    this.pointer = event;
    this.start = this.isPinched ? null : event;
    if (this.isZoomed) event.preventDefault();
  }

  // Toggles the zoom on a double tap.
  #tapped(event) {
    const before = this.tap;
    this.tap = event;
    if (!before || event.timeStamp - before.timeStamp > TAP_MS || distance(before, event) > TAP_PX) return;
    this.tap = null;
    this.toggle(event);
  }

  #onPointerMove(event) {
    this.pointer = event;
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.#pointers.values()].find((one) => one.pointerId !== event.pointerId);
    this.#pointers.set(event.pointerId, event);
    if (other) this.#pinch(before, event, other);
    else if (this.isZoomed) this.#drag(event.clientX - before.clientX, event.clientY - before.clientY, event);
  }

  #pinch(before, event, other) {
    const [was, is] = [midpoint(before, other), midpoint(event, other)];
    this.x += is.clientX - was.clientX;
    this.y += is.clientY - was.clientY;
    this.#zoomTo((this.scale * distance(event, other)) / Math.max(1, distance(before, other)), is);
  }

  #drag(x, y, { pointerId }) {
    this.x += x;
    this.y += y;
    this.#apply();
    if (!this.stage.hasPointerCapture(pointerId)) this.stage.setPointerCapture(pointerId);
  }

  #onPointerUp(event) {
    this.#pointers.delete(event.pointerId);
    const { start } = this;
    if (event.type !== "pointerup" || event.pointerType === "mouse" || start?.pointerId !== event.pointerId) return;
    this.start = null;
    if (distance(start, event) < TAP_TOLERANCE_PX) this.#tapped(event); else this.tap = null;
  }
}
