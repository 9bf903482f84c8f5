"""Creates, updates, trashes, restores and purges cameras. The API, the admin and commands all call these functions.

Each runs in one transaction: the change, its audit entry and the signals to the apps above. Only a large purge takes
several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from cameras.folders.ownership import cameras_containing, location_to_store, real_path
from cameras.models import Camera, Purge, sees_all
from cameras.naming import slug_from
from cameras.purge import worker as purging
from cameras.signals import camera_restored, camera_trashed
from nvr.audit.actor import Actor, recorded_actor
from nvr.audit.record import record
from nvr.errors import BadRequest, Conflict, NotFound
from nvr.media.files.paths import is_inside

ResultT = TypeVar("ResultT")
FolderCheck = Callable[[str], str]
_folder_checks: list[FolderCheck] = []


class CameraExists(Conflict):
    """Another camera has the name, the folder or the id. The message names it only to users who may see it."""

    is_in_trash = False  # only for a camera that the actor may see

    def __init__(self, field: str, value: str, holder: Camera, actor: Actor | None) -> None:
        shown = actor is None or Camera.everything.visible_to(actor).filter(pk=holder.pk).exists()
        whose = f"camera {holder.slug}" if shown else "another camera"
        super().__init__(f"{field} {value!r} is taken by {whose}{self._where(holder)}.")
        self.field = field
        self.is_in_trash = shown and holder.is_trashed

    @staticmethod
    def _where(holder: Camera) -> str:
        if not holder.is_trashed:
            return ""
        if Purge.objects.filter(camera=holder.pk).exists():
            return ", which is being purged: wait until it is gone, or choose another"
        return ", which is in the trash: restore or purge it, or choose another"


class FolderInHiddenCamera(CameraExists):
    """The folder is inside that of a camera which the actor may not see, and would give access to its files."""

    def __init__(self, value: str) -> None:
        Conflict.__init__(self, f"folder_path {value!r} is inside another camera's folder.")
        self.field = "folder_path"


class FolderForSuperusers(CameraExists):
    """Only a superuser may choose this folder for a camera."""

    status = 403
    title = "Only a superuser may choose this folder"

    def __init__(self, value: str, reason: str) -> None:
        Conflict.__init__(self, f"folder_path {value!r} requires a superuser: {reason}. Choose a folder of its own.")
        self.field = "folder_path"


class BeingPurged(Conflict):
    """Some of the camera's rows are already deleted, so it can no longer be restored."""

    def __init__(self, camera: Camera) -> None:
        super().__init__(f"Camera {camera.slug} is being purged and can no longer be restored.")


def create_camera(actor: Actor | None, values: dict[str, Any], *, groups: Iterable[Group] = ()) -> Camera:
    """Create a camera from validated `values`. Raises `CameraExists`, also if two requests race.

    Without `groups`, the camera gets the groups of an actor who may not see all cameras and otherwise could not see it.
    """
    requested = {"name": values["name"], "folder_path": values["folder_path"], "id": slug_from(values["name"])}
    assigned_groups = list(groups) or restricting_groups(actor)
    _check_folder(actor, values["folder_path"], None)
    # Resolved outside of the transaction, because a dead disk may block it for a second.
    place = location_to_store(values["folder_path"])

    def create() -> Camera:
        camera = Camera(**values, chosen_place=place)
        camera.save(force_insert=True)
        camera.groups.set(assigned_groups)
        given = {field: getattr(camera, field) for field in sorted(values)}
        if assigned_groups:
            given["groups"] = sorted(group.name for group in assigned_groups)
        record(actor, "camera_created", camera, {field: (None, value) for field, value in given.items()})
        return camera

    return _write_if_available(actor, requested, None, create)


def restricting_groups(actor: Actor | None) -> list[Group]:
    """The groups that limit which cameras `actor` sees; none for users who see all cameras."""
    if actor is None or sees_all(actor):
        return []
    return list(Group.objects.filter(user=actor.pk).order_by("name"))


def update_camera(
    actor: Actor | None, camera: Camera, values: dict[str, Any], *, groups: Iterable[Group] | None = None
) -> Camera:
    """Save the values that differ. If none does, nothing is written and there is no audit entry."""
    requested: dict[str, str] = {field: values[field] for field in ("name", "folder_path") if field in values}
    if "folder_path" in requested:
        _check_folder(actor, requested["folder_path"], camera)
    place = location_to_store(requested["folder_path"]) if "folder_path" in requested else ""

    def update() -> Camera:
        current = _locked(camera)
        changes = _assign(current, _private_if_groups_removed(current, groups) | values)
        if changes:
            if "folder_path" in changes:
                # The recorded volume is that of the previous folder.
                current.mount = None
                current.chosen_place = place
            if "status" in changes:  # it explained the previous status
                current.status_reason = ""
            current.save(update_fields=[*changes, "mount", "chosen_place", "status_reason"])
        if groups is not None:
            changes |= _assign_groups(current, list(groups))
        if changes:
            record(actor, "camera_updated", current, changes)
        return current

    return _write_if_available(actor, requested, camera, update)


def _private_if_groups_removed(camera: Camera, groups: Iterable[Group] | None) -> dict[str, Any]:
    """A camera that loses its last group does not become public, unless the caller requests that."""
    loses_all = groups is not None and not list(groups) and camera.groups.exists()
    return {"public": False} if loses_all else {}


def trash_camera(actor: Actor | None, camera: Camera) -> None:
    """Move the camera to the trash: it is no longer listed and its media are no longer served. Idempotent."""
    with transaction.atomic():
        current = _locked(camera)
        if current.is_trashed:
            return
        current.deleted_at = timezone.now()
        current.save(update_fields=["deleted_at"])
        record(actor, "camera_deleted", current)
        camera_trashed.send(Camera, camera=current)


def restore_camera(actor: Actor | None, camera: Camera) -> Camera:
    """Restore a camera from the trash. Raises `BadRequest` if it is not there, `BeingPurged` if its purge began."""
    with transaction.atomic():
        current = _locked(camera)
        if not current.is_trashed:
            raise BadRequest(f"Camera {current.slug} is not deleted.")
        if Purge.objects.filter(camera=current.pk).exists():
            raise BeingPurged(current)
        current.deleted_at = None
        current.save(update_fields=["deleted_at"])
        record(actor, "camera_restored", current)
        camera_restored.send(Camera, camera=current)
    return current


def purge_camera(actor: Actor | None, camera: Camera) -> bool:
    """Permanently delete a trashed camera's rows; its folder stays. Raises `BadRequest` if it is not in the trash.

    Returns whether the camera has been deleted. If not, a worker deletes the rest in batches, which cannot be
    cancelled; a second call continues too.
    """
    with transaction.atomic():
        current = _locked(camera)
        if not current.is_trashed:
            raise BadRequest(f"Camera {current.slug} is not in the trash: delete it first.")
        # A small camera is purged completely in this transaction, or not at all.
        if purging.purge_batch(current, recorded_actor(actor)):
            return True
    return purging.continue_in_request(camera.pk)


def _locked(camera: Camera) -> Camera:
    """The current row of the camera, locked until the transaction ends. Raises `NotFound` if it was purged."""
    current: Camera | None = Camera.everything.select_for_update().filter(pk=camera.pk).first()
    if current is None:
        raise NotFound("Camera not found")
    return current


def _write_if_available(
    actor: Actor | None, requested: dict[str, str], camera: Camera | None, write: Callable[[], ResultT]
) -> ResultT:
    """Run `write` in a transaction. If two requests race for a value, the database's constraints reject the second."""
    try:
        with transaction.atomic():
            _check_available(actor, requested, camera)
            return write()
    # The transaction is over, so the row of the other request is visible now and the message can name it.
    except IntegrityError as error:
        _check_available(actor, requested, camera)
        raise Conflict("It was changed by someone else at the same time: reload it and try again.") from error


def _check_available(actor: Actor | None, requested: dict[str, str], camera: Camera | None) -> None:
    others = Camera.everything.exclude(pk=camera.pk) if camera else Camera.everything.all()
    for field, value in requested.items():
        column = "slug" if field == "id" else field
        holder = others.filter(**{column: value}).first()
        if holder is not None:
            raise CameraExists(field, value, holder, actor)


def register_folder_check(check: FolderCheck) -> None:
    """Register `check(place)`, which returns why a folder outside the base path requires a superuser, or ""."""
    _folder_checks.append(check)


def _check_folder(actor: Actor | None, folder_path: str, camera: Camera | None) -> None:
    """Raises `FolderInHiddenCamera` and `FolderForSuperusers`."""
    unmoved = camera is not None and Camera.everything.filter(pk=camera.pk, folder_path=folder_path).exists()
    if actor is None or unmoved:  # checked in the database, because a form has already changed the object
        return
    _check_not_in_hidden_camera(actor, folder_path, camera)
    if actor is None or not actor.is_superuser:
        _check_needs_no_superuser(folder_path)


def _check_needs_no_superuser(folder_path: str) -> None:
    """Raises `FolderForSuperusers` for a folder that contains the base path, or one outside it that an app protects."""
    base = real_path(str(settings.NVR_CAMERA_ROOT))
    # Both: a link into a protected folder, and a protected folder that is a link itself.
    for place in {folder_path, real_path(folder_path)}:
        if is_inside(base, place):
            raise FolderForSuperusers(folder_path, "it holds the folders of all cameras")
        if not is_inside(place, base):
            for check in _folder_checks:
                if reason := check(place):
                    raise FolderForSuperusers(folder_path, reason)


def _check_not_in_hidden_camera(actor: Actor, folder_path: str, camera: Camera | None) -> None:
    """Raises `FolderInHiddenCamera`: a folder inside another camera's would take over files from that camera."""
    others = Camera.everything.filter(pk__in=cameras_containing(folder_path)).exclude(folder_path=folder_path)
    if camera is not None:
        others = others.exclude(pk=camera.pk)
    if others.exclude(pk__in=Camera.everything.visible_to(actor).values("pk")).exists():
        raise FolderInHiddenCamera(folder_path)


def _assign(camera: Camera, values: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    changes = {}
    for field, new in values.items():
        old = getattr(camera, field)
        if old != new:
            changes[field] = (old, new)
            setattr(camera, field, new)
    return changes


def _assign_groups(camera: Camera, groups: list[Group]) -> dict[str, tuple[Any, Any]]:
    old = sorted(group.name for group in camera.groups.all())
    new = sorted(group.name for group in groups)
    if old == new:
        return {}
    camera.groups.set(groups)
    return {"groups": (old, new)}
