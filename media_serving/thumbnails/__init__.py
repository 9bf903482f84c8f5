"""Thumbnails of detections."""
