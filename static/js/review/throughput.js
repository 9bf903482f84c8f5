// Review speed: files reviewed in the last minutes, and the estimated remaining time.
const WINDOW_MS = 5 * 60_000;
const MIN_SPAN_MS = 10_000;

export class Throughput {
  #timestamps = [];

  step() {
    const now = performance.now();
    this.#timestamps.push(now);
    while (now - this.#timestamps[0] > WINDOW_MS) this.#timestamps.shift();
  }

  // Files per minute; null while there is too little data.
  get perMinute() {
    const span = performance.now() - this.#timestamps[0];
    return this.#timestamps.length > 3 && span > MIN_SPAN_MS ? (60_000 * this.#timestamps.length) / span : null;
  }
}

const numberFormat = new Intl.NumberFormat("en", { useGrouping: true });
export const formatNumber = (number) => numberFormat.format(number).replaceAll(",", "\u202f");

function formatRemaining(minutes) {
  if (minutes < 1) return "under a minute left";
  return minutes < 90 ? `${Math.round(minutes)} min left` : `${Math.round(minutes / 60)} h left`;
}

// How many of all files were reviewed, independent of the current position.
export function formatProgress({ all, seen, unseen }, perMinute) {
  const words = [`${formatNumber(seen)} of ${formatNumber(all)} reviewed`, `${Math.floor((100 * seen) / Math.max(1, all))} %`];
  if (perMinute) words.push(`${formatNumber(Math.round(perMinute))} per minute`, unseen ? formatRemaining(unseen / perMinute) : "none left");
  return words.join(" · ");
}

export function formatSize(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [size, unit] = [bytes, 0];
  while (size >= 999.5 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${unit && size < 99.95 ? size.toFixed(1).replace(/\.0$/, "") : Math.round(size)} ${units[unit]}`;
}
