// Marks on their way to the server: one request at a time, in the order they were made. The page has shown them already.
import { Refused, askJson } from "./api.js";
import { keep } from "./items.js";
import { applied, recount } from "./status.js";

const MAX_PATHS = 500;
const LONGEST_PAUSE_MS = 15_000;
const TRIES_OF_500 = 3;
const PASSES = new Set([429, 502, 503, 504]); // worth waiting for

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Events: `change` whenever something waits or does no more, `counted` with how many more each filter takes by what was
// added or taken back, `refused` with
// {items, action, origin, reason} of what is taken back; `origin` is what it was added with.
export class Queue extends EventTarget {
  jobs = [];
  isWaiting = false;
  #running = null;

  get size() { return this.jobs.reduce((sum, job) => sum + job.items.length, 0); }

  add(items, action, origin) {
    for (let at = 0; at < items.length; at += MAX_PATHS) this.jobs.push({ items: items.slice(at, at + MAX_PATHS), action, origin });
    for (const item of items) {
      keep(item);
      item.pending = (item.pending ?? 0) + 1;
    }
    this.#show(items, (item) => applied(item.status, action));
    if (this.isWaiting) this.dispatchEvent(new Event("change"));
    this.#running ??= this.#run().finally(() => { this.#running = null; });
  }

  settled() { return this.#running ?? Promise.resolve(); }

  async #run() {
    while (this.jobs.length) {
      const [job] = this.jobs;
      const refused = await this.#deliver(job);
      this.jobs.shift();
      for (const item of job.items) {
        if (!refused.has(item)) item.confirmed = applied(item.confirmed, job.action);
        item.pending -= 1;
        item.sentAt = performance.now();
      }
      this.#takeBack(refused, job);
      this.dispatchEvent(new Event("change"));
    }
  }

  #show(items, statusOf) {
    const more = { unseen: 0, seen: 0, locked: 0, trashed: 0 };
    for (const item of items) {
      const before = item.status;
      item.status = statusOf(item);
      recount(more, before, item.status);
    }
    this.dispatchEvent(new CustomEvent("counted", { detail: more }));
  }

  // Until the server has said yes or no: what it refused, with its reasons.
  async #deliver(job) {
    for (let tries = 1; ; tries += 1) {
      try {
        const refused = await send(job);
        this.#wait(false);
        return refused;
      } catch (error) {
        const passes = !(error instanceof Refused) || PASSES.has(error.status) || (error.status === 500 && tries < TRIES_OF_500);
        if (!passes) return new Map(job.items.map((item) => [item, error.message]));
        this.#wait(true);
        await sleep(Math.min(500 * 2 ** tries, LONGEST_PAUSE_MS));
      }
    }
  }

  #wait(isWaiting) {
    if (isWaiting === this.isWaiting) return;
    this.isWaiting = isWaiting;
    this.dispatchEvent(new Event("change"));
  }

  // As the server has them, with what is still on its way; a refused step of something is also the end of its next ones.
  #takeBack(refused, { action, origin }) {
    for (const next of refused.size ? this.jobs.filter((job) => job.origin === origin) : []) {
      for (const item of next.items) if (refused.has(item)) item.pending -= 1;
      next.items = next.items.filter((item) => !refused.has(item));
    }
    this.jobs = this.jobs.filter((job) => job.items.length);
    const left = (item) => this.jobs.filter((job) => job.items.includes(item));
    this.#show([...refused.keys()], (item) => left(item).reduce((status, job) => applied(status, job.action), item.confirmed));
    for (const reason of new Set(refused.values())) {
      const items = [...refused].filter(([, why]) => why === reason).map(([item]) => item);
      this.dispatchEvent(new CustomEvent("refused", { detail: { items, action, origin, reason } }));
    }
  }
}

async function send({ items, action }) {
  if (items.length === 1) {
    await askJson("/api/media-actions", { body: { path: items[0].exact, action } });
    return new Map();
  }
  const { results } = await askJson("/api/media-items/batch", { body: { paths: items.map((item) => item.exact), action } });
  return new Map(results.flatMap(({ error }, at) => (error ? [[items[at], error]] : [])));
}
