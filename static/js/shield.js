// For a moment after something came or went under the pointer, no click reaches what is there now: it may be the second
// one on what was there before. The keyboard is not held up.
const SHIELD_MS = 400;

// Over all of the page, or over the element that went.
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
