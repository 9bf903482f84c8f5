"""Retry uploads that were rejected or failed."""

from __future__ import annotations

from django.db import transaction

from media_serving.ingest.dispatch import Dispatcher
from media_serving.models import Upload, UploadState
from nvr.audit.actor import Actor
from nvr.audit.record import record
from nvr.errors import Conflict, NotFound

dispatcher = Dispatcher()
CAN_BE_RETRIED = (UploadState.REJECTED, UploadState.FAILED)


class StillProcessing(Conflict):
    """A worker is processing the upload: its result is not known yet."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(f"Upload {upload.pk} is being processed: wait for the result.")


class AlreadyProcessed(Conflict):
    """The upload's detections are recorded: processing it again would record them twice."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(f"Upload {upload.pk} has already been processed: its detections are recorded.")


def retry(actor: Actor | None, upload: Upload) -> Upload:
    """Queue a rejected or failed upload again with all its attempts, and return its current row.

    A waiting upload stays unchanged, without an audit entry. Raises `StillProcessing`, `AlreadyProcessed`, and
    `NotFound` if it was purged meanwhile.
    """
    with transaction.atomic():
        current = _locked_row(upload)
        if current.state == UploadState.WORKING:
            raise StillProcessing(current)
        if current.state == UploadState.DONE:
            raise AlreadyProcessed(current)
        if current.state in CAN_BE_RETRIED:
            _reset(actor, current)
    return current


def _locked_row(upload: Upload) -> Upload:
    """The current row, locked until the end of the transaction."""
    current = Upload.objects.select_for_update(no_key=True).filter(pk=upload.pk).first()
    if current is None:
        raise NotFound("Upload not found")
    return current


def _reset(actor: Actor | None, upload: Upload) -> None:
    changes = {"state": (upload.state, UploadState.WAITING.value), "reason": (upload.reason, "")}
    Upload.objects.filter(pk=upload.pk).requeue()
    upload.refresh_from_db()
    record(actor, "upload_retried", upload, changes)
    transaction.on_commit(lambda: dispatcher.send(), robust=True)
