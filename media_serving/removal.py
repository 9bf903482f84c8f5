"""Removing a camera's rows now, and after the commit the files that we made for them. Its own files stay."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from django.db import transaction

from cameras.models import Camera
from cameras.ownership import folders_with
from media_serving.models import Detection, Event, PlayableForm, clip_path, thumbnail_path
from media_serving.playable import path_of
from media_serving.tombstones import bury

BATCH = 1000


@transaction.atomic
def remove_all_of(camera: Camera) -> None:
    """Delete the camera's detections and events, in batches so that memory stays flat."""
    while rows := list(camera.detections.values_list("pk", "thumbnail_size_bytes")[:BATCH]):
        bury(_present((thumbnail_path(pk), size) for pk, size in rows))
        Detection.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    while rows := list(camera.events.values_list("pk", "clip_size_bytes")[:BATCH]):
        bury(_present((clip_path(pk), size) for pk, size in rows))
        Event.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    forget_playable_forms(camera)


def forget_playable_forms(camera: Camera) -> None:
    """Whole videos, which would otherwise outlive the purge by a month; a nested camera's are made again."""
    folder = folders_with(camera).resolved.get(camera.pk, camera.folder_path)
    forms = PlayableForm.objects.filter(path__startswith=f"{quote(os.fsencode(folder))}/")
    bury(path_of(form) for form in forms.iterator(chunk_size=BATCH))
    forms.delete()


def _present(files: Iterable[tuple[Path, int | None]]) -> list[Path]:
    """Files that their row knows of, and those that a crash left before the row could."""
    return [path for path, size in files if size is not None or os.path.lexists(path)]
