// Shows why an image did not load, as reported by the server.
import { SERVER_UNREACHABLE } from "./http.js";

// Replaces `picture` with an error message. Returns the HTTP status of the response, if there was one.
export async function showImageError(picture) {
  if (picture.hidden) return undefined; // its error is being fetched already
  picture.hidden = true;
  const response = await fetch(picture.src, { credentials: "same-origin" }).catch(() => null);
  const { error } = (await response?.json().catch(() => null)) ?? {};
  const note = document.createElement("p");
  note.className = "no-picture";
  note.textContent = errorMessage(response, error);
  picture.after(note);
  return response?.status;
}

function errorMessage(response, error) {
  if (!response) return SERVER_UNREACHABLE;
  if (response.ok) return "This picture cannot be shown: it is empty, damaged, cut short or too large. Download it to check.";
  if (response.status === 404 && error === "File not found") return "This picture is no longer in the camera's folder.";
  return error ?? "This picture cannot be shown now.";
}
