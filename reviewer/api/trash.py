"""`/api/empty-trash` and `/api/trash-runs`: permanently delete trashed files, and list the trash runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.views import ApiView, BytesView
from nvr.errors import BadRequest
from reviewer.api import trash_schema
from reviewer.api.ndjson import long_ndjson, ndjson
from reviewer.api.permissions import REVIEW
from reviewer.api.query_params import UNLIMITED, body_of, is_set, number_of
from reviewer.models import TrashRun
from reviewer.trash import runs as trash_runs
from reviewer.trash.candidates import dry_run_lines
from reviewer.trash.stream import Stream, disconnect_check, wait_for_worker


class EmptyTrashView(BytesView):
    """Permanently delete files that are marked as trash and not locked."""

    tier = "default"
    permission_classes = (REVIEW,)
    query_parameters = {"post": ("dry_run",)}
    body_keys = {"post": ("path",)}

    @extend_schema(**trash_schema.EMPTY)
    def post(self, request: Request) -> StreamingHttpResponse:
        path = path_in(body_of(request))
        if is_set(request, "dry_run"):
            lines = dry_run_lines(request.user, trash_runs.roots_of(request.user, path))
            return long_ndjson(request._request, with_first_line(lines))
        run = trash_runs.start_run(request.user, path)
        client_left = disconnect_check(request._request.META)
        wait_for_worker(run, client_left)
        response = ndjson(Stream(run, client_left))
        response["X-Trash-Run"] = str(run.pk)
        return response


def with_first_line(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Compute the first line at once, so that an error can still set the status of the response."""
    return chain((next(lines),), lines)


def path_in(body: dict[str, Any]) -> Any:
    """Return the requested review path, or None for all."""
    if "path" in body and not isinstance(body["path"], str):
        raise BadRequest("path must be a known review path.")
    return body.get("path")


class TrashRunsView(ApiView):
    """The trash runs, newest first."""

    permission_classes = (REVIEW,)

    @extend_schema(**trash_schema.RUNS)
    def get(self, request: Request) -> Response:
        offset = number_of(request, "offset", 0, minimum=0, maximum=UNLIMITED)
        limit = number_of(request, "limit", 100, minimum=1, maximum=1000)
        items = [run_json(run) for run in trash_runs.runs_of(request.user, offset=offset, limit=limit)]
        return Response({"offset": offset, "limit": limit, "count": len(items), "items": items})


class TrashRunView(ApiView):
    """One trash run."""

    permission_classes = (REVIEW,)

    @extend_schema(**trash_schema.RUN)
    def get(self, request: Request, run_id: int) -> Response:
        return Response(run_json(run_of(request, run_id)))


class CancelTrashRunView(ApiView):
    """Stop a trash run after the current file."""

    permission_classes = (REVIEW,)

    @extend_schema(**trash_schema.CANCEL)
    def post(self, request: Request, run_id: int) -> Response:
        run = run_of(request, run_id)
        trash_runs.cancel(run)
        return Response(run_json(run))


def run_of(request: Request, run_id: int) -> TrashRun:
    run: TrashRun = get_object_or_404(TrashRun.objects.visible_to(request.user), pk=run_id)
    return run


def run_json(run: TrashRun) -> dict[str, Any]:
    return {
        "id": run.pk,
        "started_at": iso_timestamp(run.started_at),
        "finished_at": iso_timestamp(run.finished_at),
        "started_by": run.started_by_name,
        "path": run.path or None,
        "state": run.state,
        "deleted": run.deleted,
        "skipped": run.skipped,
        "errors": run.errors,
        "bytes_freed": run.bytes_freed,
    }


def iso_timestamp(at: datetime | None) -> str | None:
    """Format as UTC with six decimal places and `+00:00`."""
    return at.isoformat(timespec="microseconds") if at else None
