"""Video processing with ffmpeg and ffprobe, and the metadata that we read from videos ourselves."""
