"""Determines a camera's status from the files in its folder.

`error`: its folder or its secret cannot be read. `online`: a new file arrived. `offline`: no file within the
offline limit, not counting NVR's own downtime. `unknown`: it cannot be determined (a stream from which no frame was
ever pulled). Without evidence the status does not change.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from cameras.folders.access import FolderOutsideBase, newest_files
from cameras.folders.concurrent_probe import ConcurrentProbe
from cameras.folders.index import FolderIsFile, FolderMissing, FolderUnreadable
from cameras.folders.ownership import Folders, current_folders
from cameras.last_picture import LastPicture, last_picture_of
from cameras.models import Camera, CameraStatus
from nvr.audit.record import record
from nvr.errors import NvrError
from nvr.health.models import downtime_since
from nvr.media.files.mounts import mount_of

logger = logging.getLogger(__name__)

TIMEOUT_S = 10  # for all cameras together; one that hangs longer is in error


@dataclass(frozen=True)
class Evidence:
    """The result of a probe: when the newest complete file was written, or the fault as a message."""

    newest_at: datetime | None = None
    fault: str = ""
    mount: dict[str, Any] | None = None
    picture: LastPicture | None = None


@dataclass(frozen=True)
class Verdict:
    status: str
    reason: str
    last_seen_at: datetime | None


def probe(camera: Camera, folders: Folders | None = None) -> Evidence:
    """Probe the camera: the newest file that has not changed for `NVR_UPLOAD_STABLE_TIME`, or the fault."""
    if camera.secret_is_unreadable:
        return Evidence(fault="The stored RTSP password cannot be decrypted with the current key: enter it again.")
    if camera.is_stream:
        return Evidence()
    try:
        # A younger file may still be written, so it is no evidence yet that an upload succeeded.
        stable_before = timezone.now() - settings.NVR_UPLOAD_STABLE_TIME
        times = (file.at for file in newest_files(camera, folders=folders))
        newest_at = next((at for at in times if at <= stable_before), None)
        # After listing: if the volume was unmounted meanwhile, the empty listing is not trusted.
        fault, mount = check_mount(camera, newest_at)
        return Evidence(newest_at, fault, mount, None if fault else last_picture_of(camera, folders))
    except FolderIsFile:
        return Evidence(fault=f"{camera.folder_path} is not a folder but a file: move it away, or correct the path.")
    except FolderMissing:
        return Evidence(fault=f"The folder {camera.folder_path} does not exist: create it or mount its disk.")
    except FolderOutsideBase:
        return Evidence(fault=f"The folder {camera.folder_path} is outside {settings.NVR_CAMERA_ROOT}.")
    except FolderUnreadable as error:
        return Evidence(fault=error.detail)
    except NvrError as error:
        return Evidence(fault=error.detail)
    except DatabaseError:  # not the camera's fault: do not store a status this time
        raise
    except Exception:  # an error for one camera must not prevent probing the others
        logger.exception("health probe failed camera=%s", camera.slug)
        return Evidence(fault="Its folder could not be checked: see the log.")


def check_mount(camera: Camera, newest_at: datetime | None) -> tuple[str, dict[str, Any] | None]:
    """A fault if the folder's volume is not mounted, and the mount to store."""
    now = mount_of(Path(camera.folder_path))
    before = camera.remembered_mount
    arrived = newest_at is not None and (camera.last_seen_at is None or newest_at > camera.last_seen_at)
    if before is not None and not arrived and before.is_unmounted(now):
        return f"The volume {before.source} is no longer mounted at {before.point}: mount it again.", None
    return "", now.as_dict()


def judge(camera: Camera, evidence: Evidence, now: datetime) -> Verdict:
    last_seen = camera.last_seen_at
    if evidence.fault:
        return Verdict(CameraStatus.ERROR, evidence.fault, last_seen)
    if camera.is_stream:
        return Verdict(CameraStatus.UNKNOWN, "No frame has been pulled from its stream yet.", last_seen)
    newest = min(evidence.newest_at, now) if evidence.newest_at else None
    arrived = newest is not None and (last_seen is None or newest > last_seen)
    last_seen = newest if arrived else last_seen
    if is_overdue(camera, last_seen, now):
        return Verdict(
            CameraStatus.OFFLINE, f"Nothing has arrived for {duration_text(camera.offline_after)}.", last_seen
        )
    if arrived:
        return Verdict(CameraStatus.ONLINE, "", last_seen)
    return Verdict(*status_without_new_files(camera, last_seen), last_seen)


def status_without_new_files(camera: Camera, last_seen: datetime | None) -> tuple[str, str]:
    """The status if no file is new or overdue: unchanged, unless a previous probe set it and it no longer applies."""
    set_by_probe = camera.status in {CameraStatus.ERROR, CameraStatus.OFFLINE} and camera.status_reason
    if not set_by_probe:
        return camera.status, camera.status_reason
    return (CameraStatus.ONLINE, "") if last_seen else (CameraStatus.UNKNOWN, "Nothing has arrived yet.")


def is_overdue(camera: Camera, last_seen: datetime | None, now: datetime) -> bool:
    """Whether the time since creation or the last file, less NVR's own downtime, exceeds the offline limit."""
    since = max(camera.created_at, last_seen) if last_seen else camera.created_at
    silence = now - since
    return silence > camera.offline_after and silence - downtime_since(since) > camera.offline_after


def duration_text(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds // size} {unit}{'s' if seconds // size > 1 else ''}"
    return f"{seconds} seconds"


def refresh_all() -> int:
    """Probe every enabled camera and store its status; returns how many changed."""
    cameras = list(Camera.objects.filter(enabled=True))
    results = _probe.run(cameras, partial(probe, folders=current_folders()))
    return sum(store_evidence(camera, results[camera.pk]) for camera in cameras if camera.pk in results)


def timeout_result(camera: Camera) -> Evidence:
    return Evidence(fault=f"Its folder has not responded for {TIMEOUT_S} s: check its disk or mount.")


_probe: ConcurrentProbe[Evidence] = ConcurrentProbe(late=timeout_result, timeout_s=TIMEOUT_S, name="camera-health")


def store_evidence(camera: Camera, evidence: Evidence) -> bool:
    """Store the verdict if it differs; a status change adds one audit entry."""
    now = timezone.now()
    with transaction.atomic():
        current = Camera.objects.select_for_update().filter(pk=camera.pk, folder_path=camera.folder_path).first()
        if current is None:  # trashed or moved during the probe
            return False
        verdict = judge(current, evidence, now)
        return store_verdict(current, verdict, probed_fields(evidence))


def probed_fields(evidence: Evidence) -> dict[str, Any]:
    """The values of the probe other than the status, by field name of the camera."""
    fields: dict[str, Any] = {"mount": evidence.mount} if evidence.mount is not None else {}
    if evidence.picture is not None:
        pause = evidence.picture.usual_pause
        fields["last_picture_at"] = evidence.picture.taken_at
        fields["usual_interval_seconds"] = round(pause.total_seconds()) if pause else None
        fields["rhythm"] = evidence.picture.rhythm.as_json()
    return fields


def store_verdict(camera: Camera, verdict: Verdict, probed: dict[str, Any]) -> bool:
    values: dict[str, Any] = {
        "status": verdict.status,
        "status_reason": verdict.reason[:300],
        "last_seen_at": verdict.last_seen_at,
        **probed,
    }
    changed = {field: value for field, value in values.items() if getattr(camera, field) != value}
    if not changed:
        return False
    if "status" in changed:
        reason = (camera.status_reason, values["status_reason"])
        record(
            None,
            "camera_status_changed",
            camera,
            {"status": (camera.status, verdict.status), "reason": reason},
        )
        logger.info("camera status changed camera=%s from=%s to=%s", camera.slug, camera.status, verdict.status)
    for field, value in changed.items():
        setattr(camera, field, value)
    camera.save(update_fields=list(changed))
    return True
