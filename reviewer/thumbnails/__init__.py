"""Thumbnails of files in review."""
