// Sends marks to the server, one request at a time and in order. The page shows them before they are sent.
import { ApiError, requestJson } from "./api.js";
import { share } from "./items.js";
import { applied, recount } from "./status.js";

const MAX_PATHS = 500;
const MAX_RETRY_DELAY_MS = 15_000;
const MAX_ATTEMPTS_ON_500 = 3;
const RETRYABLE_STATUSES = new Set([429, 502, 503, 504]); // statuses worth a retry

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Events: `change` when the queue starts or stops waiting or a request is done; `counted` with the change in each filter's
// count after marks were added or reverted; `rejected` with {items, action, origin, reason} of rejected marks, where
// `origin` is the value passed to `add`.
export class Queue extends EventTarget {
  jobs = [];
  isWaiting = false;
  #running = null;

  get size() { return this.jobs.reduce((sum, job) => sum + job.items.length, 0); }

  add(items, action, origin) {
    for (let at = 0; at < items.length; at += MAX_PATHS) this.jobs.push({ items: items.slice(at, at + MAX_PATHS), action, origin });
    for (const item of items) {
      share(item);
      item.pending = (item.pending ?? 0) + 1;
    }
    this.#updateStatus(items, (item) => applied(item.status, action));
    if (this.isWaiting) this.dispatchEvent(new Event("change"));
    this.#running ??= this.#run().finally(() => { this.#running = null; });
  }

  settled() { return this.#running ?? Promise.resolve(); }

  async #run() {
    while (this.jobs.length) {
      const [job] = this.jobs;
      const rejected = await this.#deliver(job);
      this.jobs.shift();
      for (const item of job.items) {
        if (!rejected.has(item)) item.confirmed = applied(item.confirmed, job.action);
        item.pending -= 1;
        item.sentAt = performance.now();
      }
      this.#revert(rejected, job);
      this.dispatchEvent(new Event("change"));
    }
  }

  #updateStatus(items, statusOf) {
    const changes = { unseen: 0, seen: 0, locked: 0, trashed: 0 };
    for (const item of items) {
      const before = item.status;
      item.status = statusOf(item);
      recount(changes, before, item.status);
    }
    this.dispatchEvent(new CustomEvent("counted", { detail: changes }));
  }

  // Retries until the server accepts or rejects the job. Returns the rejected items with the reasons.
  async #deliver(job) {
    for (let attempts = 1; ; attempts += 1) {
      try {
        const rejected = await send(job);
        this.#setWaiting(false);
        return rejected;
      } catch (error) {
        const isRetryable = !(error instanceof ApiError) || RETRYABLE_STATUSES.has(error.status) || (error.status === 500 && attempts < MAX_ATTEMPTS_ON_500);
        if (!isRetryable) return new Map(job.items.map((item) => [item, error.message]));
        this.#setWaiting(true);
        await sleep(Math.min(500 * 2 ** attempts, MAX_RETRY_DELAY_MS));
      }
    }
  }

  #setWaiting(isWaiting) {
    if (isWaiting === this.isWaiting) return;
    this.isWaiting = isWaiting;
    this.dispatchEvent(new Event("change"));
  }

  // Restores the server's status plus pending marks. A rejected step also cancels the following steps of the same origin.
  #revert(rejected, { action, origin }) {
    for (const next of rejected.size ? this.jobs.filter((job) => job.origin === origin) : []) {
      for (const item of next.items) if (rejected.has(item)) item.pending -= 1;
      next.items = next.items.filter((item) => !rejected.has(item));
    }
    this.jobs = this.jobs.filter((job) => job.items.length);
    const pendingJobs = (item) => this.jobs.filter((job) => job.items.includes(item));
    this.#updateStatus([...rejected.keys()], (item) => pendingJobs(item).reduce((status, job) => applied(status, job.action), item.confirmed));
    for (const reason of new Set(rejected.values())) {
      const items = [...rejected].filter(([, why]) => why === reason).map(([item]) => item);
      this.dispatchEvent(new CustomEvent("rejected", { detail: { items, action, origin, reason } }));
    }
  }
}

async function send({ items, action }) {
  if (items.length === 1) {
    await requestJson("/api/media-actions", { body: { path: items[0].exact, action } });
    return new Map();
  }
  const { results } = await requestJson("/api/media-items/batch", { body: { paths: items.map((item) => item.exact), action } });
  return new Map(results.flatMap(({ error }, at) => (error ? [[items[at], error]] : [])));
}
