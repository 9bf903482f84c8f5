"""Width, height and duration of pictures and videos, probed once and cached."""
