// The review of one folder: the grid and the full screen over the same list, one cursor, one queue, one undo stack.
import { requestJson } from "./api.js";
import { FilteredSource, PagedSource } from "./source.js";
import { Grid } from "./grid.js";
import { Marks } from "./undo.js";
import { Throughput, formatNumber } from "./throughput.js";
import { Queue } from "./queue.js";
import { Screen } from "./screen.js";
import { Marking } from "./marking.js";
import { listen } from "./keys.js";
import { fillFolders } from "./folders.js";
import { nextWhere, previousWhere } from "./search.js";
import { describeStatus } from "./status.js";
import { TrashDialog } from "./trash.js";
import { retryWhileScanning, watchThumbnails, reportScanProgress } from "./reading.js";
import { showError, announce, toast } from "./notifications.js";
import { shield } from "../shield.js";
import * as address from "./address.js";

const root = document.querySelector("[data-review]");
const find = (name) => document.querySelector(`[data-${name}]`);
const path = root.dataset.root;
const queue = new Queue();
const marks = new Marks(queue);
const throughput = new Throughput();
const grid = new Grid(find("grid-frame"), find("grid"), find("tile"), path);
const screen = new Screen(find("screen"), { root: path, run });
const marking = new Marking({ grid, screen, marks, step, goTo, source: () => source });
let source = null;
let view = address.readUrl();
let loadNumber = 0;
let pendingPosition = null; // the position in the list that is being loaded; `current` does not refer to it yet

// The list
function takes({ type, folder }) {
  return (item) => (!type || item.isVideo === (type === "video")) && (!folder || item.path.startsWith(`${folder}/`));
}

async function load({ item = null, place = 0, refresh = false } = {}) {
  const thisLoad = ++loadNumber;
  pendingPosition = item ? { item, place } : null;
  source?.close?.();
  await queue.settled(); // so that the server's counts include all marks
  const next = view.type || view.folder ? new FilteredSource(path, view, takes(view)) : new PagedSource(path, view);
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
  source.addEventListener("change", showSum);
  grid.show(source, view.order === "name");
  const cursor = item ? await source.find(item, place) : 0;
  if (thisLoad !== loadNumber) return;
  pendingPosition = null;
  grid.cursor = cursor;
  grid.reveal();
  grid.render();
  showCounts();
  showSum();
  find("start").disabled = !source.total;
}

function showScanProgress(progress) {
  root.toggleAttribute("data-reading", true);
  if (!source?.total) showFrame();
  const folders = progress && `${formatNumber(progress.folders)} ${progress.folders === 1 ? "folder" : "folders"}`;
  find("sum").textContent = progress ? `Reading the folder… ${formatNumber(progress.files)} files in ${folders} so far` : "Reading the folder…";
}

// Show the skeleton while there is nothing to show yet.
function showFrame() {
  for (const part of ["empty", "failure"]) find(part).hidden = true;
  for (const part of ["grid-frame", "skeleton"]) find(part).hidden = false;
}

function showThumbnails(made) {
  find("made").textContent = made?.total ? `Thumbnails: ${Math.floor((100 * made.done) / made.total)} %` : "";
}

function showFailure(error) {
  find("skeleton").hidden = true;
  if (source) { showSum(); showError(error); return; }
  root.toggleAttribute("data-reading", false);
  find("sum").textContent = "";
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

function showSum() {
  const { total, isWhole } = source;
  root.toggleAttribute("data-reading", false);
  find("failure").hidden = true;
  find("empty").hidden = total > 0 || !isWhole;
  find("grid-frame").hidden = total === 0;
  find("sum").textContent = total ? `${formatNumber(total)} ${total === 1 ? "file" : "files"}${isWhole ? "" : ", loading more"}` : "";
  find("start").disabled = !total;
}

// The selection bar covers the tools.
function showSelection(count) {
  const bar = find("chosen");
  if (!count && !bar.inert) shield(bar);
  if (!count && bar.contains(document.activeElement)) grid.element.focus({ preventScroll: true });
  bar.inert = !count;
  find("tools").inert = Boolean(count);
  find("chosen-count").textContent = `${formatNumber(count)} selected`;
}

// Moving
const place = () => grid.cursor;
const current = () => source?.at(place());
const currentPosition = () => pendingPosition ?? { item: current()?.path, place: place() };

// Moves at once if the file is loaded; else returns a promise, and further commands wait for it.
function goTo(wanted, { step = 1 } = {}) {
  if (!source?.total) return null;
  const to = Math.max(0, Math.min(wanted, source.total - 1));
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
  grid.stand(to);
  showCurrent();
}

function showCurrent() {
  const item = current();
  if (!item) return;
  screen.show(source, place(), item);
  screen.count(source.counts, throughput);
  screen.canUndo(marks.canUndo);
  announce(`${item.name}, ${place() + 1} of ${source.total}, ${describeStatus(item.status)}`);
  address.remember(path, item.path, place());
  address.updateUrl(view, item.path);
}

async function open() {
  if (!source?.total || !(await source.load(place()))) return;
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
  if (place() + by < 0 || place() + by >= (source?.total ?? 0)) {
    announce(by > 0 ? "This is the last file." : "This is the first file.");
    if (screen.isOpen && by > 0) toast("This is the last file.");
    return null;
  }
  if (by > 0) throughput.step();
  return goTo(place() + by, { step: by });
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
  up: () => grid.move(Math.max(place() - grid.columns, place() % grid.columns)),
  down: () => grid.move(place() + grid.columns),
  pageUp: () => grid.move(place() - grid.columns * 4),
  pageDown: () => grid.move(place() + grid.columns * 4),
  extendNext: () => grid.move(place() + 1, { extend: true }),
  extendPrevious: () => grid.move(place() - 1, { extend: true }),
  extendUp: () => grid.move(place() - grid.columns, { extend: true }),
  extendDown: () => grid.move(place() + grid.columns, { extend: true }),
  extendFirst: () => grid.move(0, { extend: true }),
  extendLast: () => grid.move(Infinity, { extend: true }),
  nextUnseen: () => seek(() => nextWhere(source, place(), "unseen"), "Nothing unseen below."),
  previousUnseen: () => seek(() => previousWhere(source, place(), "unseen"), "Nothing unseen above."),
  nextLocked: () => seek(() => nextWhere(source, place(), "locked"), "Nothing locked below."),
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
  zoomIn: () => screen.stage.zoom.hold(true),
  zoomOut: () => screen.stage.zoom.hold(false),
  closer: () => screen.stage.zoom.closer(),
  farther: () => screen.stage.zoom.farther(),
  whole: () => screen.stage.zoom.whole(),
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
queue.addEventListener("counted", ({ detail: more }) => {
  for (const filter of Object.keys(more)) source.counts[filter] += more[filter];
  showCounts();
});
queue.addEventListener("refused", ({ detail }) => marking.refused(detail));
queue.addEventListener("change", () => {
  if (!queue.size) scheduleCounts();
  find("notice").hidden = !queue.isWaiting;
  find("notice-text").textContent = `Connection lost. ${queue.size} ${queue.size === 1 ? "mark waits" : "marks wait"}; they are sent as soon as the server responds.`;
});
grid.addEventListener("open", open);
grid.addEventListener("failed", ({ detail }) => toast(detail, "error"));
grid.addEventListener("move", () => {
  showSelection(grid.selected.size);
  if (!screen.isOpen && current()) { address.remember(path, current().path, place()); announce(`${grid.selected.size > 1 ? `${grid.selected.size} selected. ` : ""}${current().name}, ${describeStatus(current().status)}`); }
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
  const at = currentPosition();
  view = { ...view, ...changes };
  address.pushView(view);
  showView();
  queueCommand(load(at));
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
  if (view.item && !screen.isOpen) { await goTo(await source.find(view.item, place())); open(); }
  if (!view.item) close({ fromHistory: true });
});
addEventListener("beforeunload", (event) => { if (queue.size) event.preventDefault(); });

async function begin() {
  const kept = address.remembered(path);
  const trash = new TrashDialog(find("trash"), path);
  find("trash-open").addEventListener("click", async () => { await queue.settled(); trash.open(); });
  trash.addEventListener("emptied", () => queueCommand(load(currentPosition())));
  fillFolders(find("folder"), path, view.folder).then((count) => { showView(); if (count) grid.showFolders(); });
  showView();
  await load(view.item ? { item: view.item } : kept);
  if (view.item && source) open();
  watchThumbnails(path, showThumbnails);
  grid.element.focus({ preventScroll: true });
}

listen(() => screen.isOpen, run);
begin();
