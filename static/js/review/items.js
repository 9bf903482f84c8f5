// One object for each marked file, shared by all lists that contain it, so that the queue, undo and the view refer to the
// same object.
const sharedItems = new Map();

export function share(item) { sharedItems.set(item.exact, item); }

// Returns the shared object of this file, updated from a response that was requested at `askedAt`. Keeps the status if a
// mark is pending or was sent after that.
export function updateShared(item, requestedAt) {
  const known = sharedItems.get(item.exact);
  if (!known) return item;
  const { status, confirmed } = known.pending || known.sentAt > requestedAt ? known : item;
  return Object.assign(known, item, { status, confirmed });
}
