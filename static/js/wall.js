// The wall by hand: number keys, full screen, and an order of one's own that this browser remembers.
const wall = document.querySelector("[data-wall]");
const stage = document.querySelector("[data-wall-stage]");
const arrangeButton = document.querySelector("[data-wall-arrange]");
const resetButton = document.querySelector("[data-wall-reset]");
const said = document.querySelector("[data-wall-said]");
const ORDER_KEY = "nvr.wall.order";
const ASPECT = 3 / 2;

const items = () => [...wall.children];
const slugOf = (item) => item.dataset.wallItem;
const nameOf = (item) => item.querySelector("[data-tile]").dataset.name;
const isArranging = () => wall.hasAttribute("data-arranging");
const byDefault = wall ? items() : [];

// Order
function rememberedOrder() {
  try { return JSON.parse(localStorage.getItem(ORDER_KEY)) ?? []; } catch { return []; }
}

// A filtered wall shows some cameras only: the others keep their places behind those they stood behind.
function remember() {
  const here = items().map(slugOf);
  const elsewhere = rememberedOrder().filter((slug) => !here.includes(slug));
  try { localStorage.setItem(ORDER_KEY, JSON.stringify([...here, ...elsewhere])); } catch { /* it then lasts as long as the page */ }
  resetButton.hidden = false;
}

function restoreOrder() {
  const order = rememberedOrder();
  if (!Array.isArray(order) || !order.length) return;
  const place = (item) => { const at = order.indexOf(slugOf(item)); return at < 0 ? order.length : at; };
  wall.append(...items().sort((a, b) => place(a) - place(b)));
}

function forgetOrder() {
  try { localStorage.removeItem(ORDER_KEY); } catch { /* nothing was kept */ }
  wall.append(...byDefault);
  number();
  resetButton.hidden = true;
  said.textContent = "The cameras are sorted by name again.";
}

function equip(item) {
  item.append(document.querySelector("[data-wall-tools]").content.cloneNode(true));
  item.querySelector('[data-move="-1"]').setAttribute("aria-label", `Move ${nameOf(item)} earlier`);
  item.querySelector('[data-move="1"]').setAttribute("aria-label", `Move ${nameOf(item)} later`);
}

function number() {
  items().forEach((item, at, all) => {
    item.querySelector("[data-wall-number]").textContent = at < 9 ? String(at + 1) : "";
    item.querySelector("[data-wall-number]").hidden = at > 8;
    item.querySelector('[data-move="-1"]').disabled = at === 0;
    item.querySelector('[data-move="1"]').disabled = at === all.length - 1;
  });
}

function place(item, at) {
  const others = items().filter((other) => other !== item);
  wall.insertBefore(item, others[at] ?? null);
  number();
  remember();
}

function moveBy(item, step, button) {
  const at = items().indexOf(item) + step;
  if (at < 0 || at >= wall.children.length) return;
  place(item, at);
  said.textContent = `${nameOf(item)} is now ${at + 1} of ${wall.children.length}.`;
  if (button.disabled) item.querySelector("[data-move]:not(:disabled):not([data-move=drag])").focus();
  else button.focus();
}

// Arranging
function arrange(on) {
  wall.toggleAttribute("data-arranging", on);
  arrangeButton.setAttribute("aria-pressed", String(on));
  arrangeButton.setAttribute("aria-label", on ? "Done arranging" : "Arrange");
  arrangeButton.querySelector("[data-label]").textContent = on ? "Done" : "Arrange";
  resetButton.hidden = !on || !rememberedOrder().length;
  said.textContent = on ? "Drag the pictures, or move them with their buttons." : "";
}

function startDrag(event) {
  const handle = event.target.closest("[data-move=drag]");
  const item = event.target.closest("[data-wall-item]");
  if (!isArranging() || !item || event.button !== 0) return;
  if (!handle && (event.pointerType !== "mouse" || event.target.closest("button"))) return;
  event.preventDefault();
  follow(item, event.pointerId);
}

function follow(item, pointerId) {
  const follower = new AbortController();
  const { signal } = follower;
  item.setAttribute("data-dragged", "");
  addEventListener("pointermove", (move) => { if (move.pointerId === pointerId) dragOver(item, move); }, { signal });
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    addEventListener(end, () => { item.removeAttribute("data-dragged"); follower.abort(); }, { signal });
  }
}

function dragOver(item, { clientX, clientY }) {
  const under = document.elementFromPoint(clientX, clientY)?.closest("[data-wall-item]");
  if (!under || under === item) return;
  place(item, items().indexOf(under));
}

// Full screen
function fitColumns() {
  const count = wall.children.length;
  const { clientWidth: width, clientHeight: height } = stage;
  const tileWidth = (columns) => Math.min(width / columns, (height / Math.ceil(count / columns)) * ASPECT);
  let best = 1;
  for (let columns = 2; columns <= count; columns += 1) if (tileWidth(columns) > tileWidth(best)) best = columns;
  wall.style.setProperty("--columns", best);
}

let wakeLock = null;

async function toggleFullscreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  await stage.requestFullscreen();
  try { wakeLock = await navigator.wakeLock?.request("screen"); } catch { /* a battery that is low may refuse */ }
}

function fullscreenChanged() {
  fitColumns();
  if (document.fullscreenElement) return;
  wakeLock?.release();
  wakeLock = null;
}

// Keys
const KEYS = {
  f: toggleFullscreen,
  a: () => arrange(!isArranging()),
  escape: () => { if (isArranging()) arrange(false); },
};

function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, [contenteditable]");
}

function pressed(event) {
  if (isTyping(event) || document.querySelector("dialog[open]")) return;
  if (/^[1-9]$/.test(event.key)) items()[Number(event.key) - 1]?.querySelector(".tile-link").click();
  else KEYS[event.key.toLowerCase()]?.();
}

if (wall) {
  byDefault.forEach(equip);
  restoreOrder();
  number();
  arrangeButton.addEventListener("click", () => arrange(!isArranging()));
  resetButton.addEventListener("click", forgetOrder);
  document.querySelector("[data-wall-fullscreen]").addEventListener("click", toggleFullscreen);
  document.addEventListener("fullscreenchange", fullscreenChanged);
  addEventListener("resize", () => { if (document.fullscreenElement) fitColumns(); });
  document.addEventListener("keydown", pressed);
  wall.addEventListener("pointerdown", startDrag);
  wall.addEventListener("dragstart", (event) => { if (isArranging()) event.preventDefault(); });
  wall.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (button && button.dataset.move !== "drag") moveBy(button.closest("[data-wall-item]"), Number(button.dataset.move), button);
  });
}
