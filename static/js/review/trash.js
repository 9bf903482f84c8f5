// Emptying the trash: first how much it is, then a confirmation that one does not give by accident, then each file.
import { Refused, ask, askJson, linesOf } from "./api.js";
import { inDigits, sizeInWords } from "./throughput.js";
import { shield } from "../shield.js";

const NAMES_SHOWN = 5;
const TROUBLES_SHOWN = 50;
const HOLD_MS = 1500;
const SPACING = /[\s.,']/g; // of one who types 4 990 as it is shown
const DOTS = { done: "ok", cancelled: "warn", failed: "bad" };
const COUNTED = 256; // between two words of how many were counted
const STATES = { waiting: "waiting", working: "running", done: "done", cancelled: "stopped", failed: "failed" };
const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
const files = (count) => `${inDigits(count)} ${count === 1 ? "file" : "files"}`;

// What an emptying skips, in words: `kept` are how many by the server's reason.
const whatStays = ({ locked, changed }, told) => [
  ...(locked ? [`${told(locked)} ${locked === 1 ? "is locked and stays" : "are locked and stay"}`] : []),
  ...(changed ? [`${told(changed)} ${changed === 1 ? "came after what was trashed under its name, and stays" : "came after what was trashed under their names, and stay"}`] : []),
];

// What stays and why, each reason once: a read-only card has the same one for every file.
class Troubles {
  constructor(list) { Object.assign(this, { list, told: new Map() }); }

  clear() {
    this.told.clear();
    this.list.replaceChildren();
  }

  add({ path, message }) {
    const known = this.told.get(message);
    if (known) known.line.textContent = `${files(known.count += 1)}: ${message}`;
    else if (this.told.size < TROUBLES_SHOWN) this.#begin(nameOf(path), message);
  }

  #begin(name, message) {
    const line = row(`${name}: ${message}`);
    this.told.set(message, { count: 1, line });
    this.list.append(line);
  }
}

// Events: `emptied`, when files may have gone.
export class TrashDialog extends EventTarget {
  constructor(element, path) {
    super();
    Object.assign(this, { element, path, count: 0, stop: null });
    this.troubles = new Troubles(this.find("troubles"));
    this.find("confirm").addEventListener("submit", (event) => { event.preventDefault(); this.empty(); });
    this.find("cancel").addEventListener("click", () => this.halt());
    this.find("typed").addEventListener("input", () => { this.find("go").disabled = !this.#isConfirmed(); this.#explain(false); });
    this.find("typed").addEventListener("keydown", (event) => { if (event.key === "Enter") this.#explain(!this.#isConfirmed()); });
    this.find("history").addEventListener("toggle", () => this.showHistory());
    element.addEventListener("close", () => this.trial?.abort());
    this.#watchHold(this.find("hold"));
  }

  find(name) { return this.element.querySelector(`[data-trash-${name}]`); }

  async open() {
    this.element.showModal();
    shield();
    if (this.stop) return; // it is running: one came back to look
    for (const part of ["confirm", "run", "end"]) this.find(part).hidden = true;
    this.find("names").replaceChildren();
    this.troubles.clear();
    this.find("sum").textContent = "Counting…";
    try {
      this.ask(await this.survey());
    } catch (error) {
      if (error.name !== "AbortError") this.#refuse("The trash cannot be counted.", error.message);
    }
  }

  // What would go: how many files, how many bytes, the first names, how many stay and why.
  async survey() {
    this.trial = new AbortController();
    const found = { count: 0, bytes: 0, names: [], kept: { locked: 0, changed: 0 }, errors: new Troubles(document.createElement("ul")) };
    const response = await ask("/api/empty-trash?dry_run=1", { body: { path: this.path }, signal: this.trial.signal });
    for await (const line of linesOf(response)) {
      if (line.type === "would_delete") this.#counted(found, line);
      if (line.type === "skipped") found.kept[line.reason] += 1;
      if (line.type === "error") found.errors.add(line);
      if (line.type === "done") found.bytes = line.bytes;
    }
    return found;
  }

  #counted(found, line) {
    found.count += 1;
    if (found.names.length < NAMES_SHOWN) found.names.push(nameOf(line.path));
    if (found.count % COUNTED === 0) this.find("sum").textContent = `Counting… ${files(found.count)} so far`;
  }

  ask({ count, bytes, names, kept, errors }) {
    this.count = count;
    const stay = whatStays(kept, files).map((words) => ` ${words}.`).join("");
    this.find("sum").textContent = (count ? `${files(count)}, ${sizeInWords(bytes)}.` : "The trash is empty.") + stay;
    this.find("names").replaceChildren(...names.map(row), ...(count > names.length ? [row(`and ${files(count - names.length)} more`)] : []), ...errors.list.children);
    this.find("confirm").hidden = !count;
    this.find("word").textContent = count;
    this.find("typed").value = "";
    this.find("go").disabled = true;
    this.#explain(false);
    if (count) this.find("typed").focus(); else this.#end();
  }

  #isConfirmed() { return this.find("typed").value.replace(SPACING, "") === String(this.count); }

  // A disabled button leaves Enter without an answer.
  #explain(isWrong) {
    this.find("wrong").hidden = !isWrong;
    this.find("typed").setAttribute("aria-invalid", String(isWrong));
    this.find("why").textContent = isWrong ? `Nothing was deleted. Type ${this.count}, the number of files, to delete them.` : "";
  }

  async empty() {
    if (this.stop) return;
    this.stop = new AbortController();
    Object.assign(this, { run: null, isHalted: false });
    this.#offerStop(true);
    for (const part of ["confirm", "end"]) this.find(part).hidden = true;
    this.find("run").hidden = false;
    this.element.focus(); // what was pressed is gone; a second Enter must not press Stop
    for (const part of ["cancel", "progress"]) this.find(part).hidden = false;
    this.find("names").replaceChildren();
    this.#note("");
    this.find("progress").value = 0;
    const result = { deleted: 0, errors: 0, kept: { locked: 0, changed: 0 }, reason: "", isDone: false };
    try {
      await this.#follow(result);
      this.#showResult(result);
    } catch (error) {
      if (error instanceof Refused) this.#refuse("The emptying did not begin.", error.message);
      else this.#showResult(result);
    } finally {
      this.stop = null;
      for (const part of ["cancel", "progress"]) this.find(part).hidden = true;
      this.#end();
      this.showHistory();
      this.dispatchEvent(new Event("emptied"));
    }
  }

  // The server ends after the files in hand and reports each until then, so that the count is what is gone.
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
      if (line.type === "skipped") result.kept[line.reason] += 1;
      if (line.type === "error") this.#failed(result, line);
      if (line.type === "done") result.isDone = true;
      this.find("progress").value = (result.deleted + result.errors) / Math.max(1, this.count);
      this.find("sum").textContent = `${inDigits(result.deleted)} of ${files(this.count)} deleted`;
    }
  }

  // An error of the folder itself is why the whole emptying ended.
  #failed(result, line) {
    if (line.path === this.path) { result.reason = line.message; return; }
    result.errors += 1;
    this.troubles.add(line);
  }

  #showResult(result) {
    const parts = [`${files(result.deleted)} deleted`];
    if (result.errors) parts.push(`${inDigits(result.errors)} could not be deleted`);
    parts.push(...whatStays(result.kept, inDigits));
    const isShort = result.deleted + result.errors < this.count;
    const how = result.reason ? "Broken off: " : (this.isHalted && isShort ? "Stopped: " : "");
    this.find("sum").textContent = `${how}${parts.join(", ")}.`;
    this.#note(result.isDone ? result.reason : "The connection was lost: the trash history shows how it ended. If the server stopped, it goes on when it is back.", "warning");
  }

  #refuse(sum, reason) {
    this.find("sum").textContent = sum;
    this.find("run").hidden = false;
    for (const part of ["cancel", "progress"]) this.find(part).hidden = true;
    this.#note(reason, "warning");
    this.#end();
  }

  // Nothing is left to do here but to leave.
  #end() {
    this.find("end").hidden = false;
    this.find("done").focus();
  }

  // Under the bar: the file in hand, or with a level what one should know.
  #note(text, level = "") {
    this.find("now").textContent = text;
    this.find("note").classList.toggle("notice", Boolean(text && level));
  }

  async showHistory() {
    if (!this.find("history").open) return;
    try {
      const told = await askJson("/api/trash-runs");
      const runs = told.items;
      this.find("runs").replaceChildren(...(runs.length ? runs.map(rowOfRun) : [row("None yet.")]));
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

function rowOfRun(run) {
  const line = row("");
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.dataset.status = run.state === "done" && run.errors ? "warn" : DOTS[run.state] ?? "unknown";
  const words = document.createElement("span");
  words.textContent = runInWords(run);
  line.append(dot, words);
  return line;
}

function runInWords(run) {
  const who = run.started_by ? ` by ${run.started_by}` : "";
  const where = run.path ? nameOf(run.path) : "all folders";
  const left = run.errors - (run.state === "failed"); // its own failure counts as one
  return `${when.format(new Date(run.started_at))}${who}, ${where}: ${STATES[run.state] ?? run.state}, ${files(run.deleted)}, ${sizeInWords(run.bytes_freed)}${left > 0 ? `, ${inDigits(left)} could not be deleted` : ""}`;
}
