"""Paths, mounts, companions of files, and writing whole files."""
