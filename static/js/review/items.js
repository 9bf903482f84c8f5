// One object for each file that was marked, whatever lists it is in since: the queue, undo and what is shown speak of
// the same one.
const kept = new Map();

export function keep(item) { kept.set(item.exact, item); }

// The one that is kept for this file, as the server has told it by an answer that was asked for at `askedAt`; what is
// on its way, or went since, is newer than that.
export function adopt(item, askedAt) {
  const known = kept.get(item.exact);
  if (!known) return item;
  const { status, confirmed } = known.pending || known.sentAt > askedAt ? known : item;
  return Object.assign(known, item, { status, confirmed });
}
