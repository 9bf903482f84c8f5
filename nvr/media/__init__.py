"""Media files: paths, images, ffmpeg, range responses and signed URLs. No models."""
