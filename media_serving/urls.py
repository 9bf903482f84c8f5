"""Addresses of the pages of detections and events."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
