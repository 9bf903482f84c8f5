"""Deleting a camera with everything that refers to it."""
