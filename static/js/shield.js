// For a moment after something came or went under the pointer, no click reaches what is there now: it may be the second
// one on what was there before. The keyboard is not held up.
const SHIELD_MS = 400;

export function shield() {
  const cover = document.createElement("div");
  cover.className = "shield";
  ([...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body).append(cover);
  setTimeout(() => cover.remove(), SHIELD_MS);
}
