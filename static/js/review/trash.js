// Emptying the trash: first a count, then a confirmation that cannot be given by accident, then the deletion of each file.
import { ApiError, request, requestJson, ndjsonLines } from "./api.js";
import { formatNumber, formatSize } from "./throughput.js";
import { shield } from "../shield.js";

const NAMES_SHOWN = 5;
const MAX_ERRORS_SHOWN = 50;
const HOLD_MS = 1500;
const SEPARATORS = /[\s.,']/g; // accepts the number as displayed: 4 990
const DOTS = { done: "ok", cancelled: "warn", failed: "bad" };
const COUNT_UPDATE_INTERVAL = 256; // files between two updates of the count
const STATES = { waiting: "waiting", working: "running", done: "done", cancelled: "stopped", failed: "failed" };
const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
const files = (count) => `${formatNumber(count)} ${count === 1 ? "file" : "files"}`;

// Describes the files that a trash run skips; `kept` counts them by the server's reason.
const describeKept = ({ locked, changed }, format) => [
  ...(locked ? [`${format(locked)} ${locked === 1 ? "is locked and stays" : "are locked and stay"}`] : []),
  ...(changed ? [`${format(changed)} ${changed === 1 ? "was replaced after it was trashed and stays" : "were replaced after they were trashed and stay"}`] : []),
];

// Lists errors by message, each message once: on a read-only card it is the same for every file.
class ErrorList {
  constructor(list) { Object.assign(this, { list, lines: new Map() }); }

  clear() {
    this.lines.clear();
    this.list.replaceChildren();
  }

  add({ path, message }) {
    const known = this.lines.get(message);
    if (known) known.line.textContent = `${files(known.count += 1)}: ${message}`;
    else if (this.lines.size < MAX_ERRORS_SHOWN) this.#addLine(nameOf(path), message);
  }

  #addLine(name, message) {
    const line = listItem(`${name}: ${message}`);
    this.lines.set(message, { count: 1, line });
    this.list.append(line);
  }
}

// Events: `emptied`, when files may have been deleted.
export class TrashDialog extends EventTarget {
  constructor(element, path) {
    super();
    Object.assign(this, { element, path, count: 0, stop: null });
    this.errorList = new ErrorList(this.find("errors"));
    this.find("confirm").addEventListener("submit", (event) => { event.preventDefault(); this.empty(); });
    this.find("cancel").addEventListener("click", () => this.stopRun());
    this.find("input").addEventListener("input", () => { this.find("delete").disabled = !this.#isConfirmed(); this.#showHint(false); });
    this.find("input").addEventListener("keydown", (event) => { if (event.key === "Enter") this.#showHint(!this.#isConfirmed()); });
    this.find("history").addEventListener("toggle", () => this.showHistory());
    element.addEventListener("close", () => this.dryRunRequest?.abort());
    this.#attachHold(this.find("hold"));
  }

  find(name) { return this.element.querySelector(`[data-trash-${name}]`); }

  async open() {
    this.element.showModal();
    shield();
    if (this.stop) return; // still running: the dialog was reopened
    for (const part of ["confirm", "run", "end"]) this.find(part).hidden = true;
    this.find("names").replaceChildren();
    this.errorList.clear();
    this.find("summary").textContent = "Counting…";
    try {
      this.confirm(await this.dryRun());
    } catch (error) {
      if (error.name !== "AbortError") this.#showFailure("The trash cannot be counted.", error.message);
    }
  }

  // A dry run: the number of files and bytes to delete, the first names, and how many files stay and why.
  async dryRun() {
    this.dryRunRequest = new AbortController();
    const found = { count: 0, bytes: 0, names: [], kept: { locked: 0, changed: 0 }, errors: new ErrorList(document.createElement("ul")) };
    const response = await request("/api/empty-trash?dry_run=1", { body: { path: this.path }, signal: this.dryRunRequest.signal });
    for await (const line of ndjsonLines(response)) {
      if (line.type === "would_delete") this.#addCandidate(found, line);
      if (line.type === "skipped") found.kept[line.reason] += 1;
      if (line.type === "error") found.errors.add(line);
      if (line.type === "done") found.bytes = line.bytes;
    }
    return found;
  }

  #addCandidate(found, line) {
    found.count += 1;
    if (found.names.length < NAMES_SHOWN) found.names.push(nameOf(line.path));
    if (found.count % COUNT_UPDATE_INTERVAL === 0) this.find("summary").textContent = `Counting… ${files(found.count)} so far`;
  }

  confirm({ count, bytes, names, kept, errors }) {
    this.count = count;
    const skipped = describeKept(kept, files).map((words) => ` ${words}.`).join("");
    this.find("summary").textContent = (count ? `${files(count)}, ${formatSize(bytes)}.` : "The trash is empty.") + skipped;
    this.find("names").replaceChildren(...names.map(listItem), ...(count > names.length ? [listItem(`and ${files(count - names.length)} more`)] : []), ...errors.list.children);
    this.find("confirm").hidden = !count;
    this.find("expected").textContent = count;
    this.find("input").value = "";
    this.find("delete").disabled = true;
    this.#showHint(false);
    if (count) this.find("input").focus(); else this.#end();
  }

  #isConfirmed() { return this.find("input").value.replace(SEPARATORS, "") === String(this.count); }

  // Enter does nothing while the button is disabled, so explain why.
  #showHint(isWrong) {
    this.find("input-error").hidden = !isWrong;
    this.find("input").setAttribute("aria-invalid", String(isWrong));
    this.find("input-error-text").textContent = isWrong ? `Nothing was deleted. Type ${this.count}, the number of files, to delete them.` : "";
  }

  async empty() {
    if (this.stop) return;
    this.stop = new AbortController();
    Object.assign(this, { run: null, isStopping: false });
    this.#setStoppable(true);
    for (const part of ["confirm", "end"]) this.find(part).hidden = true;
    this.find("run").hidden = false;
    this.element.focus(); // the pressed button is hidden; a second Enter must not press Stop
    for (const part of ["cancel", "progress"]) this.find(part).hidden = false;
    this.find("names").replaceChildren();
    this.#setNote("");
    this.find("progress").value = 0;
    const result = { deleted: 0, errors: 0, kept: { locked: 0, changed: 0 }, reason: "", isDone: false };
    try {
      await this.#follow(result);
      this.#showResult(result);
    } catch (error) {
      if (error instanceof ApiError) this.#showFailure("The trash run did not start.", error.message);
      else this.#showResult(result);
    } finally {
      this.stop = null;
      for (const part of ["cancel", "progress"]) this.find(part).hidden = true;
      this.#end();
      this.showHistory();
      this.dispatchEvent(new Event("emptied"));
    }
  }

  // The server finishes the current files and reports each one, so that the count stays correct.
  async stopRun() {
    this.isStopping = true;
    this.#setStoppable(false);
    try {
      await request(`/api/trash-runs/${this.run}/cancel`, { body: {} });
    } catch {
      this.stop?.abort(); // the server notices the closed connection
    }
  }

  #setStoppable(can) {
    this.find("cancel").disabled = !can;
    this.find("cancel").textContent = can ? "Stop" : "Stopping…";
  }

  async #follow(result) {
    const response = await request("/api/empty-trash", { body: { path: this.path }, signal: this.stop.signal });
    this.run = response.headers.get("X-Trash-Run");
    for await (const line of ndjsonLines(response)) {
      if (line.type === "deleting") this.find("note-text").textContent = nameOf(line.path);
      if (line.type === "deleted") result.deleted += 1;
      if (line.type === "skipped") result.kept[line.reason] += 1;
      if (line.type === "error") this.#addError(result, line);
      if (line.type === "done") result.isDone = true;
      this.find("progress").value = (result.deleted + result.errors) / Math.max(1, this.count);
      this.find("summary").textContent = `${formatNumber(result.deleted)} of ${files(this.count)} deleted`;
    }
  }

  // An error of the folder itself ends the whole trash run.
  #addError(result, line) {
    if (line.path === this.path) { result.reason = line.message; return; }
    result.errors += 1;
    this.errorList.add(line);
  }

  #showResult(result) {
    const parts = [`${files(result.deleted)} deleted`];
    if (result.errors) parts.push(`${formatNumber(result.errors)} could not be deleted`);
    parts.push(...describeKept(result.kept, formatNumber));
    const isIncomplete = result.deleted + result.errors < this.count;
    const prefix = result.reason ? "Aborted: " : (this.isStopping && isIncomplete ? "Stopped: " : "");
    this.find("summary").textContent = `${prefix}${parts.join(", ")}.`;
    this.#setNote(result.isDone ? result.reason : "The connection was lost. The trash history shows the result. If the server stopped, the run continues when it is back.", "warning");
  }

  #showFailure(summary, reason) {
    this.find("summary").textContent = summary;
    this.find("run").hidden = false;
    for (const part of ["cancel", "progress"]) this.find(part).hidden = true;
    this.#setNote(reason, "warning");
    this.#end();
  }

  // The only action left is to close the dialog.
  #end() {
    this.find("end").hidden = false;
    this.find("done").focus();
  }

  // Text below the progress bar: the current file, or with a level, a warning.
  #setNote(text, level = "") {
    this.find("note-text").textContent = text;
    this.find("note").classList.toggle("notice", Boolean(text && level));
  }

  async showHistory() {
    if (!this.find("history").open) return;
    try {
      const { items: runs } = await requestJson("/api/trash-runs");
      this.find("runs").replaceChildren(...(runs.length ? runs.map(runRow) : [listItem("No trash runs yet.")]));
    } catch (error) {
      this.find("runs").replaceChildren(listItem(error.message));
    }
  }

  // Hold with the pointer, Space or Enter: for users who cannot type the number, and for phones.
  #attachHold(button) {
    let timer = 0;
    const end = () => { clearTimeout(timer); button.classList.remove("is-held"); };
    const start = () => { end(); button.classList.add("is-held"); timer = setTimeout(() => { end(); this.empty(); }, HOLD_MS); };
    button.addEventListener("pointerdown", (event) => { if (event.button === 0) start(); });
    button.addEventListener("keydown", (event) => { if ((event.key === " " || event.key === "Enter") && !event.repeat) { event.preventDefault(); start(); } });
    for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) button.addEventListener(name, end);
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}

function listItem(text) {
  const line = document.createElement("li");
  line.className = "break";
  line.textContent = text;
  return line;
}

function runRow(run) {
  const line = listItem("");
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.dataset.status = run.state === "done" && run.errors ? "warn" : DOTS[run.state] ?? "unknown";
  const words = document.createElement("span");
  words.textContent = describeRun(run);
  line.append(dot, words);
  return line;
}

function describeRun(run) {
  const who = run.started_by ? ` by ${run.started_by}` : "";
  const where = run.path ? nameOf(run.path) : "all folders";
  const failed = run.errors - (run.state === "failed"); // the run's own failure counts as one error
  return `${when.format(new Date(run.started_at))}${who}, ${where}: ${STATES[run.state] ?? run.state}, ${files(run.deleted)}, ${formatSize(run.bytes_freed)}${failed > 0 ? `, ${formatNumber(failed)} could not be deleted` : ""}`;
}
