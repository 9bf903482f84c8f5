"""What can be done to a camera: create, update, trash, restore, purge. API, admin and commands all call these.

Each is one transaction: the change, its audit entry, and the news for the apps above. Only a large purge is several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from cameras import purging
from cameras.folder_ownership import cameras_containing, location_to_store, real_path
from cameras.models import Camera, Purge, sees_all
from cameras.naming import slug_from
from cameras.signals import camera_restored, camera_trashed
from nvr.audit.record import asker_of, record
from nvr.errors import BadRequest, Conflict, NotFound
from nvr.media.files.paths import is_inside

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    Person = AbstractBaseUser | AnonymousUser
    Actor = Person | None

ResultT = TypeVar("ResultT")
FolderCheck = Callable[[str], str]
_folder_checks: list[FolderCheck] = []


class CameraExists(Conflict):
    """Another camera has the name, the folder or the id; it is named to those who may see it."""

    is_in_trash = False  # of a camera that the actor may see

    def __init__(self, field: str, value: str, holder: Camera, actor: Actor) -> None:
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
    """The folder lies in that of a camera which the actor may not see: its files would become the actor's to read."""

    def __init__(self, value: str) -> None:
        Conflict.__init__(self, f"folder_path {value!r} lies in the folder of another camera.")
        self.field = "folder_path"


class FolderForSuperusers(CameraExists):
    """Only a superuser may give the folder to a camera."""

    status = 403
    title = "Only a superuser may choose this folder"

    def __init__(self, value: str, reason: str) -> None:
        Conflict.__init__(self, f"folder_path {value!r} takes a superuser: {reason}. Choose a folder of its own.")
        self.field = "folder_path"


class BeingPurged(Conflict):
    """Some of the camera's rows are gone already: nothing can bring it back whole."""

    def __init__(self, camera: Camera) -> None:
        super().__init__(f"Camera {camera.slug} is being purged and can no longer be restored.")


def create_camera(actor: Actor, values: dict[str, Any], *, groups: Iterable[Group] = ()) -> Camera:
    """Register a camera from validated `values`. Raises `CameraExists`, also when two requests race.

    Without `groups` it lists those of an actor who does not see all cameras, and would not see this one.
    """
    requested = {"name": values["name"], "folder_path": values["folder_path"], "id": slug_from(values["name"])}
    listed = list(groups) or restricting_groups(actor)
    _check_folder(actor, values["folder_path"], None)
    place = location_to_store(values["folder_path"])

    def create() -> Camera:
        camera = Camera(**values, chosen_place=place)
        camera.save(force_insert=True)
        camera.groups.set(listed)
        given = {field: getattr(camera, field) for field in sorted(values)}
        if listed:
            given["groups"] = sorted(group.name for group in listed)
        record(actor, "camera_created", camera, {field: (None, value) for field, value in given.items()})
        return camera

    return _write_if_available(actor, requested, None, create)


def restricting_groups(actor: Actor) -> list[Group]:
    """The groups by which alone `actor` sees cameras; none for who sees them all."""
    if actor is None or sees_all(actor):
        return []
    return list(Group.objects.filter(user=actor.pk).order_by("name"))


def update_camera(
    actor: Actor, camera: Camera, values: dict[str, Any], *, groups: Iterable[Group] | None = None
) -> Camera:
    """Change what differs, and only that; nothing is written or recorded when nothing does."""
    requested: dict[str, str] = {field: values[field] for field in ("name", "folder_path") if field in values}
    if "folder_path" in requested:
        _check_folder(actor, requested["folder_path"], camera)
    place = location_to_store(requested["folder_path"]) if "folder_path" in requested else ""

    def update() -> Camera:
        current = _locked(camera)
        changes = _assign(current, _private_if_groups_removed(current, groups) | values)
        if changes:
            if "folder_path" in changes:
                current.mount = None
                current.chosen_place = place
            if "status" in changes:  # the reason was the former one's
                current.status_reason = ""
            current.save(update_fields=[*changes, "mount", "chosen_place", "status_reason"])
        if groups is not None:
            changes |= _assign_groups(current, list(groups))
        if changes:
            record(actor, "camera_updated", current, changes)
        return current

    return _write_if_available(actor, requested, camera, update)


def _private_if_groups_removed(camera: Camera, groups: Iterable[Group] | None) -> dict[str, Any]:
    """A camera that was for some does not become public by losing its groups: that is to be asked for."""
    loses_all = groups is not None and not list(groups) and camera.groups.exists()
    return {"public": False} if loses_all else {}


def trash_camera(actor: Actor, camera: Camera) -> None:
    """Take it out of every list and serve its media no more; a second call does nothing."""
    with transaction.atomic():
        current = _locked(camera)
        if current.is_trashed:
            return
        current.deleted_at = timezone.now()
        current.save(update_fields=["deleted_at"])
        record(actor, "camera_deleted", current)
        camera_trashed.send(Camera, camera=current)


def restore_camera(actor: Actor, camera: Camera) -> Camera:
    """Bring it back with all it had. Raises `BadRequest` for one not in the trash, `BeingPurged` if it lost some."""
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


def purge_camera(actor: Actor, camera: Camera) -> bool:
    """Remove a trashed camera's rows for good; its folder stays. Raises `BadRequest` for a live one.

    Answers whether all are gone. If not, a worker goes on in batches, and nothing stops it; a second call goes on too.
    """
    with transaction.atomic():
        current = _locked(camera)
        if not current.is_trashed:
            raise BadRequest(f"Camera {current.slug} is not in the trash: delete it first.")
        if purging.purge_batch(current, asker_of(actor)):
            return True
    return purging.resume(camera.pk, batches=purging.BATCHES_IN_REQUEST)


def _locked(camera: Camera) -> Camera:
    """The camera as it is now, its row ours to the end of the transaction. Raises `NotFound` if it was purged."""
    current: Camera | None = Camera.everything.select_for_update().filter(pk=camera.pk).first()
    if current is None:
        raise NotFound("Camera not found")
    return current


def _write_if_available(
    actor: Actor, requested: dict[str, str], camera: Camera | None, write: Callable[[], ResultT]
) -> ResultT:
    """Run `write` in a transaction; the database decides who of two racers is told that the value is taken."""
    try:
        with transaction.atomic():
            _check_available(actor, requested, camera)
            return write()
    except IntegrityError as error:
        _check_available(actor, requested, camera)
        raise Conflict("Someone else changed it at the same time: look at it again, then repeat.") from error


def _check_available(actor: Actor, requested: dict[str, str], camera: Camera | None) -> None:
    others = Camera.everything.exclude(pk=camera.pk) if camera else Camera.everything.all()
    for field, value in requested.items():
        column = "slug" if field == "id" else field
        holder = others.filter(**{column: value}).first()
        if holder is not None:
            raise CameraExists(field, value, holder, actor)


def register_folder_check(check: FolderCheck) -> None:
    """Have `check(place)` say why a folder outside the base path takes a superuser; empty if it does not."""
    _folder_checks.append(check)


def _check_folder(actor: Actor, folder_path: str, camera: Camera | None) -> None:
    """Raises `FolderInHiddenCamera` and `FolderForSuperusers`."""
    unmoved = camera is not None and Camera.everything.filter(pk=camera.pk, folder_path=folder_path).exists()
    if actor is None or unmoved:  # asked of the database: a form has already changed the object
        return
    _check_not_in_hidden_camera(actor, folder_path, camera)
    if not getattr(actor, "is_superuser", False):
        _check_needs_no_superuser(folder_path)


def _check_needs_no_superuser(folder_path: str) -> None:
    """A folder that holds the base path holds all that no camera has; one outside may hold what others work with."""
    base = real_path(str(settings.NVR_CAMERA_ROOT))
    for place in {folder_path, real_path(folder_path)}:
        if is_inside(base, place):
            raise FolderForSuperusers(folder_path, "it holds the folders of all cameras")
        if not is_inside(place, base):
            for check in _folder_checks:
                if reason := check(place):
                    raise FolderForSuperusers(folder_path, reason)


def _check_not_in_hidden_camera(actor: Person, folder_path: str, camera: Camera | None) -> None:
    """A file belongs to the deepest folder, so a folder in another's takes files away from it."""
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
