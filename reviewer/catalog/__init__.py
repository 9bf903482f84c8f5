"""The index of the files to review."""
