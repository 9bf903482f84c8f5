"""The diagnosis of an installation: what is well, what is not, and what to do about it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from nvr.health.sections import Section, check_all
from nvr.installation.migrations import pending_migrations
from nvr.sqlite3.files import file_of

OLDEST_FFMPEG = 4
# The day this was written: a clock before it is wrong, whatever it says.
NOT_BEFORE = datetime(2026, 11, 21, tzinfo=UTC)
LEVELS = {"ok": "ok", "degraded": "warn", "failed": "fail"}


@dataclass(frozen=True)
class Finding:
    """`level` is ok, warn (works, needs a look) or fail; `fix` one sentence, empty when all is well."""

    level: str
    name: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.level:<4}  {self.name}: {self.what}" + (f" — {self.fix}" if self.fix else "")


def examine() -> Iterator[Finding]:
    """One finding after the other, so that a slow one does not hold back what is known."""
    for check in CHECKS:
        yield from check()


def check_ffmpeg() -> Iterator[Finding]:
    for program in ("ffmpeg", "ffprobe"):
        found = shutil.which(program)
        if not found:
            yield Finding("fail", program, "not found", "Install it: sudo apt-get install ffmpeg.")
            continue
        version = version_of(found)
        major = re.match(r"[nN]?(\d+)", version)
        if major and int(major[1]) < OLDEST_FFMPEG:
            yield Finding("warn", program, f"version {version}", f"Install version {OLDEST_FFMPEG} or newer.")
        else:
            yield Finding("ok", program, f"version {version or 'unknown'}")


def version_of(program: str) -> str:
    """The version that `program` (an absolute path) tells, or an empty text."""
    try:
        answer = subprocess.run(  # noqa: S603 - our own arguments
            [program, "-version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"version (\S+)", answer.stdout)
    return match[1] if match else ""


def check_folders() -> Iterator[Finding]:
    yield folder_finding("data folder", settings.NVR_DATA_DIR, os.R_OK | os.W_OK | os.X_OK, "NVR_DATA_DIR")
    yield folder_finding("camera root", settings.NVR_CAMERA_ROOT, os.R_OK | os.X_OK, "NVR_CAMERA_ROOT")


def folder_finding(name: str, path: Path, rights: int, setting: str) -> Finding:
    try:
        is_folder = path.is_dir()
    except OSError as error:
        return Finding("fail", name, f"{path}: {error.strerror}", "Mount it again, or look at the disk.")
    if not is_folder:
        return Finding("fail", name, f"{path} does not exist", f"Create or mount it, or correct {setting}.")
    if not os.access(path, rights):
        needed = "read and write" if rights & os.W_OK else "read"
        return Finding(
            "fail", name, f"{path}: no right to {needed}", f"Give the user {whoami()} the right to {needed}."
        )
    return Finding("ok", name, str(path))


def whoami() -> str:
    return os.environ.get("USER") or f"with id {os.getuid()}"


def check_secret_key() -> Iterator[Finding]:
    if settings.NVR_SECRET_KEY:
        yield Finding("ok", "secret key", "from the environment")
        return
    path = settings.NVR_DATA_DIR / "secret_key"
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield Finding("fail", "secret key", f"others can read {path}", f"Close it: chmod 600 {path}.")
    else:
        yield Finding("ok", "secret key", f"{path}, mode {mode:o}")


def check_clock() -> Iterator[Finding]:
    now = datetime.now(UTC)
    newest = max((path.stat().st_mtime for path in settings.RUN_DIR.iterdir()), default=0.0)
    if now < NOT_BEFORE:
        yield Finding(
            "fail", "clock", f"it says {now:%Y-%m-%d}", "Set it, or start time synchronisation (timedatectl)."
        )
    elif newest > now.timestamp() + 60:
        yield Finding("warn", "clock", "files here are from the future", "Check the time (timedatectl).")
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def check_health() -> Iterator[Finding]:
    """What the running system watches too: database, cache, broker, workers, storage, disk."""
    for name, section in check_all(essential_only=True).items():
        if name != "storage":  # the folders have their own, stricter check
            yield finding_from(name, section)


def finding_from(name: str, section: Section) -> Finding:
    what, colon, fix = section.detail.partition(": ")
    if section.status == "ok" or not colon:
        return Finding(
            LEVELS[section.status],
            name,
            section.detail.rstrip("."),
            FIXES.get(name, "") if section.status != "ok" else "",
        )
    return Finding(LEVELS[section.status], name, what, fix[:1].upper() + fix[1:])


FIXES = {
    "database": "Start it, or correct DATABASE_URL.",
    "cache": "Start it, or correct REDIS_URL.",
    "broker": "Start it, or correct CELERY_BROKER_URL.",
    "workers": "Start them: manage.py up, or celery -A nvr worker -Q interactive,ingest,bulk.",
}


def check_migrations() -> Iterator[Finding]:
    file = file_of(connection)
    if file is not None and not file.exists():
        fix = "Put it back, or run manage.py up, which makes a new one."
        yield Finding("fail", "migrations", f"unknown, as {file} is not there", fix)
        return
    try:
        pending = pending_migrations()
    except DatabaseError:
        yield Finding("fail", "migrations", "unknown, as the database does not answer", FIXES["database"])
        return
    if pending:
        yield Finding("fail", "migrations", f"{len(pending)} not applied", "Run manage.py up, or manage.py migrate.")
    else:
        yield Finding("ok", "migrations", "all applied")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_ffmpeg,
    check_folders,
    check_secret_key,
    check_clock,
    check_migrations,
    check_health,
)
