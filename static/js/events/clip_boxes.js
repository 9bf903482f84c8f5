// Draws detection boxes over the clip as it plays.
const TOLERANCE_MS = 450; // a clip with another length than expected lacks a part, so boxes would be misplaced

let hidden = false;

export function drawClipBoxes() {
  const stage = document.querySelector("[data-clip-stage]");
  const video = stage?.querySelector("video");
  const boxes = [...(stage?.querySelectorAll("[data-from-ms]") ?? [])];
  if (!video || !boxes.length) return;
  document.querySelector("[data-boxes]")?.setAttribute("aria-pressed", String(!hidden)); // a new page's button always starts as pressed
  const draw = () => {
    const ms = video.currentTime * 1000;
    const isKnown = !hidden && showsVideoFrame(video) && hasExpectedLength(video, stage.dataset.lengthMs);
    for (const each of boxes) each.toggleAttribute("hidden", !isKnown || ms < each.dataset.fromMs || ms >= each.dataset.toMs);
  };
  const drawEach = () => {
    draw();
    if (video.isConnected) video.requestVideoFrameCallback?.(drawEach);
  };
  for (const name of ["loadedmetadata", "timeupdate", "seeked", "boxes"]) video.addEventListener(name, draw);
  drawEach();
}

// Until then the video shows its poster, which is another picture.
function showsVideoFrame(video) {
  return video.currentTime > 0 || video.played.length > 0;
}

function hasExpectedLength(video, lengthMs) {
  return Number.isFinite(video.duration) && (!lengthMs || Math.abs(video.duration * 1000 - lengthMs) < TOLERANCE_MS);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-boxes]");
  if (!button) return;
  hidden = !hidden;
  button.setAttribute("aria-pressed", String(!hidden));
  document.querySelector("[data-clip-stage] video")?.dispatchEvent(new Event("boxes"));
});
