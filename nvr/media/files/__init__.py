"""Paths, mounts, companion files and atomic writes."""
