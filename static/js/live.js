// Keeps the camera tiles up to date: polls their state every few seconds and swaps in a new picture once it is decoded,
// so that nothing flickers or moves. Shows a notice when the connection is lost.
import { shield } from "./shield.js";

const POLL_INTERVAL_MS = 3000;
const MAX_POLL_INTERVAL_MS = 60000;
const MAX_DISMISSED = 300; // folder keys stored in the cookie

const root = document.querySelector("[data-live-url]");
const notice = root?.querySelector("[data-live-notice]");
const changeNotice = document.querySelector("[data-change-notice]");
const tiles = new Map();
const pendingUpdates = new Map(); // slug → latest state of a tile that is off screen
let newFolders = []; // keys of unknown folders that the page does not show yet
let currentOffer = ""; // the change that the notice offers to show
let dismissedOffer = ""; // the change whose notice the user closed
let failures = 0;
let timer = 0;
let isPolling = false;

const visibleTiles = new Set();
const visibilityObserver = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) visibleTiles.add(target); else visibleTiles.delete(target);
    if (isIntersecting && pendingUpdates.has(target.dataset.tile)) showPicture(target, pendingUpdates.get(target.dataset.tile));
  }
}, { rootMargin: "200px" });

function showNotice(text, link = null) {
  notice.hidden = !text;
  notice.querySelector("[data-live-text]").textContent = text;
  const anchor = notice.querySelector("[data-live-link]");
  anchor.hidden = !link;
  if (link) { anchor.textContent = link.text; anchor.href = link.href; }
}

function showState(tile, update) {
  tile.dataset.status = update.status;
  tile.toggleAttribute("data-stale", Boolean(update.is_stale));
  tile.toggleAttribute("data-old", Boolean(update.is_old));
  tile.querySelector("[data-status-dot]").dataset.status = update.status;
  setText(tile.querySelector("[data-status-text]"), update.status_text);
  // A tile without a picture keeps the page's text until the server reports a reason.
  if (!tile.hasAttribute("data-empty")) setReason(tile, update.stale_reason, update.stale_detail);
  else if (update.stale_detail) setReason(tile, update.stale_reason || "No picture yet", update.stale_detail);
}

function setReason(tile, reason, detail) {
  setText(tile.querySelector("[data-stale-reason]"), reason);
  setText(tile.querySelector("[data-stale-detail]"), detail);
}

// The page's first picture did not load: show a message in its place and try again with each poll.
function showBroken(tile) {
  tile.querySelector(".tile-picture").remove();
  tile.setAttribute("data-empty", "");
  tile.dataset.shown = "";
  setReason(tile, "This picture cannot be shown", "The server was not able to read it. Retrying every few seconds.");
}

function watchFirstPicture(tile) {
  const picture = tile.querySelector(".tile-picture");
  tile.dataset.shown = picture?.getAttribute("src") ?? "";
  if (!picture) return;
  if (picture.complete && !picture.naturalWidth && picture.loading !== "lazy") showBroken(tile);
  else picture.addEventListener("error", () => { if (picture.isConnected) showBroken(tile); }, { once: true });
}

function setText(element, text = "") {
  if (element.textContent !== text) element.textContent = text;
}

function showBadge(update) {
  const badge = document.querySelector(".page-title .badge");
  if (!badge || tiles.size !== 1) return;
  badge.dataset.status = badge.querySelector(".dot").dataset.status = update.status;
  setText(badge.querySelector("[data-status-text]"), update.status_text);
}

// The age is that of the shown picture: it changes when the picture does, not before.
function showAge(tile, pictureAt) {
  const time = tile.querySelector("time[data-age]");
  if (pictureAt) time.dateTime = pictureAt;
  document.dispatchEvent(new Event("ages"));
}

async function showPicture(tile, update) {
  pendingUpdates.delete(update.slug);
  if (!update.snapshot_url || tile.dataset.shown === update.snapshot_url) return;
  const picture = createPicture(tile.querySelector(".tile-picture"), tile, update);
  try {
    await picture.decode();
  } catch {
    return; // replaced by a newer picture, or a bad connection: the next poll brings the next one
  }
  tile.querySelector(".tile-picture")?.remove();
  tile.querySelector(".tile-link").prepend(picture);
  tile.dataset.shown = update.snapshot_url;
  tile.removeAttribute("data-empty");
  setReason(tile, update.stale_reason, update.stale_detail);
  showAge(tile, update.picture_at);
  highlight(tile);
}

function createPicture(old, tile, update) {
  const picture = new Image(960, 640);
  picture.className = "tile-picture";
  picture.alt = `Latest picture of ${tile.dataset.name}`;
  picture.decoding = "async";
  picture.sizes = old?.sizes || "(max-width: 860px) 100vw, 420px";
  if (update.srcset) picture.srcset = update.srcset;
  picture.src = update.snapshot_url;
  return picture;
}

function highlight(tile) {
  tile.classList.add("tile-fresh");
  setTimeout(() => tile.classList.remove("tile-fresh"), 800);
}

function applyUpdate(update) {
  const tile = tiles.get(update.slug);
  if (!tile) return;
  showState(tile, update);
  showBadge(update);
  if (visibleTiles.has(tile)) showPicture(tile, update); else pendingUpdates.set(update.slug, update);
}

// A camera missing from the response was trashed or no longer matches the filter: its last picture is not live.
function markMissing(list) {
  const listedSlugs = new Set(list.map((update) => update.slug));
  for (const [slug, tile] of tiles) {
    if (listedSlugs.has(slug)) continue;
    tile.setAttribute("data-stale", "");
    setReason(tile, "No longer in this list", "");
  }
}

// Other cameras, or uploads into another folder: the user decides when the page may change.
function offerChange(list, folders) {
  if (!changeNotice) return;
  const shown = root.dataset.unknownFolders.split(" ");
  newFolders = folders.filter((key) => !shown.includes(key));
  const slugs = list.map((update) => update.slug);
  if (slugs.length !== tiles.size || slugs.some((slug) => !tiles.has(slug))) offer("cameras", slugs, "The list of cameras has changed: show it");
  else offer("folders", newFolders, newFolders.length && "Show the uploads from an unknown camera");
}

function offer(kind, what, text) {
  currentOffer = [kind, ...what].join(" ");
  changeNotice.hidden = !text || currentOffer === dismissedOffer;
  if (changeNotice.hidden) return;
  changeNotice.dataset.kind = kind;
  const link = changeNotice.querySelector("a");
  link.href = location.href;
  link.title = text;
  link.setAttribute("aria-label", text);
  setText(changeNotice.querySelector("[data-change-text]"), kind === "cameras" ? "Cameras have changed" : "Unknown camera");
}

function dismissOffer() {
  dismissedOffer = currentOffer;
  changeNotice.hidden = true;
  if (changeNotice.dataset.kind === "folders") storeDismissed(newFolders);
}

// Stored in a cookie, so that the server renders the page without the notice.
function storeDismissed(keys) {
  const name = root.dataset.dismissedCookie;
  const before = document.cookie.split("; ").find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
  const all = [...new Set([...(before ? before.split(".") : []), ...keys])].slice(-MAX_DISMISSED);
  document.cookie = `${name}=${all.join(".")}; path=/; max-age=31536000; samesite=lax`;
}

function closeUnknownFolders(notice) {
  storeDismissed(root.dataset.unknownFolders.split(" ").filter(Boolean));
  notice.remove();
  shield(); // the pictures moved up
}

// The Date header has a resolution of one second: only a clearly wrong clock is corrected.
function updateClockSkew(response) {
  const skewMs = Date.parse(response.headers.get("Date")) - Date.now();
  document.documentElement.dataset.clockSkewMs = Math.abs(skewMs) > 2500 ? skewMs : 0;
}

async function fetchUpdates() {
  const response = await fetch(root.dataset.liveUrl, { headers: { Accept: "application/json" }, cache: "no-store", credentials: "same-origin" });
  const isJson = response.headers.get("Content-Type")?.includes("json");
  if (response.status === 401 || response.redirected || (response.ok && !isJson)) return null;
  if (!response.ok) throw new Error(`status ${response.status}`);
  updateClockSkew(response);
  return response.json();
}

async function poll() {
  if (isPolling || document.hidden) return;
  isPolling = true;
  clearTimeout(timer);
  try {
    const updates = await fetchUpdates();
    if (updates) showConnected(updates); else showSignedOut();
  } catch {
    showConnectionLost();
  } finally {
    isPolling = false;
  }
}

function showConnected({ tiles: list, unknown_folders: unknownFolders = [] }) {
  failures = 0;
  root.removeAttribute("data-live-lost");
  showNotice("");
  offerChange(list, unknownFolders);
  list.forEach(applyUpdate);
  markMissing(list);
  schedulePoll(POLL_INTERVAL_MS);
}

function showSignedOut() {
  root.setAttribute("data-live-lost", "");
  showNotice("You are signed out. These pictures no longer change.", { text: "Sign in", href: location.href });
}

function showConnectionLost() {
  failures += 1;
  const delayMs = Math.min(POLL_INTERVAL_MS * 2 ** (failures - 1), MAX_POLL_INTERVAL_MS);
  schedulePoll(delayMs);
  if (failures < 2) return; // one missed response needs no notice
  root.setAttribute("data-live-lost", "");
  showNotice(`Connection lost. These are the last pictures. Retrying every ${Math.round(delayMs / 1000)} s.`, { text: "Try now", href: location.href });
}

function schedulePoll(delayMs) {
  clearTimeout(timer);
  timer = setTimeout(poll, delayMs);
}

if (root) {
  for (const tile of root.querySelectorAll("[data-tile]")) {
    tiles.set(tile.dataset.tile, tile);
    watchFirstPicture(tile);
    visibilityObserver.observe(tile);
  }
  changeNotice?.querySelector("[data-change-close]").addEventListener("click", dismissOffer);
  document.querySelector("[data-unknown-close]")?.addEventListener("click", (event) => closeUnknownFolders(event.target.closest("[data-unknown]")));
  document.addEventListener("visibilitychange", poll);
  addEventListener("online", poll);
  schedulePoll(POLL_INTERVAL_MS);
}
