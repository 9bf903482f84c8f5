// Shared by every page: live ages, toasts (toasts.js), dialogs, the user menu, the theme, password fields.
import "./toasts.js";
import { shield } from "./shield.js";

// Ages. The wording matches the template filter `age`.
const MINUTE = 60, HOUR = 3600, DAY = 86400;

function formatAge(seconds) {
  if (seconds < 1) return "now";
  if (seconds < MINUTE) return `${seconds} s ago`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  const days = Math.floor(seconds / DAY);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

// Ages use the server's clock where a script measured the difference (live.js does): a tablet's own clock may be wrong.
const skewMs = () => Number(document.documentElement.dataset.clockSkewMs ?? 0);

function showAges() {
  const now = Date.now() + skewMs();
  for (const time of document.querySelectorAll("time[data-age][datetime]")) {
    const at = Date.parse(time.dateTime);
    const text = Number.isNaN(at) ? "never" : formatAge(Math.floor((now - at) / 1000));
    if (time.textContent !== text) time.textContent = text;
  }
}

const exactTimeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function showExactTime(event) {
  const time = event.target.closest?.("time[datetime]");
  if (time?.dateTime) time.title = exactTimeFormat.format(new Date(time.dateTime));
}

setInterval(showAges, 1000);
showAges();
document.addEventListener("ages", showAges);
document.addEventListener("pointerover", showExactTime);

// Dialogs: <button data-dialog-open="id">; "?" opens the keyboard shortcuts.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) { document.getElementById(opener.dataset.dialogOpen)?.showModal(); shield(); }
  if (event.target instanceof HTMLDialogElement) event.target.close(); // a click on the backdrop
});
document.addEventListener("close", shield, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || event.target.closest("input, textarea, select, [contenteditable]")) return;
  const keys = document.getElementById("keys");
  if (keys && !keys.open) keys.showModal();
});

// A click outside the menu, or Escape, closes it.
const menu = document.querySelector("[data-menu]");
document.addEventListener("click", (event) => { if (menu?.open && !menu.contains(event.target)) menu.open = false; });
menu?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// Theme: light, dark or the system's scheme, stored under the key that the Django admin uses as well.
const choices = document.querySelectorAll("[data-theme-choice]");

function storedTheme() {
  try { return localStorage.getItem("theme") || "auto"; } catch { return "auto"; }
}

function chooseTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("theme", theme); } catch { /* without storage, the choice lasts until the page is left */ }
  markTheme(theme);
}

function markTheme(theme) {
  for (const choice of choices) choice.setAttribute("aria-pressed", String(choice.dataset.themeChoice === theme));
}

markTheme(storedTheme());
for (const choice of choices) choice.addEventListener("click", () => chooseTheme(choice.dataset.themeChoice));

// Buttons that show or hide a password.
for (const button of document.querySelectorAll("[data-reveal]")) {
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.reveal);
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
    button.setAttribute("aria-pressed", String(!shown));
  });
}
