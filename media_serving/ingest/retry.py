"""Reading a file once more that nothing came of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from media_serving.ingest.dispatch import Sender
from media_serving.models import Upload, UploadState
from nvr.audit.record import record
from nvr.errors import Conflict, NotFound

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

sender = Sender()
CAN_BE_RETRIED = (UploadState.REJECTED, UploadState.FAILED)


class BeingRead(Conflict):
    """A worker has it in hand: what comes of it is not known yet."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(f"Upload {upload.pk} is being read now: wait for what comes of it.")


class AlreadyRead(Conflict):
    """What was found in it is on record: read again, it would be there twice."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(f"Upload {upload.pk} was read: what was found in it is on record.")


def retry(actor: AbstractBaseUser | AnonymousUser | None, upload: Upload) -> Upload:
    """Let a rejected or failed upload wait for a worker again, with all its attempts; answers it as it is now.

    One that waits already stays as it is, and nothing is recorded. Raises `BeingRead`, `AlreadyRead`, and `NotFound`
    if it was purged meanwhile.
    """
    with transaction.atomic():
        current = _held(upload)
        if current.state == UploadState.WORKING:
            raise BeingRead(current)
        if current.state == UploadState.DONE:
            raise AlreadyRead(current)
        if current.state in CAN_BE_RETRIED:
            _start_over(actor, current)
    return current


def _held(upload: Upload) -> Upload:
    """The row as it is now, ours to the end of the transaction."""
    current = Upload.objects.select_for_update(no_key=True).filter(pk=upload.pk).first()
    if current is None:
        raise NotFound("Upload not found")
    return current


def _start_over(actor: AbstractBaseUser | AnonymousUser | None, upload: Upload) -> None:
    changes = {"state": (upload.state, UploadState.WAITING.value), "reason": (upload.reason, "")}
    upload.state, upload.reason, upload.attempts, upload.retry_at = UploadState.WAITING, "", 0, None
    upload.save(update_fields=["state", "reason", "attempts", "retry_at"])
    record(actor, "upload_retried", upload, changes)
    transaction.on_commit(lambda: sender.send(), robust=True)
