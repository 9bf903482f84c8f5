"""Addresses of the reviewer's pages."""

from django.urls import path

from reviewer.views import MarkView, PathsView, ReviewView, TrashView

urlpatterns = [
    path("review", ReviewView.as_view(), name="review"),
    path("review/mark", MarkView.as_view(), name="review_mark"),
    path("review/paths", PathsView.as_view(), name="review_paths"),
    path("review/trash", TrashView.as_view(), name="review_trash"),
]
