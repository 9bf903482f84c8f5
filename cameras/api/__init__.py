"""The cameras API: versions 1 and 2 of the same addresses."""
