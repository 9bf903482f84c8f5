// Marks the file at the cursor or all selected files, and undoes marks; shown at once in the grid and the full screen.
import { share } from "./items.js";
import { formatNumber } from "./throughput.js";
import { showError, announce, toast } from "./notifications.js";

const ACTION_RESULTS = { seen: "marked as seen", unseen: "marked as not seen", lock: "locked", unlock: "unlocked", trash: "moved to the trash", untrash: "restored from the trash" };
const TOGGLES = { trash: ["trashed", "untrash"], lock: ["locked", "unlock"] };
const MAX_FILES = 50_000;

export class Marking {
  // `source()` returns the current list; `step` and `goTo` move in it.
  constructor({ grid, screen, undoHistory, source, step, goTo }) {
    Object.assign(this, { grid, screen, undoHistory, step, goTo });
    this.list = source;
  }

  get cursor() { return this.grid.cursor; }

  mark(action) {
    const { screen, grid: { selected } } = this;
    const many = !screen.isOpen && selected.size > 1;
    if (many) return this.#collect([...selected].sort((a, b) => a - b)).then((items) => this.#markItems(items, action, many), showError);
    const [at] = screen.isOpen || !selected.size ? [this.cursor] : selected;
    const item = this.list().at(at);
    if (item === undefined) return this.list().load(at).then((loaded) => this.#markItems([loaded], action, many), showError);
    return this.#markItems([item], action, many);
  }

  // The files at `indexes`, in order; loads those that are not loaded.
  async #collect(indexes) {
    if (indexes.length > MAX_FILES) throw new Error(`${formatNumber(indexes.length)} files are selected. Mark at most ${formatNumber(MAX_FILES)} at once.`);
    const items = [];
    for (const at of indexes) {
      const item = this.list().at(at) ?? (await this.list().load(at));
      if (item) { share(item); items.push(item); }
    }
    return items;
  }

  #markItems(found, action, many) {
    const items = found.filter(Boolean);
    if (!items.length) return null;
    const [flag, opposite] = TOGGLES[action] ?? [];
    const isReverting = flag && items.every((item) => item.status[flag]);
    return this.#apply(items, isReverting ? opposite : action, { many, stays: isReverting || action === "unseen" });
  }

  #apply(items, action, { many, stays }) {
    const unlocked = action === "trash" ? items.filter((item) => !item.status.locked) : items;
    const someLocked = unlocked.length < items.length;
    if (someLocked) toast(many ? `${items.length - unlocked.length} are locked and stay. Unlock them first.` : "This file is locked. Unlock it first (F), then trash it.");
    if (!unlocked.length) return null;
    const entry = this.undoHistory.mark(unlocked, action, this.cursor);
    this.refresh();
    if (many) {
      if (entry) this.#showDone(entry, (count) => `${count === 1 ? "file" : "files"} ${ACTION_RESULTS[action]}.`);
      else if (!someLocked) toast("Nothing changed: these files already have this mark.");
      return null;
    }
    announce(`${unlocked[0].name}: ${ACTION_RESULTS[action]}.`);
    return stays ? null : this.step(1);
  }

  // Shows a toast whose button undoes exactly this entry.
  #showDone(entry, words) {
    const { length: count } = entry.records;
    entry.messages = [toast(`${formatNumber(count)} ${words(count)}`, "success", () => this.#undoEntry(entry))];
  }

  refresh() {
    const { grid, screen } = this;
    const item = this.list()?.at(this.cursor);
    if (!screen.isOpen) grid.render();
    else if (item) { screen.mark(item); screen.canUndo(this.undoHistory.canUndo); }
  }

  // Undo the newest entry and return to its position.
  undo() {
    const entry = this.undoHistory.newest;
    if (!entry) { announce("There is nothing to undo."); return null; }
    const [{ item }] = entry.records;
    this.#undoEntry(entry);
    return this.#goBackTo(entry.index, item);
  }

  #undoEntry(entry) {
    closeMessages(entry);
    const { restored, kept } = this.undoHistory.undo(entry);
    this.refresh();
    if (kept.length) toast(this.#describeKept(kept, restored.length + kept.length));
    if (restored.length) announce(`Undone: ${restored.length === 1 ? restored[0].name : `${formatNumber(restored.length)} files`}.`);
  }

  #describeKept(kept, count) {
    if (count === 1) return `${kept[0].name} was not changed: it has been marked again since.`;
    const unchanged = kept.length === 1 ? "1 was not changed: it has been" : `${formatNumber(kept.length)} were not changed: they have been`;
    return `Of ${formatNumber(count)} files, ${unchanged} marked again since.`;
  }

  // Restores the display of marks that the server rejected. A rejected undo can be retried.
  rejected({ items, origin, reason }) {
    const { entry, isUndo } = origin;
    this.undoHistory.rejected({ items, origin });
    this.refresh();
    if (!isUndo && !entry.records.length) closeMessages(entry);
    const stays = items.length === 1 ? `${items[0].name} was not changed` : `${formatNumber(items.length)} files were not changed`;
    if (!isUndo) { toast(`${stays}: ${reason}`, "error"); return; }
    const failed = items.length === 1 ? items[0].name : `${formatNumber(items.length)} files`;
    (entry.messages ??= []).push(toast(`Undo failed for ${failed}: ${reason}`, "error", () => this.#undoEntry(entry), "Try again"));
  }

  // The view may have changed meanwhile.
  async #goBackTo(at, item) {
    if (this.list().at(at)?.path === item.path) { await this.goTo(at); return; }
    const found = await this.list().find(item.path, at).catch(() => at);
    await this.goTo(found);
  }

  async above() {
    const end = this.cursor;
    const items = (await this.#collect([...Array(end).keys()])).filter((item) => !item.status.seen);
    const entry = this.undoHistory.mark(items, "seen", end);
    this.refresh();
    if (entry) this.#showDone(entry, (count) => `${count === 1 ? "file" : "files"} above marked as seen.`); else toast("Everything above is already seen.", "success");
  }
}

function closeMessages(entry) {
  for (const message of entry.messages ?? []) message.close();
  entry.messages = [];
}
