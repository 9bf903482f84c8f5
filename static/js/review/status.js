// The marks of a file, and what the actions do to them: as the server does it.
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

// How many files each filter takes, after one went from one status to another.
export function recount(counts, from, to) {
  for (const filter of ["unseen", "seen", "locked", "trashed"]) counts[filter] += fits(filter, to) - fits(filter, from);
}

export function fits(filter, status) {
  if (filter === "all") return true;
  return filter === "unseen" ? !status.seen : status[filter];
}

// The actions that lead from one status to another, in an order that the server accepts.
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

export function inWords(status) {
  const words = [status.locked && "locked", status.trashed && "in the trash", status.seen && !status.locked && !status.trashed && "seen"];
  return words.filter(Boolean).join(", ") || "not seen";
}
