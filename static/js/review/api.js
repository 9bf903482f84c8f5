// API requests: responses, error messages, NDJSON streams, and the URLs of an item's pictures.
import { updateShared } from "./items.js";

const token = () => document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";

// An error response: `status` is the HTTP status, the message is the server's.
export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function request(url, { body, method = body === undefined ? "GET" : "POST", signal } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") Object.assign(headers, { "X-CSRFToken": token(), "Content-Type": "application/json" });
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const response = await fetch(url, { method, headers, body: sent, signal, credentials: "same-origin", cache: "no-store" }).catch(throwNetworkError);
  if (!response.ok || response.redirected) throw new ApiError(response.status, await errorMessage(response));
  return response;
}

// Replaces the browser's unhelpful message for a network error.
function throwNetworkError(error) {
  if (error.name === "AbortError") throw error;
  throw new Error("The server is not responding. Try again in a moment.");
}

export const requestJson = async (url, options) => (await request(url, options)).json();

async function errorMessage(response) {
  if (response.status === 401 || response.redirected) return "You are signed out. Reload the page to sign in again.";
  const body = await response.json().catch(() => ({}));
  return body.error || body.detail || `The server returned status ${response.status}. Try again, or reload the page.`;
}

// Yields each parsed line of an NDJSON response as soon as it is complete.
export async function* ndjsonLines(response) {
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

// Returns one page of items. Reads it as text, which keeps the connection open for the next request: Chromium closes it
// after a no-store stream has been read to its end.
export async function fetchItems(query, { signal } = {}) {
  const requestedAt = performance.now();
  const response = await request(`/api/media-items/stream?${new URLSearchParams(query)}`, { signal });
  const lines = (await response.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  if (lines.pop()?.type !== "done") throw new Error("The list is incomplete: the folder's volume may not be available. Try again.");
  return lines.map((line) => updateShared(toItem(line), requestedAt));
}

// The page's own form of an API item. `quoted` is its path for URLs, also exact for names that are not UTF-8;
// `confirmed` is its status on the server, `status` the one shown to the user.
function toItem(line) {
  const quoted = /[?&]path=([^&]*)/.exec(line.thumbnailUrl)?.[1] ?? encodeURIComponent(line.path);
  return {
    path: line.path,
    exact: line.path.includes("\uFFFD") ? exactPath(quoted) : line.path,
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

// Bytes that are not UTF-8 become lone surrogates, as in the server's JSON.
function exactPath(quoted) {
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

export const thumbnailUrl = (item, size) => `/api/media-thumbnail?path=${item.quoted}&size=${size}&v=${item.version}`;
// The factor by which to enlarge a square thumbnail so that its picture, without the padding, fills a 4:3 frame.
export function thumbnailScale({ width, height }) {
  if (!width || !height) return 1;
  const ratio = width / height;
  return Math.max(1, ratio * 0.75, 1 / ratio) * Math.max(1, 256 / Math.max(width, height));
}

export const fileUrl = (item) => `/api/media-file?path=${item.quoted}&v=${item.version}`;
