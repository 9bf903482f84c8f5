"""What ffmpeg and ffprobe do for us, and what we read of videos ourselves."""
