"""Syntax checks of the path after /api/media/, before any lookup."""

from __future__ import annotations

from nvr.errors import Forbidden, UriTooLong
from nvr.media.files.paths import NulInPath, PathTraversal

PREFIX = "/api/media/"
MAX_PATH = 4096  # characters


class InvalidCameraIdentifier(Forbidden):
    title = "Invalid camera identifier"


def check_form(path: str) -> None:
    """Check the syntax of a media path, without disk or database access. Raises the contract's errors."""
    if len(path) > MAX_PATH:
        raise UriTooLong(f"The path is longer than {MAX_PATH} characters.")
    kind, _, rest = path.partition("/")
    owner, _, name = rest.partition("/")
    if kind == "cameras" and (owner == ".." or rest.startswith("/")):
        raise InvalidCameraIdentifier
    absolute = path.startswith("/") or rest.startswith("/") or (kind == "cameras" and name.startswith("/"))
    if absolute or ".." in path.split("/"):
        raise PathTraversal
    if "\0" in path:
        raise NulInPath
