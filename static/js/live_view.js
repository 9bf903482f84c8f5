// Live view controls: number keys, full screen, and a custom order of the cameras that this browser remembers.
const grid = document.querySelector("[data-live-view]");
const stage = document.querySelector("[data-live-view-stage]");
const arrangeButton = document.querySelector("[data-live-view-arrange]");
const resetButton = document.querySelector("[data-live-view-reset]");
const liveRegion = document.querySelector("[data-live-region]");
const ORDER_KEY = "nvr.live_view.order";
const ASPECT = 3 / 2;

const items = () => [...grid.children];
const slugOf = (item) => item.dataset.liveViewItem;
const nameOf = (item) => item.querySelector("[data-tile]").dataset.name;
const isArranging = () => grid.hasAttribute("data-arranging");
const defaultOrder = grid ? items() : [];

// Order
function storedOrder() {
  try { return JSON.parse(localStorage.getItem(ORDER_KEY)) ?? []; } catch { return []; }
}

// A filtered live view shows only some cameras: the others keep their order and come after them.
function storeOrder() {
  const here = items().map(slugOf);
  const elsewhere = storedOrder().filter((slug) => !here.includes(slug));
  try { localStorage.setItem(ORDER_KEY, JSON.stringify([...here, ...elsewhere])); } catch { /* without storage, the order lasts until the page is left */ }
  resetButton.hidden = false;
}

function restoreOrder() {
  const order = storedOrder();
  if (!Array.isArray(order) || !order.length) return;
  const rank = (item) => { const at = order.indexOf(slugOf(item)); return at < 0 ? order.length : at; };
  grid.append(...items().sort((a, b) => rank(a) - rank(b)));
}

function resetOrder() {
  try { localStorage.removeItem(ORDER_KEY); } catch { /* nothing was stored */ }
  grid.append(...defaultOrder);
  numberTiles();
  resetButton.hidden = true;
  liveRegion.textContent = "The cameras are sorted by name again.";
}

function addTools(item) {
  item.append(document.querySelector("[data-live-view-tools]").content.cloneNode(true));
  item.querySelector('[data-move="-1"]').setAttribute("aria-label", `Move ${nameOf(item)} earlier`);
  item.querySelector('[data-move="1"]').setAttribute("aria-label", `Move ${nameOf(item)} later`);
}

function numberTiles() {
  items().forEach((item, at, all) => {
    item.querySelector("[data-live-view-number]").textContent = at < 9 ? String(at + 1) : "";
    item.querySelector("[data-live-view-number]").hidden = at > 8;
    item.querySelector('[data-move="-1"]').disabled = at === 0;
    item.querySelector('[data-move="1"]').disabled = at === all.length - 1;
  });
}

function moveTo(item, at) {
  const others = items().filter((other) => other !== item);
  grid.insertBefore(item, others[at] ?? null);
  numberTiles();
  storeOrder();
}

function moveBy(item, step, button) {
  const at = items().indexOf(item) + step;
  if (at < 0 || at >= grid.children.length) return;
  moveTo(item, at);
  liveRegion.textContent = `${nameOf(item)} is now ${at + 1} of ${grid.children.length}.`;
  if (button.disabled) item.querySelector("[data-move]:not(:disabled):not([data-move=drag])").focus();
  else button.focus();
}

// Arranging
function setArranging(on) {
  grid.toggleAttribute("data-arranging", on);
  arrangeButton.setAttribute("aria-pressed", String(on));
  arrangeButton.setAttribute("aria-label", on ? "Done arranging" : "Arrange");
  arrangeButton.querySelector("[data-label]").textContent = on ? "Done" : "Arrange";
  resetButton.hidden = !on || !storedOrder().length;
  liveRegion.textContent = on ? "Drag the pictures, or move them with their buttons." : "";
}

function startDrag(event) {
  const handle = event.target.closest("[data-move=drag]");
  const item = event.target.closest("[data-live-view-item]");
  if (!isArranging() || !item || event.button !== 0) return;
  if (!handle && (event.pointerType !== "mouse" || event.target.closest("button"))) return;
  event.preventDefault();
  trackDrag(item, event.pointerId);
}

function trackDrag(item, pointerId) {
  const listeners = new AbortController();
  const { signal } = listeners;
  item.setAttribute("data-dragged", "");
  addEventListener("pointermove", (move) => { if (move.pointerId === pointerId) dragOver(item, move); }, { signal });
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    addEventListener(end, () => { item.removeAttribute("data-dragged"); listeners.abort(); }, { signal });
  }
}

function dragOver(item, { clientX, clientY }) {
  const under = document.elementFromPoint(clientX, clientY)?.closest("[data-live-view-item]");
  if (!under || under === item) return;
  moveTo(item, items().indexOf(under));
}

// Full screen
function fitColumns() {
  const count = grid.children.length;
  const { clientWidth: width, clientHeight: height } = stage;
  const tileWidth = (columns) => Math.min(width / columns, (height / Math.ceil(count / columns)) * ASPECT);
  let best = 1;
  for (let columns = 2; columns <= count; columns += 1) if (tileWidth(columns) > tileWidth(best)) best = columns;
  grid.style.setProperty("--columns", best);
}

let wakeLock = null;

async function toggleFullscreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  await stage.requestFullscreen();
  try { wakeLock = await navigator.wakeLock?.request("screen"); } catch { /* may be refused when the battery is low */ }
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
  a: () => setArranging(!isArranging()),
  escape: () => { if (isArranging()) setArranging(false); },
};

function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, [contenteditable]");
}

function onKeydown(event) {
  if (isTyping(event) || document.querySelector("dialog[open]")) return;
  if (/^[1-9]$/.test(event.key)) items()[Number(event.key) - 1]?.querySelector(".tile-link").click();
  else KEYS[event.key.toLowerCase()]?.();
}

if (grid) {
  defaultOrder.forEach(addTools);
  restoreOrder();
  numberTiles();
  arrangeButton.addEventListener("click", () => setArranging(!isArranging()));
  resetButton.addEventListener("click", resetOrder);
  document.querySelector("[data-live-view-fullscreen]").addEventListener("click", toggleFullscreen);
  document.addEventListener("fullscreenchange", fullscreenChanged);
  addEventListener("resize", () => { if (document.fullscreenElement) fitColumns(); });
  document.addEventListener("keydown", onKeydown);
  grid.addEventListener("pointerdown", startDrag);
  grid.addEventListener("dragstart", (event) => { if (isArranging()) event.preventDefault(); });
  grid.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (button && button.dataset.move !== "drag") moveBy(button.closest("[data-live-view-item]"), Number(button.dataset.move), button);
  });
}
