// A picture that does not load: the server, or else its answer, tells why.
import { NO_ANSWER } from "./http.js";

// Puts a sentence in the place of `picture`; answers the status of the server's answer, if there was one.
export async function tellWhy(picture) {
  if (picture.hidden) return undefined; // it is being told
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
  if (response.status === 404 && error === "File not found") return "This picture is not in the camera's folder any more.";
  return error ?? "This picture cannot be shown now.";
}
