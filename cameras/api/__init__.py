"""The cameras API: versions 1 and 2 under the same URLs."""
