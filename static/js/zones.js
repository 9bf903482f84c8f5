// Times are the camera's. Who lives in the same zone need not be told which it is.
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function hideOwnZone(root = document) {
  for (const zone of root.querySelectorAll("[data-zone]")) zone.toggleAttribute("data-own-zone", zone.dataset.zone === own);
}
