// The marks of a file and how actions change them; same rules as on the server.
const CHANGES = {
  lock: { locked: true, seen: true },
  unlock: { locked: false },
  trash: { trashed: true, seen: true },
  untrash: { trashed: false },
  seen: { seen: true },
  unseen: { seen: false },
};

export const setBy = (action) => CHANGES[action];

export const applied = (status, action) => ({ ...status, ...CHANGES[action] });

export const isSame = (one, other) => one.locked === other.locked && one.trashed === other.trashed && one.seen === other.seen;

// Updates the count of each filter after one file's status changed.
export function recount(counts, from, to) {
  for (const filter of ["unseen", "seen", "locked", "trashed"]) counts[filter] += matchesFilter(filter, to) - matchesFilter(filter, from);
}

export function matchesFilter(filter, status) {
  if (filter === "all") return true;
  return filter === "unseen" ? !status.seen : status[filter];
}

// The actions that change one status into another, in an order that the server accepts.
export function stepsBetween(from, to) {
  const steps = [];
  let now = from;
  const take = (action) => { steps.push(action); now = applied(now, action); };
  const trashes = !now.trashed && to.trashed;
  if (now.locked && (!to.locked || trashes)) take("unlock");
  if (now.trashed && !to.trashed) take("untrash");
  if (trashes) take("trash");
  if (!now.locked && to.locked) take("lock");
  if (now.seen !== to.seen) take(to.seen ? "seen" : "unseen");
  return steps;
}

export function describeStatus(status) {
  const words = [status.locked && "locked", status.trashed && "in the trash", status.seen && !status.locked && !status.trashed && "seen"];
  return words.filter(Boolean).join(", ") || "not seen";
}
