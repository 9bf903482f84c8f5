// Times are in the camera's time zone. Hide its name from users in the same time zone.
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function hideOwnZone(root = document) {
  for (const zone of root.querySelectorAll("[data-zone]")) zone.toggleAttribute("data-own-zone", zone.dataset.zone === own);
}
