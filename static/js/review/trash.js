// Emptying the trash: first how much it is, then a confirmation that one does not give by accident, then each file.
import { Refused, ask, askJson, linesOf } from "./api.js";
import { inDigits, sizeInWords } from "./pace.js";

const NAMES_SHOWN = 5;
const TROUBLES_SHOWN = 50;
const HOLD_MS = 1500;
const SPACING = /[\s.,']/g; // of one who types 4 990 as it is shown
const STATES = { waiting: "waiting", working: "running", done: "done", cancelled: "stopped", failed: "failed" };
const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
const files = (count) => `${inDigits(count)} ${count === 1 ? "file" : "files"}`;

// Events: `emptied`, when files may have gone.
export class TrashDialog extends EventTarget {
  constructor(element, path) {
    super();
    Object.assign(this, { element, path, count: 0, stop: null });
    this.find("go").addEventListener("click", () => this.empty());
    this.find("cancel").addEventListener("click", () => this.halt());
    this.find("typed").addEventListener("input", () => { this.find("go").disabled = this.find("typed").value.replace(SPACING, "") !== String(this.count); });
    this.find("history").addEventListener("toggle", () => this.tellHistory());
    element.addEventListener("close", () => this.trial?.abort());
    this.#watchHold(this.find("hold"));
  }

  find(name) { return this.element.querySelector(`[data-trash-${name}]`); }

  async open() {
    this.element.showModal();
    if (this.stop) return; // it is running: one came back to look
    for (const part of ["confirm", "run"]) this.find(part).hidden = true;
    for (const part of ["names", "troubles"]) this.find(part).replaceChildren();
    this.find("sum").textContent = "Counting…";
    try {
      this.ask(await this.survey());
    } catch (error) {
      if (error.name !== "AbortError") this.find("sum").textContent = error.message;
    }
  }

  // What would go: how many files, how many bytes, the first names, how many locked ones stay.
  async survey() {
    this.trial = new AbortController();
    const found = { count: 0, bytes: 0, names: [], locked: 0, errors: [] };
    const response = await ask("/api/empty-trash?dry_run=1", { body: { path: this.path }, signal: this.trial.signal });
    for await (const line of linesOf(response)) {
      if (line.type === "would_delete") { found.count += 1; if (found.names.length < NAMES_SHOWN) found.names.push(nameOf(line.path)); }
      if (line.type === "skipped") found.locked += 1;
      if (line.type === "error" && found.errors.length < TROUBLES_SHOWN) found.errors.push(`${nameOf(line.path)}: ${line.message}`);
      if (line.type === "done") found.bytes = line.bytes;
    }
    return found;
  }

  ask({ count, bytes, names, locked, errors }) {
    this.count = count;
    const kept = locked ? ` ${files(locked)} ${locked === 1 ? "is" : "are"} locked and ${locked === 1 ? "stays" : "stay"}.` : "";
    this.find("sum").textContent = (count ? `${files(count)}, ${sizeInWords(bytes)}.` : "The trash is empty.") + kept;
    this.find("names").replaceChildren(...names.map(row), ...(count > names.length ? [row(`and ${files(count - names.length)} more`)] : []), ...errors.map(row));
    this.find("confirm").hidden = !count;
    this.find("word").textContent = count;
    this.find("typed").value = "";
    this.find("go").disabled = true;
    if (count) this.find("typed").focus();
  }

  async empty() {
    if (this.stop) return;
    this.stop = new AbortController();
    Object.assign(this, { run: null, isHalted: false });
    this.#offerStop(true);
    this.find("confirm").hidden = true;
    this.find("run").hidden = false;
    this.find("cancel").hidden = false;
    this.find("names").replaceChildren();
    this.find("progress").value = 0;
    const result = { deleted: 0, errors: 0, skipped: 0, isDone: false };
    try {
      await this.#follow(result);
      this.#tell(result);
    } catch (error) {
      this.#tell(result, error);
    } finally {
      this.stop = null;
      this.find("cancel").hidden = true;
      this.tellHistory();
      this.dispatchEvent(new Event("emptied"));
    }
  }

  // The server ends after the files in hand and tells of each until then, so that the count is what is gone.
  async halt() {
    this.isHalted = true;
    this.#offerStop(false);
    try {
      await ask(`/api/trash-runs/${this.run}/cancel`, { body: {} });
    } catch {
      this.stop?.abort(); // it notices that nobody listens any more
    }
  }

  #offerStop(can) {
    this.find("cancel").disabled = !can;
    this.find("cancel").textContent = can ? "Stop" : "Stopping…";
  }

  async #follow(result) {
    const response = await ask("/api/empty-trash", { body: { path: this.path }, signal: this.stop.signal });
    this.run = response.headers.get("X-Trash-Run");
    for await (const line of linesOf(response)) {
      if (line.type === "deleting") this.find("now").textContent = nameOf(line.path);
      if (line.type === "deleted") result.deleted += 1;
      if (line.type === "skipped") result.skipped += 1;
      if (line.type === "error") { result.errors += 1; this.#trouble(`${nameOf(line.path)}: ${line.message}`); }
      if (line.type === "done") result.isDone = true;
      this.find("progress").value = (result.deleted + result.errors) / Math.max(1, this.count);
      this.find("sum").textContent = `${inDigits(result.deleted)} of ${files(this.count)} deleted`;
    }
  }

  #trouble(text) {
    if (this.find("troubles").children.length < TROUBLES_SHOWN) this.find("troubles").append(row(text));
  }

  #tell(result, error = null) {
    const parts = [`${files(result.deleted)} deleted`];
    if (result.errors) parts.push(`${files(result.errors)} could not be deleted`);
    if (result.skipped) parts.push(`${files(result.skipped)} locked, left`);
    const isShort = result.deleted + result.errors < this.count;
    this.find("sum").textContent = `${this.isHalted && isShort ? "Stopped: " : ""}${parts.join(", ")}.`;
    const isCut = error ? !(error instanceof Refused) : !result.isDone;
    this.find("now").textContent = isCut ? "The connection was lost: earlier emptyings tell how it ended. If the server stopped, it goes on when it is back." : (error?.message ?? "");
  }

  async tellHistory() {
    if (!this.find("history").open) return;
    try {
      const told = await askJson("/api/trash-runs");
      const runs = told.items;
      this.find("runs").replaceChildren(...(runs.length ? runs.map((run) => row(runInWords(run))) : [row("None yet.")]));
    } catch (error) {
      this.find("runs").replaceChildren(row(error.message));
    }
  }

  // Held with the pointer, or with Space or Enter: for people who cannot type, and for phones.
  #watchHold(button) {
    let timer = 0;
    const end = () => { clearTimeout(timer); button.classList.remove("is-held"); };
    const begin = () => { end(); button.classList.add("is-held"); timer = setTimeout(() => { end(); this.empty(); }, HOLD_MS); };
    button.addEventListener("pointerdown", (event) => { if (event.button === 0) begin(); });
    button.addEventListener("keydown", (event) => { if ((event.key === " " || event.key === "Enter") && !event.repeat) { event.preventDefault(); begin(); } });
    for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) button.addEventListener(name, end);
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}

function row(text) {
  const line = document.createElement("li");
  line.className = "break";
  line.textContent = text;
  return line;
}

function runInWords(run) {
  const who = run.started_by ? ` by ${run.started_by}` : "";
  const where = run.path ? nameOf(run.path) : "all folders";
  return `${when.format(new Date(run.started_at))}${who}, ${where}: ${STATES[run.state] ?? run.state}, ${files(run.deleted)}, ${sizeInWords(run.bytes_freed)}${run.errors ? `, ${run.errors} failed` : ""}`;
}
