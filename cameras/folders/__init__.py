"""Cameras' folders on disk: which files they contain, who owns them, and what their newest picture is."""
