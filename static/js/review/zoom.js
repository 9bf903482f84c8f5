// Looking closer at the picture of the stage: by wheel, by two fingers, by a double click or tap, by keys; what is
// closer than the whole is moved by dragging. The frame is enlarged, so that a better picture can come into it.
const CLOSEST = 4; // times the picture's own pixels, or the whole of a small picture
const STEP = 1.5;
const WHEEL = 0.0022; // of one pixel of the wheel; a pinch on a touchpad comes as small turns with Ctrl
const PINCH_WHEEL = 0.012;
const LINE_PX = 18;
const TAP_MS = 320;
const TAP_PX = 30;
const STILL_PX = 12; // a finger is never quite at rest

const apart = (one, other) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
const middle = (one, other) => ({ clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 });

// Events: `change`, when it is another scale.
export class Zoom extends EventTarget {
  #pointers = new Map();

  // `pixels()` is how wide the picture is in its own pixels, 0 where there is nothing to look closer at.
  constructor(stage, frame, pixels) {
    super();
    Object.assign(this, { stage, frame, pixels, scale: 1, x: 0, y: 0, isHeld: false, pointer: null, start: null, tap: null });
    stage.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
    stage.addEventListener("dblclick", (event) => { if (this.pointer?.pointerType === "mouse") this.toggle(event); });
    stage.addEventListener("pointerdown", (event) => this.#press(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.#release(event));
    new ResizeObserver(() => this.#apply()).observe(stage);
  }

  get isClose() { return this.scale > 1; }

  get isPinched() { return this.#pointers.size > 1; }

  // One pixel of the picture on one of the screen.
  get actual() { return Math.max(1, this.pixels() / (this.frame.clientWidth * devicePixelRatio || Infinity)); }

  whole() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.#apply();
    this.dispatchEvent(new Event("change"));
  }

  closer() { this.#to(this.scale * STEP); }

  farther() { this.#to(this.scale / STEP); }

  toggle(at = this.pointer) { this.#to(this.isClose ? 1 : Math.max(this.actual, 2), at); }

  // For as long as a key is held, around where the pointer is.
  hold(on) {
    if (on === this.isHeld) return;
    this.isHeld = on;
    this.#to(on ? this.actual : 1, this.pointer);
    this.stage.toggleAttribute("data-zoom", on || this.isClose);
  }

  // To `scale`, with what is at `at` staying there.
  #to(scale, at = null) {
    if (!this.pixels()) return;
    const to = Math.max(1, Math.min(scale, Math.max(CLOSEST, CLOSEST * this.actual)));
    const box = this.stage.getBoundingClientRect();
    const [x, y] = at ? [at.clientX - box.x - box.width / 2, at.clientY - box.y - box.height / 2] : [0, 0];
    this.x = x - ((x - this.x) * to) / this.scale;
    this.y = y - ((y - this.y) * to) / this.scale;
    this.scale = to < 1.01 ? 1 : to;
    this.#apply();
    this.dispatchEvent(new Event("change"));
  }

  // No side of the picture comes further in than the stage's.
  #apply() {
    const room = (inner, outer) => Math.max(0, (inner * this.scale - outer) / 2);
    const [mostX, mostY] = [room(this.frame.clientWidth, this.stage.clientWidth), room(this.frame.clientHeight, this.stage.clientHeight)];
    this.x = Math.max(-mostX, Math.min(this.x, mostX));
    this.y = Math.max(-mostY, Math.min(this.y, mostY));
    this.frame.style.transform = this.isClose ? `translate(${this.x}px, ${this.y}px) scale(${this.scale})` : "";
    this.stage.toggleAttribute("data-zoom", this.isClose || this.isHeld);
  }

  #turn(event) {
    event.preventDefault(); // with Ctrl the browser would enlarge the whole page
    if (!this.pixels()) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    this.#to(this.scale * Math.exp(-event.deltaY * lines * (event.ctrlKey ? PINCH_WHEEL : WHEEL)), event);
  }

  #press(event) {
    if (!this.pixels() || event.button || event.target.closest("button, a")) return;
    this.#pointers.set(event.pointerId, event);
    this.pointer = event;
    this.start = this.isPinched ? null : event;
    if (this.isClose) event.preventDefault();
  }

  // The second tap in a row at one place.
  #tapped(event) {
    const before = this.tap;
    this.tap = event;
    if (!before || event.timeStamp - before.timeStamp > TAP_MS || apart(before, event) > TAP_PX) return;
    this.tap = null;
    this.toggle(event);
  }

  #move(event) {
    this.pointer = event;
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.#pointers.values()].find((one) => one.pointerId !== event.pointerId);
    this.#pointers.set(event.pointerId, event);
    if (other) this.#pinch(before, event, other);
    else if (this.isClose) this.#drag(event.clientX - before.clientX, event.clientY - before.clientY, event);
  }

  #pinch(before, event, other) {
    const [was, is] = [middle(before, other), middle(event, other)];
    this.x += is.clientX - was.clientX;
    this.y += is.clientY - was.clientY;
    this.#to((this.scale * apart(event, other)) / Math.max(1, apart(before, other)), is);
  }

  #drag(x, y, { pointerId }) {
    this.x += x;
    this.y += y;
    this.#apply();
    if (!this.stage.hasPointerCapture(pointerId)) this.stage.setPointerCapture(pointerId);
  }

  #release(event) {
    this.#pointers.delete(event.pointerId);
    const { start } = this;
    if (event.type !== "pointerup" || event.pointerType === "mouse" || start?.pointerId !== event.pointerId) return;
    this.start = null;
    if (apart(start, event) < STILL_PX) this.#tapped(event); else this.tap = null;
  }
}
