// Asking our API: answers, refusals in words, lines of JSON as they arrive; and the addresses of an item's pictures.
import { adopt } from "./items.js";

const token = () => document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";

// The server's no: `status` is its HTTP status, the message its sentence.
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function ask(url, { body, method = body === undefined ? "GET" : "POST", signal } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") Object.assign(headers, { "X-CSRFToken": token(), "Content-Type": "application/json" });
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const response = await fetch(url, { method, headers, body: sent, signal, credentials: "same-origin", cache: "no-store" }).catch(inWords);
  if (!response.ok || response.redirected) throw new Refused(response.status, await reasonOf(response));
  return response;
}

// The browser's own words for a server that is away help nobody.
function inWords(error) {
  if (error.name === "AbortError") throw error;
  throw new Error("The server does not answer. Try again in a moment.");
}

export const askJson = async (url, options) => (await ask(url, options)).json();

async function reasonOf(response) {
  if (response.status === 401 || response.redirected) return "You are signed out. Reload the page to sign in again.";
  const body = await response.json().catch(() => ({}));
  return body.error || body.detail || `The server answered ${response.status}. Try again, or reload the page.`;
}

// Each line of an NDJSON answer, parsed, as soon as it is whole.
export async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
  if (rest.trim()) yield JSON.parse(rest);
}

// A page of items is wanted whole: as text it leaves the connection open for the next, while Chromium cuts it after a
// stream that may not be stored was read to its end.
export async function itemsOf(query, { signal } = {}) {
  const askedAt = performance.now();
  const response = await ask(`/api/media-items/stream?${new URLSearchParams(query)}`, { signal });
  const lines = (await response.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  if (lines.pop()?.type !== "done") throw new Error("The list broke off: the folder's volume may be away. Try again.");
  return lines.map((line) => adopt(known(line), askedAt));
}

// What the page keeps of an item. `quoted` is its path in addresses, exact for names that are no UTF-8 as well;
// `confirmed` is its status as the server knows it, `status` as the person sees it.
function known(line) {
  const quoted = /[?&]path=([^&]*)/.exec(line.thumbnailUrl)?.[1] ?? encodeURIComponent(line.path);
  return {
    path: line.path,
    exact: line.path.includes("\uFFFD") ? exactly(quoted) : line.path,
    quoted,
    name: line.name,
    isVideo: line.mediaType === "video",
    sizeBytes: line.sizeBytes,
    modifiedAt: line.modifiedAt,
    version: encodeURIComponent(line.modifiedAt),
    width: line.metadata.width,
    height: line.metadata.height,
    seconds: line.metadata.duration_seconds,
    status: line.status,
    confirmed: line.status,
  };
}

// Bytes that are no UTF-8 become lone surrogates, which is how the server's JSON names them.
function exactly(quoted) {
  const bytes = quoted.replace(/%([0-9A-Fa-f]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
  return bytes.replace(/[\x80-\xff]+/g, (run) => {
    const raw = Uint8Array.from(run, (letter) => letter.charCodeAt(0));
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(raw);
    } catch {
      return [...raw].map((byte) => String.fromCharCode(0xdc00 + byte)).join("");
    }
  });
}

export const thumbnailOf = (item, size) => `/api/media-thumbnail?path=${item.quoted}&size=${size}&v=${item.version}`;
// How much a square thumbnail is to be enlarged so that its picture fills a frame of 4 by 3, without what was added to it.
export function fillOf({ width, height }) {
  if (!width || !height) return 1;
  const ratio = width / height;
  return Math.max(1, ratio * 0.75, 1 / ratio) * Math.max(1, 256 / Math.max(width, height));
}

export const fileOf = (item) => `/api/media-file?path=${item.quoted}&v=${item.version}`;
