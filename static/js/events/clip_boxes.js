// The boxes of what was found, over the clip as it plays.
const TOLERANCE_MS = 450; // a clip longer or shorter than what is known of it lacks a piece: boxes would lie elsewhere

let hidden = false;

export function drawClipBoxes() {
  const stage = document.querySelector("[data-clip-stage]");
  const video = stage?.querySelector("video");
  const boxes = [...(stage?.querySelectorAll("[data-from-ms]") ?? [])];
  if (!video || !boxes.length) return;
  document.querySelector("[data-boxes]")?.setAttribute("aria-pressed", String(!hidden)); // a page's button knows of nothing
  const draw = () => {
    const ms = video.currentTime * 1000;
    const isKnown = !hidden && showsItself(video) && fits(video, stage.dataset.lengthMs);
    for (const each of boxes) each.toggleAttribute("hidden", !isKnown || ms < each.dataset.fromMs || ms >= each.dataset.toMs);
  };
  const drawEach = () => {
    draw();
    if (video.isConnected) video.requestVideoFrameCallback?.(drawEach);
  };
  for (const name of ["loadedmetadata", "timeupdate", "seeked", "boxes"]) video.addEventListener(name, draw);
  drawEach();
}

// Before, one sees the poster: another picture.
function showsItself(video) {
  return video.currentTime > 0 || video.played.length > 0;
}

function fits(video, lengthMs) {
  return Number.isFinite(video.duration) && (!lengthMs || Math.abs(video.duration * 1000 - lengthMs) < TOLERANCE_MS);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-boxes]");
  if (!button) return;
  hidden = !hidden;
  button.setAttribute("aria-pressed", String(!hidden));
  document.querySelector("[data-clip-stage] video")?.dispatchEvent(new Event("boxes"));
});
