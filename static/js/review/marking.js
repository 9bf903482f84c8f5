// Marking the file at the cursor, or all that are chosen, and taking it back: shown at once, in the grid and on the screen.
import { inDigits } from "./pace.js";
import { fail, say, toast } from "./tell.js";

const WORDS = { seen: "seen", unseen: "not seen", lock: "locked", unlock: "unlocked", trash: "into the trash", untrash: "out of the trash" };
const TURNS = { trash: ["trashed", "untrash"], lock: ["locked", "unlock"] };
const MOST_AT_ONCE = 50_000;

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

  // The files at `places`, in their order, whether they were loaded yet or not; what is collected stays loaded.
  async #collect(places) {
    if (places.length > MOST_AT_ONCE) throw new Error(`These are ${inDigits(places.length)} files. Mark at most ${inDigits(MOST_AT_ONCE)} at once.`);
    const items = [];
    for (const at of places) {
      const item = this.list().at(at) ?? (await this.list().load(at));
      if (item) { item.touched = true; items.push(item); }
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
    if (free.length < items.length) toast(many ? `${items.length - free.length} are locked and stay. Unlock them first.` : "It is locked. Unlock it first (F), then trash it.");
    if (!free.length) return null;
    const count = this.marks.mark(free, action, this.place);
    this.refresh();
    if (many) {
      this.#tellCount(count, `${count === 1 ? "file" : "files"} ${WORDS[action]}.`);
      return null;
    }
    say(`${free[0].name}: ${WORDS[action]}.`);
    return stays ? null : this.step(1);
  }

  #tellCount(count, words) {
    toast(`${inDigits(count)} ${words}`, "success", count ? () => this.undo() : null);
  }

  refresh() {
    const { grid, screen } = this;
    const item = this.list()?.at(this.place);
    grid.render();
    if (screen.isOpen && item) { screen.mark(item); screen.canUndo(this.marks.canUndo); }
  }

  undo() {
    const undone = this.marks.undo();
    if (!undone) { say("There is nothing to undo."); return null; }
    this.refresh();
    return this.#goBackTo(undone).then(() => say(`Undone: ${undone.items.length === 1 ? undone.items[0].name : `${undone.items.length} files`}.`));
  }

  // The view may be another one meanwhile.
  async #goBackTo({ place: at, items: [item] }) {
    if (this.list().at(at)?.path === item.path) { await this.goTo(at); return; }
    const found = await this.list().find(item.path, at).catch(() => at);
    await this.goTo(found);
  }

  async above() {
    const end = this.place;
    const items = (await this.#collect([...Array(end).keys()])).filter((item) => !item.status.seen);
    const count = items.length ? this.marks.mark(items, "seen", end) : 0;
    this.refresh();
    if (count) this.#tellCount(count, `above ${count === 1 ? "is" : "are"} seen.`); else toast("Everything above is seen already.", "success");
  }
}
