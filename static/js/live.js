// Keeps tiles up to date: asks for their state every few seconds and swaps in a picture once it is decoded,
// so that nothing flickers and nothing jumps. Says so when the line to the server is gone.
import { shield } from "./shield.js";

const PERIOD_MS = 3000;
const LONGEST_PAUSE_MS = 60000;
const MAX_CLOSED = 300; // keys of folders that a cookie holds

const root = document.querySelector("[data-live-url]");
const notice = root?.querySelector("[data-live-notice]");
const change = document.querySelector("[data-wall-news]");
const tiles = new Map();
const waiting = new Map(); // slug → news of a tile that is out of sight
let newFolders = []; // keys of those that the page does not show
let offered = ""; // the change that the page could show
let closed = ""; // the one whose offer was closed
let failures = 0;
let timer = 0;
let asking = false;

const inSight = new Set();
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inSight.add(target); else inSight.delete(target);
    if (isIntersecting && waiting.has(target.dataset.tile)) showPicture(target, waiting.get(target.dataset.tile));
  }
}, { rootMargin: "200px" });

function announce(text, link = null) {
  notice.hidden = !text;
  notice.querySelector("[data-live-text]").textContent = text;
  const anchor = notice.querySelector("[data-live-link]");
  anchor.hidden = !link;
  if (link) { anchor.textContent = link.text; anchor.href = link.href; }
}

function showState(tile, news) {
  tile.dataset.status = news.status;
  tile.toggleAttribute("data-stale", Boolean(news.is_stale));
  tile.toggleAttribute("data-old", Boolean(news.is_old));
  tile.querySelector("[data-status-dot]").dataset.status = news.status;
  setText(tile.querySelector("[data-status-text]"), news.status_text);
  // Without a picture the page's own words stand, until there is a reason to tell.
  if (!tile.hasAttribute("data-empty")) setReason(tile, news.stale_reason, news.stale_detail);
  else if (news.stale_detail) setReason(tile, news.stale_reason || "No picture yet", news.stale_detail);
}

function setReason(tile, reason, detail) {
  setText(tile.querySelector("[data-stale-reason]"), reason);
  setText(tile.querySelector("[data-stale-detail]"), detail);
}

// The page's own picture did not load: a word in its place, and another try with each round.
function showBroken(tile) {
  tile.querySelector(".tile-picture").remove();
  tile.setAttribute("data-empty", "");
  tile.dataset.shown = "";
  setReason(tile, "This picture cannot be shown", "The server was not able to read it. Trying again every few seconds.");
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

function showBadge(news) {
  const badge = document.querySelector(".page-title .badge");
  if (!badge || tiles.size !== 1) return;
  badge.dataset.status = badge.querySelector(".dot").dataset.status = news.status;
  setText(badge.querySelector("[data-status-text]"), news.status_text);
}

// The age belongs to the picture that is shown: it changes when the picture does, not before.
function showAge(tile, pictureAt) {
  const time = tile.querySelector("time[data-age]");
  if (pictureAt) time.dateTime = pictureAt;
  document.dispatchEvent(new Event("ages"));
}

async function showPicture(tile, news) {
  waiting.delete(news.slug);
  if (!news.snapshot_url || tile.dataset.shown === news.snapshot_url) return;
  const picture = pictureLike(tile.querySelector(".tile-picture"), tile, news);
  try {
    await picture.decode();
  } catch {
    return; // a newer one was written meanwhile, or the line is bad: the next round brings the next
  }
  tile.querySelector(".tile-picture")?.remove();
  tile.querySelector(".tile-link").prepend(picture);
  tile.dataset.shown = news.snapshot_url;
  tile.removeAttribute("data-empty");
  setReason(tile, news.stale_reason, news.stale_detail);
  showAge(tile, news.picture_at);
  glow(tile);
}

function pictureLike(old, tile, news) {
  const picture = new Image(960, 640);
  picture.className = "tile-picture";
  picture.alt = `Latest picture of ${tile.dataset.name}`;
  picture.decoding = "async";
  picture.sizes = old?.sizes || "(max-width: 860px) 100vw, 420px";
  if (news.srcset) picture.srcset = news.srcset;
  picture.src = news.snapshot_url;
  return picture;
}

function glow(tile) {
  tile.classList.add("tile-fresh");
  setTimeout(() => tile.classList.remove("tile-fresh"), 800);
}

function take(news) {
  const tile = tiles.get(news.slug);
  if (!tile) return;
  showState(tile, news);
  showBadge(news);
  if (inSight.has(tile)) showPicture(tile, news); else waiting.set(news.slug, news);
}

// A camera that the answer leaves out was trashed, or no longer fits the filter: its last picture is not live.
function markMissing(list) {
  const told = new Set(list.map((news) => news.slug));
  for (const [slug, tile] of tiles) {
    if (told.has(slug)) continue;
    tile.setAttribute("data-stale", "");
    setReason(tile, "No longer in this list", "");
  }
}

// Other cameras, or uploads into another folder: the person decides when the page may change under them.
function offerChange(list, folders) {
  if (!change) return;
  const shown = root.dataset.unknownFolders.split(" ");
  newFolders = folders.filter((key) => !shown.includes(key));
  const slugs = list.map((news) => news.slug);
  if (slugs.length !== tiles.size || slugs.some((slug) => !tiles.has(slug))) offer("cameras", slugs, "The list of cameras has changed: show it");
  else offer("folders", newFolders, newFolders.length && "Show the uploads from an unknown camera");
}

function offer(kind, what, text) {
  offered = [kind, ...what].join(" ");
  change.hidden = !text || offered === closed;
  if (change.hidden) return;
  change.dataset.kind = kind;
  const link = change.querySelector("a");
  link.href = location.href;
  link.title = text;
  link.setAttribute("aria-label", text);
  setText(change.querySelector("[data-news-text]"), kind === "cameras" ? "Cameras have changed" : "Unknown camera");
}

function closeOffer() {
  closed = offered;
  change.hidden = true;
  if (change.dataset.kind === "folders") rememberClosed(newFolders);
}

// In a cookie, so that the server leaves their notice out from the first moment.
function rememberClosed(keys) {
  const name = root.dataset.closedCookie;
  const before = document.cookie.split("; ").find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
  const all = [...new Set([...(before ? before.split(".") : []), ...keys])].slice(-MAX_CLOSED);
  document.cookie = `${name}=${all.join(".")}; path=/; max-age=31536000; samesite=lax`;
}

function closeUnknown(notice) {
  rememberClosed(root.dataset.unknownFolders.split(" ").filter(Boolean));
  notice.remove();
  shield(); // the pictures moved up
}

// The Date header steps by a second: only a clock that is clearly wrong is corrected.
function learnClock(response) {
  const skewMs = Date.parse(response.headers.get("Date")) - Date.now();
  document.documentElement.dataset.clockSkewMs = Math.abs(skewMs) > 2500 ? skewMs : 0;
}

async function ask() {
  const response = await fetch(root.dataset.liveUrl, { headers: { Accept: "application/json" }, cache: "no-store", credentials: "same-origin" });
  const isJson = response.headers.get("Content-Type")?.includes("json");
  if (response.status === 401 || response.redirected || (response.ok && !isJson)) return null;
  if (!response.ok) throw new Error(`answered ${response.status}`);
  learnClock(response);
  return response.json();
}

async function round() {
  if (asking || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  try {
    const news = await ask();
    if (news) connected(news); else signedOut();
  } catch {
    lost();
  } finally {
    asking = false;
  }
}

function connected({ tiles: list, unknown_folders: unknownFolders = [] }) {
  failures = 0;
  root.removeAttribute("data-live-lost");
  announce("");
  offerChange(list, unknownFolders);
  list.forEach(take);
  markMissing(list);
  again(PERIOD_MS);
}

function signedOut() {
  root.setAttribute("data-live-lost", "");
  announce("You are signed out. These pictures no longer change.", { text: "Sign in", href: location.href });
}

function lost() {
  failures += 1;
  const pauseMs = Math.min(PERIOD_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
  again(pauseMs);
  if (failures < 2) return; // one missed answer is not worth a word
  root.setAttribute("data-live-lost", "");
  announce(`Connection lost. These are the last pictures; trying again every ${Math.round(pauseMs / 1000)} s.`, { text: "Try now", href: location.href });
}

function again(pauseMs) {
  clearTimeout(timer);
  timer = setTimeout(round, pauseMs);
}

if (root) {
  for (const tile of root.querySelectorAll("[data-tile]")) {
    tiles.set(tile.dataset.tile, tile);
    watchFirstPicture(tile);
    sight.observe(tile);
  }
  change?.querySelector("[data-news-close]").addEventListener("click", closeOffer);
  document.querySelector("[data-unknown-close]")?.addEventListener("click", (event) => closeUnknown(event.target.closest("[data-unknown]")));
  document.addEventListener("visibilitychange", round);
  addEventListener("online", round);
  again(PERIOD_MS);
}
