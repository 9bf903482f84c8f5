// A picture that does not load: the reason, as the server gives it.
import { NO_ANSWER } from "./http.js";

// Puts a sentence in the place of `picture`; returns the status of the response, if there was one.
export async function showReason(picture) {
  if (picture.hidden) return undefined; // its reason is on the way
  picture.hidden = true;
  const response = await fetch(picture.src, { credentials: "same-origin" }).catch(() => null);
  const { error } = (await response?.json().catch(() => null)) ?? {};
  const note = document.createElement("p");
  note.className = "no-picture";
  note.textContent = sentenceFor(response, error);
  picture.after(note);
  return response?.status;
}

function sentenceFor(response, error) {
  if (!response) return NO_ANSWER;
  if (response.ok) return "This picture cannot be shown: it is empty, damaged, cut short or too large. Download it to look closer.";
  if (response.status === 404 && error === "File not found") return "This picture is no longer in the camera's folder.";
  return error ?? "This picture cannot be shown now.";
}
