"""Removing a camera's rows in batches, and after the commit the files that we made for them. Its own files stay."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from cameras.models import Camera
from cameras.ownership import folders_with
from media_serving.models import Detection, Event, PlayableForm, Upload, clip_path, thumbnail_path
from media_serving.models.uploads import kept_path
from media_serving.playable import path_of
from media_serving.tombstones import bury


def remove_some_of(camera: Camera, limit: int) -> int:
    """Delete up to `limit` of the camera's rows, detections before what they point at; how many. Fewer: no more."""
    removed = 0
    for remove in (remove_detections, remove_events, remove_uploads, remove_playable_forms):
        removed += remove(camera, limit - removed)
        if removed >= limit:
            break
    return removed


def remove_detections(camera: Camera, limit: int) -> int:
    rows = list(camera.detections.values_list("pk", "thumbnail_size_bytes")[:limit])
    bury(_present((thumbnail_path(pk), size) for pk, size in rows))
    Detection.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    return len(rows)


def remove_events(camera: Camera, limit: int) -> int:
    rows = list(camera.events.values_list("pk", "clip_size_bytes")[:limit])
    bury(_present((clip_path(pk), size) for pk, size in rows))
    Event.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    return len(rows)


def remove_uploads(camera: Camera, limit: int) -> int:
    """The ledger's rows, and what we kept of bytes that the camera has overwritten."""
    rows = list(camera.uploads.values_list("pk", "path", "is_kept", "size_bytes")[:limit])
    bury(_present((kept_path(camera.pk, pk, path), size if kept else None) for pk, path, kept, size in rows))
    Upload.objects.filter(pk__in=[pk for pk, *_ in rows]).delete()
    return len(rows)


def remove_playable_forms(camera: Camera, limit: int) -> int:
    """Whole videos, which would otherwise outlive the purge by a month; a nested camera's are made again."""
    folder = folders_with(camera).resolved.get(camera.pk, camera.folder_path)
    forms = list(PlayableForm.objects.filter(path__startswith=f"{quote(os.fsencode(folder))}/")[:limit])
    bury(path_of(form) for form in forms)
    PlayableForm.objects.filter(pk__in=[form.pk for form in forms]).delete()
    return len(forms)


def _present(files: Iterable[tuple[Path, int | None]]) -> list[Path]:
    """Files that their row knows of, and those that a crash left before the row could."""
    return [path for path, size in files if size is not None or os.path.lexists(path)]
