"""Checks of an installation, each with a fix for the problems it finds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from cameras.models import Camera, CameraStatus
from nvr.default_hosts import is_loopback
from nvr.health.sections import Section, check_all
from nvr.installation.migrations import pending_migrations
from nvr.installation.places import data_layout
from nvr.media.files.mounts import mount_of
from nvr.private_files import exposed_paths
from nvr.settings import env, public_snapshots
from nvr.sqlite3.files import file_of
from nvr.supervision.instance import address_of_running

MIN_FFMPEG_VERSION = 4
MAX_CAMERAS = 20  # listed by name
# The release date of this version: a clock that shows an earlier time is wrong.
NOT_BEFORE = datetime(2026, 11, 21, tzinfo=UTC)
WITHOUT_MODES = {"msdos", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "cifs", "smb3", "9p"}
LEVELS = {"ok": "ok", "degraded": "warn", "failed": "fail"}


@dataclass(frozen=True)
class Finding:
    """`level` is ok, warn (works, but needs attention) or fail; `fix` is one sentence, empty if none is needed."""

    level: str
    name: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.level:<4}  {self.name}: {self.what}" + (f" — {self.fix}" if self.fix else "")


def run_checks() -> Iterator[Finding]:
    """Yield each finding as soon as it is known, so that a slow check does not delay the others."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001  # a check that fails is a finding, too
            name = check.__name__.removeprefix("check_").replace("_", " ")
            fix = "Check the owner, mode and disk of the file in the message."
            yield Finding("fail", name, f"cannot be checked ({type(error).__name__}: {error})", fix)


def check_ffmpeg() -> Iterator[Finding]:
    for program in ("ffmpeg", "ffprobe"):
        found = shutil.which(program)
        if not found:
            yield Finding("fail", program, "not found", "Install it: sudo apt-get install ffmpeg.")
            continue
        version = version_of(found)
        major = re.match(r"[nN]?(\d+)", version)
        if major and int(major[1]) < MIN_FFMPEG_VERSION:
            yield Finding("warn", program, f"version {version}", f"Install version {MIN_FFMPEG_VERSION} or newer.")
        else:
            yield Finding("ok", program, f"version {version or 'unknown'}")


def version_of(program: str) -> str:
    """Return the version that `program` (an absolute path) prints, or an empty text."""
    try:
        result = subprocess.run(  # noqa: S603 - our own arguments
            [program, "-version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"version (\S+)", result.stdout)
    return match[1] if match else ""


def check_folders() -> Iterator[Finding]:
    yield folder_finding("data folder", settings.NVR_DATA_DIR, os.R_OK | os.W_OK | os.X_OK, "NVR_DATA_DIR")
    yield folder_finding("camera root", settings.NVR_CAMERA_ROOT, os.R_OK | os.X_OK, "NVR_CAMERA_ROOT")


def folder_finding(name: str, path: Path, rights: int, setting: str) -> Finding:
    try:
        is_folder = path.is_dir()
    except OSError as error:
        return Finding("fail", name, f"{path}: {error.strerror}", "Mount it again, or check the disk.")
    if not is_folder:
        return Finding("fail", name, f"{path} does not exist", f"Create or mount it, or correct {setting}.")
    if not os.access(path, rights):
        needed = "read and write" if rights & os.W_OK else "read"
        return Finding(
            "fail", name, f"{path}: no permission to {needed}", f"Give the user {whoami()} permission to {needed} it."
        )
    return Finding("ok", name, str(path))


def whoami() -> str:
    return os.environ.get("USER") or f"with id {os.getuid()}"


def check_private_files() -> Iterator[Finding]:
    """Check that other users cannot read private files; only a warning on a file system without file modes."""
    found = list(exposed_paths(data_layout()))
    for each in found:
        if has_no_modes(each.path):
            fix = "Mount it with umask=077, or choose a data folder on another file system."
            yield Finding(
                "warn", "private files", f"others can read {each.path}, and its file system has no modes", fix
            )
        else:
            fix = f"Run chmod {each.mode:o} {each.path}. manage.py up also does this at each start."
            yield Finding("fail", "private files", f"others can read {each.path}", fix)
    if not found:
        yield Finding("ok", "private files", "not readable by other users")


def has_no_modes(path: Path) -> bool:
    try:
        return mount_of(path).type in WITHOUT_MODES
    except OSError:
        return False


def check_settings() -> Iterator[Finding]:
    """Check for unknown variables; an invalid value already stops every program, including this one."""
    unknown = env.unknown()
    for name, suggestion in unknown.items():
        yield Finding(
            "warn",
            "settings",
            f"{name} is not a setting",
            f"Did you mean {suggestion}?" if suggestion else "Remove it.",
        )
    if not unknown:
        yield Finding("ok", "settings", "all variables are known")


def check_public_snapshots() -> Iterator[Finding]:
    """Check for the running `up`; without it, snapshots are public only if the setting says so."""
    address = address_of_running(settings.RUN_DIR)
    name, what = "snapshots", "of cameras without a group are available without signing in"
    if not public_snapshots(address):
        yield Finding("ok", name, "only after signing in")
    elif is_loopback(address) and not settings.NVR_PUBLIC_URL:
        yield Finding("ok", name, f"{what}, on this machine")
    else:
        fix = "To require signing in, set NVR_PUBLIC_SNAPSHOTS=false, or add a group to the cameras."
        yield Finding("warn", name, what, fix)


def check_clock() -> Iterator[Finding]:
    now = datetime.now(UTC)
    # A clock that was set back shows in files that it wrote before.
    newest = max((path.stat().st_mtime for path in settings.RUN_DIR.iterdir()), default=0.0)
    if now < NOT_BEFORE:
        yield Finding(
            "fail", "clock", f"it shows {now:%Y-%m-%d}", "Set it, or start time synchronisation (timedatectl)."
        )
    elif newest > now.timestamp() + 60:
        yield Finding("warn", "clock", "files of the data folder are from the future", "Check the time (timedatectl).")
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def check_health() -> Iterator[Finding]:
    """Run the health checks of the running system: database, cache, broker, workers, storage, disk."""
    for name, section in check_all(essential_only=True).items():
        if name != "storage":  # `check_folders` is stricter
            yield finding_from(name, section)


def finding_from(name: str, section: Section) -> Finding:
    what, colon, fix = section.detail.partition(": ")  # by convention, a section's fix follows the colon
    # Without workers nothing is processed, created or deleted, even if pages still open.
    level = "fail" if section.is_stopped else LEVELS[section.status]
    if section.status == "ok" or not colon:
        return Finding(
            level,
            name,
            section.detail.rstrip("."),
            FIXES.get(name, "") if section.status != "ok" else "",
        )
    return Finding(level, name, what, fix[:1].upper() + fix[1:])


def check_cameras() -> Iterator[Finding]:
    """Yield one warning for each camera in `error`; the other cameras still work."""
    rows = Camera.objects.filter(enabled=True)
    try:
        broken, count = list(rows.filter(status=CameraStatus.ERROR).order_by("name")[:MAX_CAMERAS]), rows.count()
        total = rows.filter(status=CameraStatus.ERROR).count()
    except DatabaseError:
        return  # `check_migrations` and `check_health` report it
    for camera in broken:
        yield Finding("warn", "cameras", f"{camera.name} is in error", camera.status_reason or "Open its page.")
    if total > len(broken):
        yield Finding("warn", "cameras", f"{total - len(broken)} more are in error", "See the list in the admin.")
    if not broken:
        yield Finding("ok", "cameras", f"none of {count} is in error")


FIXES = {
    "database": "Start it, or correct DATABASE_URL.",
    "cache": "Start it, or correct REDIS_URL.",
    "broker": "Start it, or correct CELERY_BROKER_URL.",
    "workers": "Start them: manage.py up, or celery -A nvr worker -Q interactive,ingest,bulk.",
}


def check_migrations() -> Iterator[Finding]:
    file = file_of(connection)
    if file is not None and not file.exists():
        fix = "Restore it, or run manage.py up, which creates a new one."
        yield Finding("fail", "migrations", f"unknown, because {file} does not exist", fix)
        return
    try:
        pending = pending_migrations()
    except DatabaseError:
        yield Finding("fail", "migrations", "unknown, because the database does not respond", FIXES["database"])
        return
    if pending:
        yield Finding("fail", "migrations", f"{len(pending)} not applied", "Run manage.py up, or manage.py migrate.")
    else:
        yield Finding("ok", "migrations", "all applied")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_ffmpeg,
    check_folders,
    check_private_files,
    check_settings,
    check_public_snapshots,
    check_clock,
    check_migrations,
    check_health,
    check_cameras,
)
