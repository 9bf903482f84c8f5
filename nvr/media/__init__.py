"""Files and what is done with them: paths, images, ffmpeg, ranged responses, signed addresses. No models."""
