"""`/api/folders/files` and `/api/media-items/…`: the files of a review path, in pages, and their counts."""

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

from nvr.api.views import ApiView, BytesView
from nvr.errors import BadRequest
from reviewer.api import schema
from reviewer.api.ndjson import long_ndjson
from reviewer.api.permissions import REVIEW
from reviewer.api.query_params import UNLIMITED, filter_of, is_set, number_of, optional_path, order_of, path_of
from reviewer.catalog.orders import View
from reviewer.catalog.progress import ScanProgress, scan_progress
from reviewer.catalog.scanner import PathUnavailable
from reviewer.catalog.store import counts_of, folder_page, indexed_size, page_of, position_of
from reviewer.items import items_of
from reviewer.models import ReviewPath
from reviewer.non_utf8_names import text
from reviewer.path_resolution import get_review_path, resolve_path
from reviewer.thumbnails import prefetch

logger = logging.getLogger(__name__)

ITEM_BYTES = 500  # of a typical line
LINES_PER_CHUNK = 100  # about 50 kB: fits into a pipe or socket buffer


class FolderFilesView(ApiView):
    """The pictures and videos of one folder."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.FOLDER_FILES)
    def get(self, request: Request) -> Response:
        folder = resolve_path(request.user, path_of(request))
        offset = number_of(request, "offset", 0, minimum=0, maximum=UNLIMITED)
        limit = number_of(request, "limit", 100, minimum=1, maximum=1000)
        relative = os.fsencode(folder.path.relative_to(folder.root.path))
        rows, ignored = folder_page(
            folder.root,
            b"" if relative == b"." else relative,
            offset=offset,
            limit=limit,
            force=is_set(request, "refresh"),
        )
        items = list(items_of(folder.root, rows, wait_for_all=is_set(request, "wait")))
        return Response(
            {
                "path": text(os.fsencode(folder.path)),
                "offset": offset,
                "limit": limit,
                "count": len(items),
                "ignoredCount": ignored,
                "items": items,
            }
        )


class StreamView(BytesView):
    """All pictures and videos below a review path, one per line."""

    tier = "default"
    permission_classes = (REVIEW,)

    @extend_schema(**schema.STREAM)
    def get(self, request: Request) -> StreamingHttpResponse:
        root = get_review_path(request.user, path_of(request))
        limit = number_of(request, "limit", 50, minimum=1, maximum=10_000)
        rows = page_of(
            root,
            filter_of(request),
            offset=number_of(request, "offset", 0, minimum=0, maximum=UNLIMITED),
            after=item_of(request, root),
            limit=limit,
            force=is_set(request, "refresh"),
            order=order_of(request),
        )
        # The API contract: listing a path starts creating its thumbnails.
        prefetch.start(root)
        items = items_of(root, rows, wait_for_all=is_set(request, "wait"))
        return long_ndjson(request._request, lines(items), size=ITEM_BYTES * len(rows))


class PositionView(ApiView):
    """The offset of a file in the stream of the same filter and order."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.POSITION)
    def get(self, request: Request) -> Response:
        root = get_review_path(request.user, path_of(request))
        item = item_of(request, root, "item")
        if item is None:
            raise BadRequest("item is required.")
        offset = position_of(root, View(filter_of(request), order_of(request)), item)
        return Response({"path": root.path, "offset": offset})


def item_of(request: Request, root: ReviewPath, name: str = "after") -> bytes | None:
    """Return the item's path below the root, or None. The item need not exist any longer."""
    path = optional_path(request, name)
    if not path:
        return None
    if not path.startswith(f"{root.path}/"):
        raise BadRequest(f"{name} must be the path of an item below the review path.")
    return os.fsencode(path.removeprefix(f"{root.path}/"))


json_line: Callable[[Any], bytes] = partial(orjson.dumps, option=orjson.OPT_APPEND_NEWLINE)


def lines(items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the first line at once and the rest in chunks, then a line with the number of items.

    If the volume becomes unavailable, the last line is missing: the client knows that the list is incomplete.
    """
    count, size, rest = 0, 1, iter(items)
    try:
        while chunk := list(islice(rest, size)):
            count, size = count + len(chunk), LINES_PER_CHUNK
            yield b"".join(map(json_line, chunk))
    except PathUnavailable as error:
        logger.warning("listing aborted after %s files: %s", count, error.detail)
        return
    yield json_line({"type": "done", "count": count})


class SummaryView(ApiView):
    """The number of files for each filter."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.SUMMARY)
    def get(self, request: Request) -> Response:
        root = get_review_path(request.user, path_of(request))
        return Response({"path": root.path, "counts": counts_of(root)})


class ProgressView(ApiView):
    """The progress of a path's scan and of its thumbnails."""

    permission_classes = (REVIEW,)

    @extend_schema(**schema.PROGRESS)
    def get(self, request: Request) -> Response:
        root = get_review_path(request.user, path_of(request))
        scanning, indexed = scan_progress(root.path), indexed_size(root)
        size = scanning or indexed or ScanProgress()
        thumbnails = prefetch.progress_of(root)
        return Response(
            {
                "path": root.path,
                "state": "reading" if scanning else "ready" if indexed else "unread",
                "folders": size.folders,
                "files": size.files,
                "thumbnails": thumbnails
                and {
                    "state": thumbnails.state,
                    "done": thumbnails.done,
                    "failed": thumbnails.failed,
                    "total": thumbnails.total,
                },
            }
        )
