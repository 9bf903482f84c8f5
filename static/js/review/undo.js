// Marking files and taking it back: each action by itself, in any order, at most once. What can be undone lasts as
// long as the page.
import { applied, isSame, setBy, stepsBetween } from "./status.js";

// One of them is `{action, place, records}`; a record is what it did to one file: `{entry, item, before, isUndone}`.
// The records of a file are its history, the oldest first.
export class Marks {
  constructor(queue) {
    Object.assign(this, { queue, done: [] });
  }

  // The newest that is not taken back yet.
  get newest() { return this.done.findLast((entry) => entry.records.some((record) => !record.isUndone)); }

  get canUndo() { return Boolean(this.newest); }

  // Mark `items`, of which those that it changes are remembered; `place` is where to return to. Null if it changes none.
  mark(items, action, place) {
    const changed = items.filter((item) => !isSame(item.status, applied(item.status, action)));
    if (!changed.length) return null;
    const entry = { action, place };
    entry.records = changed.map((item) => ({ entry, item, before: item.status, isUndone: false }));
    for (const record of entry.records) (record.item.history ??= []).push(record);
    this.done.push(entry);
    this.queue.add(changed, action, { entry, isUndo: false });
    return entry;
  }

  // Take one back: the files that change by it, and those that stay as what was done to them later has them.
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

  // What the server refused was never done, so that there is nothing to take back; a refused undo can be tried again.
  refused({ items, origin: { entry, isUndo } }) {
    const gone = new Set(items);
    if (isUndo) {
      for (const record of entry.records) if (gone.has(record.item)) record.isUndone = false;
      return;
    }
    for (const item of items) item.history = item.history.filter((record) => record.entry !== entry);
    entry.records = entry.records.filter(({ item }) => !gone.has(item));
    if (!entry.records.length) this.done = this.done.filter((other) => other !== entry);
  }
}

// The status of the record's file as if its action had never been: the marks that it set are as before, unless something
// later set them too or somebody else changed them. No lock is taken off on the way.
function targetWithout({ entry, item, before }) {
  const target = { ...item.status };
  const at = item.history.findIndex((record) => record.entry === entry);
  for (const [mark, value] of Object.entries(setBy(entry.action))) {
    const isClaimed = item.history.slice(at + 1).some((newer) => !newer.isUndone && mark in setBy(newer.entry.action));
    if (!isClaimed && item.status[mark] === value) target[mark] = beforeAll(mark, before[mark], item.history.slice(0, at));
  }
  if (item.status.locked && target.locked && target.trashed) target.trashed = item.status.trashed;
  return target;
}

// What a mark was before the older actions that were taken back meanwhile.
function beforeAll(mark, value, older) {
  for (const record of [...older].reverse()) {
    const set = setBy(record.entry.action)[mark];
    if (set === undefined) continue;
    if (!record.isUndone || set !== value) break;
    value = record.before[mark];
  }
  return value;
}
