// After content appeared or disappeared under the pointer, a short-lived cover blocks clicks: they may be the second
// click of a double click on the previous content. The keyboard is not affected.
const SHIELD_MS = 400;

// Cover the whole page, or the area of the element that disappeared.
export function shield(gone = null) {
  const cover = document.createElement("div");
  cover.className = "shield";
  if (gone instanceof Element) {
    const { left, top, width, height } = gone.getBoundingClientRect();
    Object.assign(cover.style, { inset: `${top}px auto auto ${left}px`, width: `${width}px`, height: `${height}px` });
  }
  ([...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body).append(cover);
  setTimeout(() => cover.remove(), SHIELD_MS);
}
