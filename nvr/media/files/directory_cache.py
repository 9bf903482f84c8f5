"""When the cached listing of a directory is still current.

Adding, removing or renaming a file changes the mtime of its directory. Overwriting a file does not, and a change soon
after the previous one may not: timestamps of file systems are coarse.
"""

from __future__ import annotations

from nvr.media.files.mtime import MTIME_GRANULARITY_NS


def is_settled(mtime_ns: int, now_ns: int) -> bool:
    """Return whether any change after `now_ns` gives another mtime. False for an mtime in the future."""
    return now_ns - mtime_ns > MTIME_GRANULARITY_NS


def is_current(mtime_ns: int, *, listed_mtime_ns: int, listed_ns: int) -> bool:
    """Return whether a listing still shows all names of a directory whose mtime is now `mtime_ns`.

    `listed_ns` is when the listing began, and `listed_mtime_ns` the mtime of the directory before that.
    """
    return mtime_ns == listed_mtime_ns and is_settled(listed_mtime_ns, listed_ns)
