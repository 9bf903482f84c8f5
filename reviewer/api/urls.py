"""Addresses of the reviewer's API."""

from django.urls import path

from reviewer.api.actions import BatchView, MediaActionsView
from reviewer.api.listings import FolderFilesView, PositionView, ProgressView, StreamView, SummaryView
from reviewer.api.media import MediaFileView, MediaThumbnailView
from reviewer.api.paths import FoldersView, ReviewPathsView
from reviewer.api.trash import CancelTrashRunView, EmptyTrashView, TrashRunsView, TrashRunView

urlpatterns = [
    path("review-paths", ReviewPathsView.as_view(), name="api_review_paths"),
    path("folders", FoldersView.as_view(), name="api_folders"),
    path("folders/files", FolderFilesView.as_view(), name="api_folder_files"),
    path("media-items/stream", StreamView.as_view(), name="api_media_stream"),
    path("media-items/position", PositionView.as_view(), name="api_media_position"),
    path("media-items/summary", SummaryView.as_view(), name="api_media_summary"),
    path("media-items/progress", ProgressView.as_view(), name="api_media_progress"),
    path("media-items/batch", BatchView.as_view(), name="api_media_batch"),
    path("media-thumbnail", MediaThumbnailView.as_view(), name="api_media_thumbnail"),
    path("media-file", MediaFileView.as_view(), name="api_media_file"),
    path("media-actions", MediaActionsView.as_view(), name="api_media_actions"),
    path("empty-trash", EmptyTrashView.as_view(), name="api_empty_trash"),
    path("trash-runs", TrashRunsView.as_view(), name="api_trash_runs"),
    path("trash-runs/<int:run_id>", TrashRunView.as_view(), name="api_trash_run"),
    path("trash-runs/<int:run_id>/cancel", CancelTrashRunView.as_view(), name="api_cancel_trash_run"),
]
