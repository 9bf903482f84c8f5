// Marking files and taking it back. The stack of what can be undone lasts as long as the page.
import { applied, isSame, stepsBetween } from "./status.js";

export class Marks {
  constructor(queue) {
    this.queue = queue;
    this.done = [];
    queue.addEventListener("refused", (event) => this.#forget(event.detail));
  }

  get canUndo() { return this.done.length > 0; }

  // Mark `items` and remember how they were; `place` is where to return to. How many it changes.
  mark(items, action, place) {
    const changed = items.filter((item) => !isSame(item.status, applied(item.status, action)));
    if (!changed.length) return 0;
    this.done.push({ action, place, before: changed.map((item) => [item, item.status]) });
    this.queue.add(changed, action);
    return changed.length;
  }

  // Take the last one back: {place, items, action}; null when there is none.
  undo() {
    const entry = this.done.pop();
    if (!entry) return null;
    const groups = new Map();
    for (const [item, status] of entry.before) {
      const steps = stepsBetween(item.status, status).join(" ");
      if (!groups.has(steps)) groups.set(steps, []);
      groups.get(steps).push(item);
    }
    for (const [steps, items] of groups) for (const action of steps.split(" ").filter(Boolean)) this.queue.add(items, action);
    return { place: entry.place, items: entry.before.map(([item]) => item), action: entry.action };
  }

  // What the server refused was never done: there is nothing to take back.
  #forget({ items, action }) {
    for (const item of items) {
      const entry = this.done.findLast((one) => one.action === action && one.before.some(([marked]) => marked === item));
      if (entry) entry.before = entry.before.filter(([marked]) => marked !== item);
    }
    this.done = this.done.filter((entry) => entry.before.length);
  }
}
