"""Removing a camera's rows in batches, and their generated files after the commit. The camera's files stay."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db.models import Q

from cameras.folders.ownership import folders_including
from cameras.models import Camera
from media_serving.models import Detection, Event, Tombstone, Transcode, Upload, clip_path, thumbnail_path
from media_serving.models.uploads import kept_folder, kept_path
from media_serving.tombstones import schedule_deletion
from media_serving.transcoding.requests import cached_path


def remove_batch(camera: Camera, limit: int) -> int:
    """Delete up to `limit` of the camera's rows, detections first; return how many. Fewer means none are left."""
    removed = 0
    for remove in (remove_detections, remove_events, remove_uploads, remove_transcodes):
        removed += remove(camera, limit - removed)
        if removed >= limit:
            break
    return removed


def remove_detections(camera: Camera, limit: int) -> int:
    rows = list(camera.detections.values_list("pk", "thumbnail_size_bytes")[:limit])
    schedule_deletion(_existing_files((thumbnail_path(pk), size) for pk, size in rows))
    Detection.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    return len(rows)


def remove_events(camera: Camera, limit: int) -> int:
    rows = list(camera.events.values_list("pk", "clip_size_bytes")[:limit])
    schedule_deletion(_existing_files((clip_path(pk), size) for pk, size in rows))
    Event.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    return len(rows)


def remove_uploads(camera: Camera, limit: int) -> int:
    """Delete uploads and their kept copies."""
    rows = list(camera.uploads.values_list("pk", "path", "is_kept", "size_bytes")[:limit])
    schedule_deletion(
        _existing_files((kept_path(camera.pk, pk, path), size if kept else None) for pk, path, kept, size in rows)
    )
    Upload.objects.filter(pk__in=[pk for pk, *_ in rows]).delete()
    return len(rows)


def remove_kept_folders() -> None:
    """Remove empty folders of purged cameras, once no tombstone refers to them."""
    for folder in settings.KEPT_DIR.glob("*/"):
        if folder.name.isdecimal() and not is_needed(folder):
            with suppress(OSError):  # it is not empty: it contains files of others
                folder.rmdir()


def is_needed(kept_folder: Path) -> bool:
    """Return whether the camera exists or a tombstone refers to the folder: it would fail without the folder."""
    if Camera.everything.filter(pk=int(kept_folder.name)).exists():
        return True
    return Tombstone.objects.filter(path__startswith=f"{kept_folder}/").exists()


def remove_transcodes(camera: Camera, limit: int) -> int:
    """Delete transcodes, which would outlive the purge by a month; a nested camera's are made again on request."""
    own = folders_including(camera).resolved.get(camera.pk, camera.folder_path)
    ours, theirs = (quote(os.fsencode(folder)) for folder in (kept_folder(camera.pk).resolve(), own))
    is_of_it = Q(path__startswith=f"{theirs}/") | Q(path__startswith=f"{ours}/")
    rows = list(Transcode.objects.filter(is_of_it)[:limit])
    schedule_deletion(cached_path(row) for row in rows)
    Transcode.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _existing_files(files: Iterable[tuple[Path, int | None]]) -> list[Path]:
    """Return the files that rows refer to, and existing ones that a crash left without a recorded size."""
    return [path for path, size in files if size is not None or os.path.lexists(path)]
