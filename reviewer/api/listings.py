"""`/api/folders/files` and `/api/media-items/…`: what there is to review, page by page."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import orjson
from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from nvr.api.permissions import HasPermission
from nvr.api.views import ApiView, BytesView
from nvr.errors import BadRequest
from reviewer.api import schema
from reviewer.api.ndjson import long_ndjson
from reviewer.api.query_params import filter_of, is_set, named_path, number_of, order_of, path_of
from reviewer.catalog.orders import View
from reviewer.catalog.progress import ScanProgress, scan_progress
from reviewer.catalog.scanner import PathUnavailable
from reviewer.catalog.store import counts_of, folder_page, indexed_size, page_of, position_of
from reviewer.items import items_of
from reviewer.models import ReviewPath
from reviewer.non_utf8_names import text
from reviewer.path_resolution import exactly, inside
from reviewer.thumbnails.prefetch import ask_for, progress_of

logger = logging.getLogger(__name__)

REVIEW = HasPermission("reviewer.review")
ITEM_BYTES = 500  # of a usual line
BLOCK_ITEMS = 100  # about 50 kB: a pipe or socket takes it at once
ANY_OFFSET = 10**18


class FolderFilesView(ApiView):
    """The pictures and videos of one folder."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.FOLDER_FILES)
    def get(self, request: Request) -> Response:
        place = inside(request.user, path_of(request))
        offset = number_of(request, "offset", 0, least=0, most=ANY_OFFSET)
        limit = number_of(request, "limit", 100, least=1, most=1000)
        below = os.fsencode(place.path.relative_to(place.root.path))
        rows, ignored = folder_page(
            place.root, b"" if below == b"." else below, offset=offset, limit=limit, force=is_set(request, "refresh")
        )
        items = list(items_of(place.root, rows, wait_for_all=is_set(request, "wait")))
        return Response(
            {
                "path": text(os.fsencode(place.path)),
                "offset": offset,
                "limit": limit,
                "count": len(items),
                "ignoredCount": ignored,
                "items": items,
            }
        )


class StreamView(BytesView):
    """All pictures and videos below a review path, a line each."""

    tier = "default"
    permission_classes = (REVIEW,)

    @extend_schema(**schema.STREAM)
    def get(self, request: Request) -> StreamingHttpResponse:
        root = exactly(request.user, path_of(request))
        limit = number_of(request, "limit", 50, least=1, most=10_000)
        rows = page_of(
            root,
            filter_of(request),
            offset=number_of(request, "offset", 0, least=0, most=ANY_OFFSET),
            after=item_of(request, root),
            limit=limit,
            force=is_set(request, "refresh"),
            order=order_of(request),
        )
        ask_for(root)
        items = items_of(root, rows, wait_for_all=is_set(request, "wait"))
        return long_ndjson(request._request, lines(items), size=ITEM_BYTES * len(rows))


class PositionView(ApiView):
    """Where in a listing a file stands: at which offset its page begins with it."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.POSITION)
    def get(self, request: Request) -> Response:
        root = exactly(request.user, path_of(request))
        item = item_of(request, root, "item")
        if item is None:
            raise BadRequest("item is required.")
        offset = position_of(root, View(filter_of(request), order_of(request)), item)
        return Response({"path": root.path, "offset": offset})


def item_of(request: Request, root: ReviewPath, name: str = "after") -> bytes | None:
    """The path, below the root, of the item that the query names, which need not be there any more."""
    given = named_path(request, name)
    if not given:
        return None
    if not given.startswith(f"{root.path}/"):
        raise BadRequest(f"{name} must be the path of an item below the review path.")
    return os.fsencode(given.removeprefix(f"{root.path}/"))


line: Callable[[Any], bytes] = partial(orjson.dumps, option=orjson.OPT_APPEND_NEWLINE)


def lines(items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The first at once, the rest in blocks; then the line that says how many there were.

    Without that line the answer has broken off: the volume went away.
    """
    count, size, rest = 0, 1, iter(items)
    try:
        while block := list(islice(rest, size)):
            count, size = count + len(block), BLOCK_ITEMS
            yield b"".join(map(line, block))
    except PathUnavailable as error:
        logger.warning("listing broken off after %s files: %s", count, error.detail)
        return
    yield line({"type": "done", "count": count})


class SummaryView(ApiView):
    """How much there is of what."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.SUMMARY)
    def get(self, request: Request) -> Response:
        root = exactly(request.user, path_of(request))
        return Response({"path": root.path, "counts": counts_of(root)})


class ProgressView(ApiView):
    """How far the reading of a path is, and the making of its thumbnails."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.PROGRESS)
    def get(self, request: Request) -> Response:
        root = exactly(request.user, path_of(request))
        scanning, known = scan_progress(root.path), indexed_size(root)
        shown = scanning or known or ScanProgress()
        made = progress_of(root)
        return Response(
            {
                "path": root.path,
                "state": "reading" if scanning else "ready" if known else "unread",
                "folders": shown.folders,
                "files": shown.files,
                "thumbnails": made
                and {"state": made.state, "done": made.done, "failed": made.failed, "total": made.total},
            }
        )
