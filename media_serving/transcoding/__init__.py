"""Web playback versions of videos."""
