// The review of one folder: the grid and the full screen over the same list, one cursor, one queue, one undo stack.
import { requestJson } from "./api.js";
import { FilteredSource, PagedSource } from "./source.js";
import { Grid } from "./grid.js";
import { UndoHistory } from "./undo.js";
import { Throughput, formatNumber } from "./throughput.js";
import { Queue } from "./queue.js";
import { Screen } from "./screen.js";
import { Marking } from "./marking.js";
import { listen } from "./keys.js";
import { fillFolders } from "./folders.js";
import { nextWhere, previousWhere } from "./search.js";
import { describeStatus } from "./status.js";
import { TrashDialog } from "./trash.js";
import { retryWhileScanning, watchThumbnails, reportScanProgress } from "./progress.js";
import { showError, announce, toast } from "./notifications.js";
import { shield } from "../shield.js";
import * as address from "./address.js";

const root = document.querySelector("[data-review]");
const find = (name) => document.querySelector(`[data-${name}]`);
const path = root.dataset.root;
const queue = new Queue();
const undoHistory = new UndoHistory(queue);
const throughput = new Throughput();
const grid = new Grid(find("grid-frame"), find("grid"), find("tile"), path);
const screen = new Screen(find("screen"), { root: path, run });
const marking = new Marking({ grid, screen, undoHistory, step, goTo, source: () => source });
let source = null;
let view = address.readUrl();
let loadNumber = 0;
let pendingPosition = null; // the position in the list that is being loaded; `current` does not refer to it yet

// The list
function itemFilter({ type, folder }) {
  return (item) => (!type || item.isVideo === (type === "video")) && (!folder || item.path.startsWith(`${folder}/`));
}

async function load({ item = null, index = 0, refresh = false } = {}) {
  const thisLoad = ++loadNumber;
  pendingPosition = item ? { item, index } : null;
  source?.close?.();
  await queue.settled(); // so that the server's counts include all marks
  const next = view.type || view.folder ? new FilteredSource(path, view, itemFilter(view)) : new PagedSource(path, view);
  try {
    const opening = retryWhileScanning(path, () => next.open(refresh));
    reportScanProgress(path, opening, (progress) => { if (thisLoad === loadNumber) showScanProgress(progress); });
    await opening;
  } catch (error) {
    if (thisLoad === loadNumber) { pendingPosition = null; showFailure(error); }
    return;
  }
  if (thisLoad !== loadNumber) return;
  find("skeleton").hidden = true;
  source = next;
  source.addEventListener("change", showSummary);
  grid.show(source, view.order === "name");
  const cursor = item ? await source.find(item, index) : 0;
  if (thisLoad !== loadNumber) return;
  pendingPosition = null;
  grid.cursor = cursor;
  grid.reveal();
  grid.render();
  showCounts();
  showSummary();
  find("start").disabled = !source.total;
}

function showScanProgress(progress) {
  root.toggleAttribute("data-scanning", true);
  if (!source?.total) showSkeleton();
  const folders = progress && `${formatNumber(progress.folders)} ${progress.folders === 1 ? "folder" : "folders"}`;
  find("summary").textContent = progress ? `Scanning the folder… ${formatNumber(progress.files)} files in ${folders} so far` : "Scanning the folder…";
}

// Show the skeleton while there is nothing to show yet.
function showSkeleton() {
  for (const part of ["empty", "failure"]) find(part).hidden = true;
  for (const part of ["grid-frame", "skeleton"]) find(part).hidden = false;
}

function showThumbnails(progress) {
  find("thumbnails").textContent = progress?.total ? `Thumbnails: ${Math.floor((100 * progress.done) / progress.total)} %` : "";
}

function showFailure(error) {
  find("skeleton").hidden = true;
  if (source) { showSummary(); showError(error); return; }
  root.toggleAttribute("data-scanning", false);
  find("summary").textContent = "";
  find("grid-frame").hidden = true;
  find("failure").hidden = false;
  find("failure").querySelector("p").textContent = error.message;
}

let counting = 0;

// Marks change the counts of the filters, but not the files in the list.
function scheduleCounts() {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    const summary = await requestJson(`/api/media-items/summary?${new URLSearchParams({ path })}`).catch(() => null);
    if (!summary || queue.size) return;
    source.counts = summary.counts;
    showCounts();
  }, 500);
}

function showCounts() {
  if (screen.isOpen) screen.count(source.counts, throughput);
  document.querySelector(".page-filters").style.setProperty("--digits", formatNumber(source.counts.all).length);
  for (const chip of document.querySelectorAll("[data-filter] [data-count]")) {
    chip.textContent = formatNumber(source.counts[chip.parentElement.dataset.filter]);
  }
}

function showSummary() {
  const { total, isComplete } = source;
  root.toggleAttribute("data-scanning", false);
  find("failure").hidden = true;
  find("empty").hidden = total > 0 || !isComplete;
  find("grid-frame").hidden = total === 0;
  find("summary").textContent = total ? `${formatNumber(total)} ${total === 1 ? "file" : "files"}${isComplete ? "" : ", loading more"}` : "";
  find("start").disabled = !total;
}

// The selection bar covers the tools.
function showSelection(count) {
  const bar = find("selection");
  if (!count && !bar.inert) shield(bar);
  if (!count && bar.contains(document.activeElement)) grid.element.focus({ preventScroll: true });
  bar.inert = !count;
  find("tools").inert = Boolean(count);
  find("selection-count").textContent = `${formatNumber(count)} selected`;
}

// Moving
const currentIndex = () => grid.cursor;
const current = () => source?.at(currentIndex());
const currentPosition = () => pendingPosition ?? { item: current()?.path, index: currentIndex() };

// Moves at once if the file is loaded; else returns a promise, and further commands wait for it.
function goTo(index, { step = 1 } = {}) {
  if (!source?.total) return null;
  const to = Math.max(0, Math.min(index, source.total - 1));
  return source.at(to) ? moveTo(to) : loadAndMoveTo(to, step);
}

async function loadAndMoveTo(from, step) {
  let to = from;
  let item = await source.load(to).catch(showError);
  while (item === null && to + step >= 0 && to + step < source.total) { to += step; item = await source.load(to).catch(showError); }
  if (item) moveTo(to);
}

function moveTo(to) {
  if (!screen.isOpen) { grid.move(to); return; }
  grid.moveHidden(to);
  showCurrent();
}

function showCurrent() {
  const item = current();
  if (!item) return;
  screen.show(source, currentIndex(), item);
  screen.count(source.counts, throughput);
  screen.canUndo(undoHistory.canUndo);
  announce(`${item.name}, ${currentIndex() + 1} of ${source.total}, ${describeStatus(item.status)}`);
  address.remember(path, item.path, currentIndex());
  address.updateUrl(view, item.path);
}

async function open() {
  if (!source?.total || !(await source.load(currentIndex()))) return;
  screen.open();
  address.pushItem(view, current().path);
  showCurrent();
}

function close({ fromHistory = false } = {}) {
  if (!screen.isOpen) return;
  screen.close();
  if (!fromHistory) address.leaveItem(view);
  grid.reveal();
  grid.render();
  grid.element.focus({ preventScroll: true });
}

function step(by) {
  if (currentIndex() + by < 0 || currentIndex() + by >= (source?.total ?? 0)) {
    announce(by > 0 ? "This is the last file." : "This is the first file.");
    if (screen.isOpen && by > 0) toast("This is the last file.");
    return null;
  }
  if (by > 0) throughput.step();
  return goTo(currentIndex() + by, { step: by });
}

async function seek(search, text) {
  const found = await search().catch(showError);
  if (found >= 0) await goTo(found); else toast(text);
}

const COMMANDS = {
  next: () => step(1),
  previous: () => step(-1),
  first: () => goTo(0),
  last: () => goTo(Infinity, { step: -1 }),
  goTo: (to) => goTo(to),
  up: () => grid.move(Math.max(currentIndex() - grid.columns, currentIndex() % grid.columns)),
  down: () => grid.move(currentIndex() + grid.columns),
  pageUp: () => grid.move(currentIndex() - grid.columns * 4),
  pageDown: () => grid.move(currentIndex() + grid.columns * 4),
  extendNext: () => grid.move(currentIndex() + 1, { extend: true }),
  extendPrevious: () => grid.move(currentIndex() - 1, { extend: true }),
  extendUp: () => grid.move(currentIndex() - grid.columns, { extend: true }),
  extendDown: () => grid.move(currentIndex() + grid.columns, { extend: true }),
  extendFirst: () => grid.move(0, { extend: true }),
  extendLast: () => grid.move(Infinity, { extend: true }),
  nextUnseen: () => seek(() => nextWhere(source, currentIndex(), "unseen"), "No unseen file below."),
  previousUnseen: () => seek(() => previousWhere(source, currentIndex(), "unseen"), "No unseen file above."),
  nextLocked: () => seek(() => nextWhere(source, currentIndex(), "locked"), "No locked file below."),
  seen: () => marking.mark("seen"),
  unseen: () => marking.mark("unseen"),
  trash: () => marking.mark("trash"),
  lock: () => marking.mark("lock"),
  undo: () => marking.undo(),
  above: () => marking.above(),
  open,
  close: () => close(),
  clear: () => grid.clearSelection(),
  brighten: () => screen.stage.brighten(screen.toggle("brighten")),
  zoom: () => screen.stage.zoom.toggle(null),
  holdZoom: () => screen.stage.zoom.hold(true),
  releaseZoom: () => screen.stage.zoom.hold(false),
  zoomIn: () => screen.stage.zoom.zoomIn(),
  zoomOut: () => screen.stage.zoom.zoomOut(),
  fit: () => screen.stage.zoom.fit(),
  play: () => screen.stage.playOrPause(),
  slower: () => announce(`Speed ${screen.stage.changeSpeed(-1)}`),
  faster: () => announce(`Speed ${screen.stage.changeSpeed(1)}`),
};

let busy = null;

// Commands wait while a file is being loaded, so that each acts on the file that the user then sees.
function run(command, value) {
  if (!source || !COMMANDS[command]) return;
  const result = busy ? busy.then(() => COMMANDS[command](value)) : COMMANDS[command](value);
  if (result?.then) queueCommand(result);
}

function queueCommand(result) {
  const thisCommand = result.catch(showError).finally(() => { if (busy === thisCommand) busy = null; });
  busy = thisCommand;
}

// Event handlers
queue.addEventListener("counted", ({ detail: changes }) => {
  for (const filter of Object.keys(changes)) source.counts[filter] += changes[filter];
  showCounts();
});
queue.addEventListener("rejected", ({ detail }) => marking.rejected(detail));
queue.addEventListener("change", () => {
  if (!queue.size) scheduleCounts();
  find("notice").hidden = !queue.isWaiting;
  find("notice-text").textContent = `Connection lost. ${queue.size} ${queue.size === 1 ? "mark waits" : "marks wait"}; they are sent as soon as the server responds.`;
});
grid.addEventListener("open", open);
grid.addEventListener("failed", ({ detail }) => toast(detail, "error"));
grid.addEventListener("move", () => {
  showSelection(grid.selected.size);
  if (!screen.isOpen && current()) { address.remember(path, current().path, currentIndex()); announce(`${grid.selected.size > 1 ? `${grid.selected.size} selected. ` : ""}${current().name}, ${describeStatus(current().status)}`); }
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) run(button.dataset.do);
});
find("start").addEventListener("click", open);
find("refresh").addEventListener("click", () => queueCommand(load({ ...currentPosition(), refresh: true })));
document.querySelector(".page-filters").addEventListener("click", (event) => {
  const chip = event.target.closest("[data-filter]");
  if (!chip || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  change({ filter: chip.dataset.filter });
});
for (const name of ["type", "folder", "order"]) find(name).addEventListener("change", (event) => change({ [name]: event.target.value }));

function change(changes) {
  const position = currentPosition();
  view = { ...view, ...changes };
  address.pushView(view);
  showView();
  queueCommand(load(position));
}

function showView() {
  for (const chip of document.querySelectorAll("[data-filter].chip")) {
    if (chip.dataset.filter === view.filter) chip.setAttribute("aria-current", "true"); else chip.removeAttribute("aria-current");
  }
  for (const name of ["type", "folder", "order"]) find(name).value = view[name];
}

addEventListener("popstate", async () => {
  const before = view;
  view = address.readUrl();
  showView();
  if (!address.isSameView(before, view)) await load({ item: view.item });
  if (view.item && !screen.isOpen) { await goTo(await source.find(view.item, currentIndex())); open(); }
  if (!view.item) close({ fromHistory: true });
});
addEventListener("beforeunload", (event) => { if (queue.size) event.preventDefault(); });

async function start() {
  const remembered = address.remembered(path);
  const trash = new TrashDialog(find("trash"), path);
  find("trash-open").addEventListener("click", async () => { await queue.settled(); trash.open(); });
  trash.addEventListener("emptied", () => queueCommand(load(currentPosition())));
  fillFolders(find("folder"), path, view.folder).then((count) => { showView(); if (count) grid.showFolders(); });
  showView();
  await load(view.item ? { item: view.item } : remembered);
  if (view.item && source) open();
  watchThumbnails(path, showThumbnails);
  grid.element.focus({ preventScroll: true });
}

listen(() => screen.isOpen, run);
start();
