// How fast one gets on: files left behind in the last minutes, and how long the rest takes at that.
const WINDOW_MS = 5 * 60_000;
const MIN_MS = 10_000;

export class Pace {
  #moments = [];

  step() {
    const now = performance.now();
    this.#moments.push(now);
    while (now - this.#moments[0] > WINDOW_MS) this.#moments.shift();
  }

  // Files a minute; null while it is too early to know.
  get perMinute() {
    const span = performance.now() - this.#moments[0];
    return this.#moments.length > 3 && span > MIN_MS ? (60_000 * this.#moments.length) / span : null;
  }
}

const apart = new Intl.NumberFormat("en", { useGrouping: true });
export const inDigits = (number) => apart.format(number).replaceAll(",", "\u202f");

function lasting(minutes) {
  if (minutes < 1) return "under a minute left";
  return minutes < 90 ? `${Math.round(minutes)} min left` : `${Math.round(minutes / 60)} h left`;
}

// What was reviewed of all there is, wherever one stands.
export function progressInWords({ all, seen, unseen }, perMinute) {
  const words = [`${inDigits(seen)} of ${inDigits(all)} reviewed`, `${Math.floor((100 * seen) / Math.max(1, all))} %`];
  if (perMinute) words.push(`${inDigits(Math.round(perMinute))} a minute`, unseen ? lasting(unseen / perMinute) : "none left");
  return words.join(" · ");
}

export function sizeInWords(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [size, unit] = [bytes, 0];
  while (size >= 999.5 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${unit && size < 99.95 ? size.toFixed(1).replace(/\.0$/, "") : Math.round(size)} ${units[unit]}`;
}
