// Marks files and undoes marks: each action by itself, in any order, at most once. The undo history lasts until the page
// is left.
import { applied, isSame, setBy, stepsBetween } from "./status.js";

// An entry is `{action, index, records}`; a record is its effect on one file: `{entry, item, before, isUndone}`.
// The records of a file are its history, the oldest first.
export class UndoHistory {
  constructor(queue) {
    Object.assign(this, { queue, entries: [] });
  }

  // The newest entry that is not undone.
  get newest() { return this.entries.findLast((entry) => entry.records.some((record) => !record.isUndone)); }

  get canUndo() { return Boolean(this.newest); }

  // Mark `items` and record those that change; undo returns to `index`. Returns the entry, null if nothing changes.
  mark(items, action, index) {
    const changed = items.filter((item) => !isSame(item.status, applied(item.status, action)));
    if (!changed.length) return null;
    const entry = { action, index };
    entry.records = changed.map((item) => ({ entry, item, before: item.status, isUndone: false }));
    for (const record of entry.records) (record.item.history ??= []).push(record);
    this.entries.push(entry);
    this.queue.add(changed, action, { entry, isUndo: false });
    return entry;
  }

  // Undo an entry. Returns the files that were restored, and those that were kept because of later marks.
  undo(entry) {
    const [groups, restored, kept] = [new Map(), [], []];
    for (const record of entry.records.filter(({ isUndone }) => !isUndone)) {
      record.isUndone = true;
      const { item } = record;
      const steps = stepsBetween(item.status, targetWithout(record)).join(" ");
      (steps ? restored : kept).push(item);
      if (!steps) continue;
      if (!groups.has(steps)) groups.set(steps, []);
      groups.get(steps).push(item);
    }
    const origin = { entry, isUndo: true };
    for (const [steps, items] of groups) for (const action of steps.split(" ")) this.queue.add(items, action, origin);
    return { restored, kept };
  }

  // A rejected mark never happened, so it is removed from the history; a rejected undo can be retried.
  rejected({ items, origin: { entry, isUndo } }) {
    const rejected = new Set(items);
    if (isUndo) {
      for (const record of entry.records) if (rejected.has(record.item)) record.isUndone = false;
      return;
    }
    for (const item of items) item.history = item.history.filter((record) => record.entry !== entry);
    entry.records = entry.records.filter(({ item }) => !rejected.has(item));
    if (!entry.records.length) this.entries = this.entries.filter((other) => other !== entry);
  }
}

// The status of the record's file without its action: the marks that the action set are restored, unless a later action
// set them too or another user changed them. Never unlocks a file to trash it.
function targetWithout({ entry, item, before }) {
  const target = { ...item.status };
  const at = item.history.findIndex((record) => record.entry === entry);
  for (const [mark, value] of Object.entries(setBy(entry.action))) {
    const isSetLater = item.history.slice(at + 1).some((newer) => !newer.isUndone && mark in setBy(newer.entry.action));
    if (!isSetLater && item.status[mark] === value) target[mark] = beforeAll(mark, before[mark], item.history.slice(0, at));
  }
  if (item.status.locked && target.locked && target.trashed) target.trashed = item.status.trashed;
  return target;
}

// The mark's value before older actions that were undone meanwhile.
function beforeAll(mark, value, older) {
  for (const record of [...older].reverse()) {
    const set = setBy(record.entry.action)[mark];
    if (set === undefined) continue;
    if (!record.isUndone || set !== value) break;
    value = record.before[mark];
  }
  return value;
}
