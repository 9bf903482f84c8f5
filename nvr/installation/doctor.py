"""The diagnosis of an installation: what is well, what is not, and what to do about it."""

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
from nvr.installation.places import places
from nvr.media.files.mounts import mount_of
from nvr.private_files import open_paths
from nvr.settings import env, public_snapshots
from nvr.sqlite3.files import file_of
from nvr.supervision.instance import address_of_running

OLDEST_FFMPEG = 4
MAX_CAMERAS = 20  # named one by one
# The day this was written: a clock before it is wrong, whatever it says.
NOT_BEFORE = datetime(2026, 11, 21, tzinfo=UTC)
WITHOUT_MODES = {"msdos", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "cifs", "smb3", "9p"}
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
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001  # what keeps a check from looking is a finding as well
            name = check.__name__.removeprefix("check_").replace("_", " ")
            fix = "See what the message names: its owner, mode or disk."
            yield Finding("fail", name, f"cannot be checked ({type(error).__name__}: {error})", fix)


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


def check_private_files() -> Iterator[Finding]:
    """Where the file system keeps no modes, it is its mount that says who may read: worth a look, but no fault."""
    found = list(open_paths(places()))
    for each in found:
        if keeps_no_modes(each.path):
            fix = "Mount it with umask=077, or choose a data folder on another file system."
            yield Finding("warn", "private files", f"others can read {each.path}, which keeps no modes", fix)
        else:
            fix = f"Close it: chmod {each.mode:o} {each.path}. manage.py up does so when it starts."
            yield Finding("fail", "private files", f"others can read {each.path}", fix)
    if not found:
        yield Finding("ok", "private files", "closed to other users")


def keeps_no_modes(path: Path) -> bool:
    try:
        return mount_of(path).type in WITHOUT_MODES
    except OSError:
        return False


def check_settings() -> Iterator[Finding]:
    """What cannot be used stops every program, this one too: here is only what is not known."""
    unknown = env.unknown()
    for name, meant in unknown.items():
        yield Finding(
            "warn", "settings", f"{name} is not a setting", f"Did you mean {meant}?" if meant else "Remove it."
        )
    if not unknown:
        yield Finding("ok", "settings", "every variable is known")


def check_public_snapshots() -> Iterator[Finding]:
    """As the running `up` has it; other starts show strangers nothing unless it is set."""
    address = address_of_running(settings.RUN_DIR)
    name, what = "snapshots", "of cameras that list no group are shown without signing in"
    if not public_snapshots(address):
        yield Finding("ok", name, "only for who signs in")
    elif is_loopback(address) and not settings.NVR_PUBLIC_URL:
        yield Finding("ok", name, f"{what}, on this machine")
    else:
        fix = "If strangers must not see them, set NVR_PUBLIC_SNAPSHOTS=false, or let the cameras list a group."
        yield Finding("warn", name, what, fix)


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
    # Without workers nothing is read, made or removed: that a page still opens does not make it work.
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
    """One finding for each camera in `error`: it delivers nothing, and the others do not suffer from it."""
    rows = Camera.objects.filter(enabled=True)
    try:
        broken, count = list(rows.filter(status=CameraStatus.ERROR).order_by("name")[:MAX_CAMERAS]), rows.count()
        total = rows.filter(status=CameraStatus.ERROR).count()
    except DatabaseError:
        return  # the migrations and the database have findings of their own
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
    check_private_files,
    check_settings,
    check_public_snapshots,
    check_clock,
    check_migrations,
    check_health,
    check_cameras,
)
