// Marking the file at the cursor, or all that are chosen, and taking it back: shown at once, in the grid and on the screen.
import { keep } from "./items.js";
import { inDigits } from "./throughput.js";
import { fail, announce, toast } from "./notifications.js";

const WORDS = { seen: "seen", unseen: "not seen", lock: "locked", unlock: "unlocked", trash: "into the trash", untrash: "out of the trash" };
const TURNS = { trash: ["trashed", "untrash"], lock: ["locked", "unlock"] };
const MAX_AT_ONCE = 50_000;

export class Marking {
  // `source()` is the list of now; `step` and `goTo` move in it.
  constructor({ grid, screen, marks, source, step, goTo }) {
    Object.assign(this, { grid, screen, marks, step, goTo });
    this.list = source;
  }

  get place() { return this.grid.cursor; }

  mark(action) {
    const { screen, grid: { picked } } = this;
    const many = !screen.isOpen && picked.size > 1;
    if (many) return this.#collect([...picked].sort((a, b) => a - b)).then((items) => this.#markChosen(items, action, many), fail);
    const [at] = screen.isOpen || !picked.size ? [this.place] : picked;
    const item = this.list().at(at);
    if (item === undefined) return this.list().load(at).then((loaded) => this.#markChosen([loaded], action, many), fail);
    return this.#markChosen([item], action, many);
  }

  // The files at `places`, in their order, whether they were loaded yet or not.
  async #collect(places) {
    if (places.length > MAX_AT_ONCE) throw new Error(`These are ${inDigits(places.length)} files. Mark at most ${inDigits(MAX_AT_ONCE)} at once.`);
    const items = [];
    for (const at of places) {
      const item = this.list().at(at) ?? (await this.list().load(at));
      if (item) { keep(item); items.push(item); }
    }
    return items;
  }

  #markChosen(found, action, many) {
    const items = found.filter(Boolean);
    if (!items.length) return null;
    const [flag, opposite] = TURNS[action] ?? [];
    const takesBack = flag && items.every((item) => item.status[flag]);
    return this.#apply(items, takesBack ? opposite : action, { many, stays: takesBack || action === "unseen" });
  }

  #apply(items, action, { many, stays }) {
    const free = action === "trash" ? items.filter((item) => !item.status.locked) : items;
    const areLocked = free.length < items.length;
    if (areLocked) toast(many ? `${items.length - free.length} are locked and stay. Unlock them first.` : "It is locked. Unlock it first (F), then trash it.");
    if (!free.length) return null;
    const entry = this.marks.mark(free, action, this.place);
    this.refresh();
    if (many) {
      if (entry) this.#showDone(entry, (count) => `${count === 1 ? "file" : "files"} ${WORDS[action]}.`);
      else if (!areLocked) toast("Nothing changed: these files are marked so already.");
      return null;
    }
    announce(`${free[0].name}: ${WORDS[action]}.`);
    return stays ? null : this.step(1);
  }

  // With a button that undoes what the message announces, and nothing else.
  #showDone(entry, words) {
    const { length: count } = entry.records;
    entry.messages = [toast(`${inDigits(count)} ${words(count)}`, "success", () => this.#takeBack(entry))];
  }

  refresh() {
    const { grid, screen } = this;
    const item = this.list()?.at(this.place);
    if (!screen.isOpen) grid.render();
    else if (item) { screen.mark(item); screen.canUndo(this.marks.canUndo); }
  }

  // The newest action that is not taken back yet, and back to where it was done.
  undo() {
    const entry = this.marks.newest;
    if (!entry) { announce("There is nothing to undo."); return null; }
    const [{ item }] = entry.records;
    this.#takeBack(entry);
    return this.#goBackTo(entry.place, item);
  }

  #takeBack(entry) {
    closeMessages(entry);
    const { restored, kept } = this.marks.undo(entry);
    this.refresh();
    if (kept.length) toast(this.#whyKept(kept, restored.length + kept.length));
    if (restored.length) announce(`Undone: ${restored.length === 1 ? restored[0].name : `${inDigits(restored.length)} files`}.`);
  }

  #whyKept(kept, count) {
    if (count === 1) return `${kept[0].name} stays as it is: it was marked again since.`;
    const are = kept.length === 1 ? "1 stays as it is: it was" : `${inDigits(kept.length)} stay as they are: they were`;
    return `Of ${inDigits(count)} files, ${are} marked again since.`;
  }

  // What the server did not take is shown as it was. An undo can be tried again.
  refused({ items, origin, reason }) {
    const { entry, isUndo } = origin;
    this.marks.refused({ items, origin });
    this.refresh();
    if (!isUndo && !entry.records.length) closeMessages(entry);
    const stays = items.length === 1 ? `${items[0].name} stays as it was` : `${inDigits(items.length)} files stay as they were`;
    if (!isUndo) { toast(`${stays}: ${reason}`, "error"); return; }
    const failed = items.length === 1 ? items[0].name : `${inDigits(items.length)} files`;
    (entry.messages ??= []).push(toast(`Undo did not work for ${failed}: ${reason}`, "error", () => this.#takeBack(entry), "Try again"));
  }

  // The view may be another one meanwhile.
  async #goBackTo(at, item) {
    if (this.list().at(at)?.path === item.path) { await this.goTo(at); return; }
    const found = await this.list().find(item.path, at).catch(() => at);
    await this.goTo(found);
  }

  async above() {
    const end = this.place;
    const items = (await this.#collect([...Array(end).keys()])).filter((item) => !item.status.seen);
    const entry = this.marks.mark(items, "seen", end);
    this.refresh();
    if (entry) this.#showDone(entry, (count) => `above ${count === 1 ? "is" : "are"} seen.`); else toast("Everything above is seen already.", "success");
  }
}

function closeMessages(entry) {
  for (const message of entry.messages ?? []) message.close();
  entry.messages = [];
}
