// How fast one gets on: files left behind in the last minutes, and how long the rest takes at that.
const WINDOW_MS = 5 * 60_000;
const LEAST_MS = 10_000;

export class Pace {
  #moments = [];

  step() {
    const now = performance.now();
    this.#moments.push(now);
    while (now - this.#moments[0] > WINDOW_MS) this.#moments.shift();
  }

  // Files a minute; null while it is too early to say.
  get perMinute() {
    const span = performance.now() - this.#moments[0];
    return this.#moments.length > 3 && span > LEAST_MS ? (60_000 * this.#moments.length) / span : null;
  }
}

const apart = new Intl.NumberFormat("en", { useGrouping: true });
export const inDigits = (number) => apart.format(number).replaceAll(",", "\u202f");

function lasting(minutes) {
  if (minutes < 1) return "under a minute left";
  return minutes < 90 ? `${Math.round(minutes)} min left` : `${Math.round(minutes / 60)} h left`;
}

export function progressInWords(place, total, isWhole, perMinute) {
  const words = [`${inDigits(place + 1)} of ${inDigits(total)}${isWhole ? "" : "+"}`, `${Math.floor((100 * (place + 1)) / Math.max(1, total))} %`];
  if (perMinute) words.push(`${inDigits(Math.round(perMinute))} a minute`, lasting((total - place - 1) / perMinute));
  return words.join(" · ");
}

export function sizeInWords(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [size, unit] = [bytes, 0];
  while (size >= 999.5 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${unit && size < 99.95 ? size.toFixed(1).replace(/\.0$/, "") : Math.round(size)} ${units[unit]}`;
}
